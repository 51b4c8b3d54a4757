"""Measure the residuals that every configuration leaves in one region."""

import pandas as pd

from patchsep.files import read_partitions, read_table, write_table
from patchsep.logs import log_to
from patchsep.noise import FOREGROUNDS_ONLY
from patchsep.residuals import configuration_metrics, recover, residual_spectra
from patchsep.sky import RegionSky


def main(snakemake):
    params = snakemake.params
    sky = RegionSky.read(
        snakemake.wildcards.region, params.zones, params.noise_seed, snakemake.input
    )
    partitions = read_partitions(snakemake.input.patches, sky.pixels)
    fits = pd.concat([read_table(path) for path in snakemake.input.fits], ignore_index=True)
    realizations = list(range(params.n_realizations))
    spectra, metrics = [], []
    for name in params.configurations:
        recovered = recover(fits, name, partitions, sky, realizations)
        (systematic,) = recover(fits, name, partitions, sky, [FOREGROUNDS_ONLY])
        table = residual_spectra(recovered, sky.cmb, systematic, sky.pixels, sky.nside)
        spectra.append(table.assign(configuration=name))
        metrics.append(configuration_metrics(fits, name, partitions, recovered, sky))
    write_table(snakemake.output.spectra, pd.concat(spectra, ignore_index=True))
    write_table(snakemake.output.metrics, pd.DataFrame(metrics))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
