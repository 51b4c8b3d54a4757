"""Bin theory spectra as the spectra of a region are, and count the modes of every bin."""

import logging

from patchsep.files.tables import read_table, write_table
from patchsep.running.jobs import begin
from patchsep.sky.regions import Regions
from patchsep.spectra.estimator import Estimator

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    region, regions = snakemake.wildcards.region, Regions.read(files.regions)
    estimator = Estimator.of(regions.pixels(region), regions.nside, **params.spectra)
    theory, sky_theory = read_table(files.theory), read_table(files.sky_theory)
    binned = estimator.binned_theory(theory, sky_theory, **params.modes)
    for ell in binned["ell"][~binned["used"]]:
        log.warning("%s: the bin at ell = %.1f has too few modes and is not used", region, ell)
    write_table(snakemake.output.theory, binned)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
