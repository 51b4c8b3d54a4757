"""Fit the spectral parameters of a shard: configurations × noise realisations."""

from patchsep.files import read_partitions, write_table
from patchsep.grid import fit_configurations
from patchsep.logs import log_to
from patchsep.sky import RegionSky


def main(snakemake):
    params = snakemake.params
    sky = RegionSky.read(
        snakemake.wildcards.region, params.zones, params.noise_seed, snakemake.input
    )
    fits = fit_configurations(
        params.configurations,
        read_partitions(snakemake.input.patches, sky.pixels),
        sky,
        params.realizations,
        memory=snakemake.resources.fit_memory_mb / 1000,
        **params.fit,
    )
    write_table(snakemake.output.fits, fits)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
