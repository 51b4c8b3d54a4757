"""Fit a shard: configurations of patches × noise realisations, and their residual spectra."""

from patchsep.files.tables import write_table
from patchsep.inference.configurations import fit_shard
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.separation.partitions import read_partitions
from patchsep.sky.spectral_model import spectral_model


def main(snakemake):
    params = snakemake.params
    model = spectral_model(**params.model)
    sky = RegionSky.read(snakemake.wildcards.region, params.noise_seed, snakemake.input, model)
    shard = fit_shard(
        params.configurations,
        read_partitions(snakemake.input.patches, sky.pixels),
        sky,
        params.realizations,
        folder=params.folder,
        code=params.code,
        progress=params.progress,
        spectra=params.spectra,
        model=model,
        cross_validation=params.cross_validation,
        memory=snakemake.resources.fit_memory_mb / 1000,
        **params.fit,
    )
    write_table(snakemake.output.shard, shard)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
