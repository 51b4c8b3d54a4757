"""Fit a model of the foregrounds of a sky to one observation of it."""

import logging

import numpy as np

from patchsep.files.maps import write_maps
from patchsep.inference.fit_foreground_model import fit_foreground_model
from patchsep.inference.foreground_model import COLUMNS, UNITS
from patchsep.observation.region_sky import RegionSky
from patchsep.running.logs import log_to
from patchsep.sky.regions import full_sky
from patchsep.sky.spectral_model import PARAMETERS

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    memory = snakemake.resources.fit_memory_mb / 1000
    maps = 0.0
    for region in params.regions:
        sky = RegionSky.read(region, params.zones, params.noise_seed, snakemake.input)
        foreground_model = fit_foreground_model(sky, 0, params.seed, memory=memory, **params.fit)
        scatter = ", ".join(
            f"{name} {wide:.2f} and {narrow:.2f}"
            for name, wide, narrow in zip(
                PARAMETERS,
                foreground_model.wide[:, 0],
                foreground_model.narrow[:, 0],
                strict=True,
            )
        )
        log.info(
            "%s: on wide and narrow scales, in units of the published scatter, %s", region, scatter
        )
        columns = np.stack(list(foreground_model.columns().values()))
        maps = maps + full_sky(columns, sky.pixels, sky.nside)
    write_maps(
        snakemake.output.foreground_model,
        dict(zip(COLUMNS, maps, strict=True)),
        UNITS,
        "patchsep, foregrounds as one observation of them shows them; 0 outside of the regions",
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
