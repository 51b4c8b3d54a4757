"""Fit a model of the foregrounds of a sky to one observation of it."""

import logging

import numpy as np

from patchsep.files.maps import write_maps
from patchsep.observation.foreground_model import column_units
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.skies.fit_foreground_model import fit_foreground_model
from patchsep.sky.regions import full_sky
from patchsep.sky.spectral_model import spectral_model

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    model = spectral_model(**params.model)
    memory = snakemake.resources.fit_memory_mb / 1000
    maps = 0.0
    for sky in RegionSky.read_all(params.noise_seed, snakemake.input, model):
        found = fit_foreground_model(sky, 0, params.seed, model, memory=memory, **params.fit)
        scatter = ", ".join(
            f"{name} {wide:.2f} and {narrow:.2f}"
            for name, wide, narrow in zip(
                model.names, found.wide[:, 0], found.narrow[:, 0], strict=True
            )
        )
        log.info(
            "%s: on wide and narrow scales, in units of the published scatter, %s",
            sky.region,
            scatter,
        )
        columns = found.columns()
        maps = maps + full_sky(np.stack(list(columns.values())), sky.pixels, sky.nside)
    write_maps(
        snakemake.output.foreground_model,
        dict(zip(columns, maps, strict=True)),
        column_units(model),
        "patchsep, foregrounds as one observation of them shows them; 0 outside of the regions",
    )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
