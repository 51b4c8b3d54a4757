"""Bin theory spectra as the spectra of a region are, and count the modes of every bin."""

import logging

import healpy as hp
import numpy as np

from patchsep.files.maps import read_maps
from patchsep.files.tables import read_table, write_table
from patchsep.running.logs import log_to
from patchsep.sky.regions import COMBINED, region_pixels
from patchsep.spectra.estimator import Estimator

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, region = snakemake.params, snakemake.wildcards.region
    labels = read_maps(snakemake.input.regions)["REGION"]
    pixels = (
        np.flatnonzero(labels > 0)
        if region == COMBINED
        else region_pixels(labels, region, params.zones)
    )
    estimator = Estimator.of(pixels, hp.npix2nside(len(labels)), **params.spectra)
    theory, sky_theory = map(read_table, (snakemake.input.theory, snakemake.input.sky_theory))
    binned = estimator.bands(theory, sky_theory, **params.modes)
    for ell in binned["ell"][~binned["used"]]:
        log.warning("%s: the bin at ell = %.1f has too few modes and is not used", region, ell)
    write_table(snakemake.output.theory, binned)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
