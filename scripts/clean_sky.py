"""Clean a whole sky with every configuration that some criterion has chosen."""

import logging

import numpy as np
import pandas as pd

from patchsep.files.maps import read_guide, read_maps, write_maps
from patchsep.files.tables import read_table, write_table
from patchsep.inference.foreground_model import ForegroundModel, read_prior
from patchsep.inference.mocks import rehearsals
from patchsep.inference.selection import by_area
from patchsep.inference.skies import clean_sky, measure, partitions_of_choices
from patchsep.observation.region_sky import RegionSky
from patchsep.running.logs import log_to
from patchsep.separation.patches import TEMPLATED
from patchsep.sky.regions import COMBINED, full_sky
from patchsep.sky.spectral_model import PARAMETERS

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, choices = snakemake.params, read_table(snakemake.input.choices)
    skies = [
        RegionSky.read(region, params.zones, params.noise_seed, snakemake.input)
        for region in params.regions
    ]
    guide = read_guide(snakemake.input.get("guide"))
    partitions = partitions_of_choices(choices, skies, params.patch_seed, guide, **params.patches)
    memory = snakemake.resources.fit_memory_mb / 1000
    realizations = list(range(params.n_realizations))
    model = snakemake.input.get("model")
    priors = {sky.region: read_prior(model, sky.pixels, params.shrinkage) for sky in skies}
    rehearsed = {}
    if params.rehearsal:
        maps = read_maps(model)
        rehearsed = {
            sky.region: rehearsals(
                ForegroundModel.from_columns(maps, sky.pixels),
                sky,
                bounds=params.fit["bounds"],
                templates=guide if params.patches["strategy"] in TEMPLATED else {},
                **params.rehearsal,
            )
            for sky in skies
        }
    # The first criterion's map of all regions is kept.
    shown = next(iter(by_area(choices).values()))[COMBINED]
    nside, tables = skies[0].nside, []
    for area, cleaned in clean_sky(
        choices, partitions, skies, realizations, rehearsed, priors, memory=memory, **params.fit
    ):
        log.info("%s: %s", area, cleaned.configuration)
        tables += [
            measure(area, cleaned, nside, params.spectra, weights)
            for weights in params.pixel_weights
        ]
        if area == COMBINED and cleaned.configuration == shown:
            write_recovered(snakemake.output.maps, cleaned, nside, snakemake.wildcards.method)
    write_table(snakemake.output.spectra, pd.concat(tables, ignore_index=True))


def write_recovered(path, cleaned, nside, method):
    def columns(names, values):
        sky = full_sky(np.asarray(values), cleaned.pixels, nside, fill=np.nan)
        return dict(zip(names, sky, strict=True))

    names = [name.upper() for name in PARAMETERS]
    maps = (
        columns(["CMB_Q", "CMB_U"], cleaned.recovered[0])
        | columns(["SYSTEMATIC_Q", "SYSTEMATIC_U"], cleaned.systematic)
        | columns(names, cleaned.parameters)
        | columns([f"PATCH_{name}" for name in names], cleaned.patches)
    )
    units = ["uK_CMB"] * 4 + ["", "K", ""] + [""] * 3
    about = (
        f"patchsep, method {method}, realisation 0: {cleaned.configuration}\n"
        "PATCH_* are labels within each region"
    )
    write_maps(path, maps, units, about)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
