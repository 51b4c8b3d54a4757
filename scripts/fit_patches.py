"""Fit the spectral parameters of a shard: configurations × noise realisations."""

from patchsep.files import read_partitions, write_table
from patchsep.grid import fit_configurations
from patchsep.logs import log_to
from patchsep.sky import RegionSky


def main(snakemake):
    sky = RegionSky.read(
        region=snakemake.wildcards.region,
        zones=snakemake.params.zones,
        noise_seed=snakemake.params.noise_seed,
        instrument=snakemake.input.instrument,
        regions=snakemake.input.regions,
        foregrounds=snakemake.input.foregrounds,
        cmb=snakemake.input.get("cmb"),
    )
    fits = fit_configurations(
        snakemake.params.configurations,
        read_partitions(snakemake.input.patches, sky.pixels),
        sky,
        snakemake.params.realizations,
        **snakemake.params.fit,
    )
    write_table(snakemake.output.fits, fits)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
