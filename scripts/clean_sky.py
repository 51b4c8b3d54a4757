"""Clean a whole sky with every configuration that some criterion has selected."""

import logging

import pandas as pd

from patchsep.files.maps import read_maps, read_templates, resolution_header, write_maps
from patchsep.files.tables import read_table, write_table
from patchsep.observation.foreground_model import ForegroundModel
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.separation.patches import STRATEGIES
from patchsep.skies.cleaned_sky import (
    by_region,
    clean_sky,
    measure_all,
    partitions_of_selected,
    recovered_maps,
)
from patchsep.skies.mocks import mock_data
from patchsep.sky.regions import COMBINED
from patchsep.sky.spectral_model import spectral_model

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, selected = snakemake.params, read_table(snakemake.input.selected)
    model = spectral_model(**params.model)
    skies = RegionSky.read_all(params.noise_seed, snakemake.input, model)
    templates = read_templates(snakemake.input.get("templates"))
    partitions = partitions_of_selected(
        selected, skies, params.patch_seed, templates, model.names, **params.patches
    )
    memory = snakemake.resources.fit_memory_mb / 1000
    realizations = list(range(params.n_realizations))
    mocks = {}
    if params.mocks:
        maps = read_maps(snakemake.input.foreground_model)
        from_elsewhere = STRATEGIES[params.patches["strategy"]].maps_from == "template"
        mocks = {
            sky.region: mock_data(
                ForegroundModel.from_columns(maps, sky.pixels, model),
                sky,
                model=model,
                templates=templates if from_elsewhere else {},
                **params.mocks,
            )
            for sky in skies
        }
    # The first criterion's map of all regions is kept.
    headline = next(iter(by_region(selected).values()))[COMBINED]
    nside, tables = skies[0].nside, []
    fits = {"memory": memory, **params.fit}
    for region, cleaned in clean_sky(
        selected, partitions, skies, realizations, model, mocks, **fits
    ):
        log.info("%s: %s", region, cleaned.configuration)
        tables += measure_all(region, cleaned, nside, params.spectra, params.pixel_weights)
        if region == COMBINED and cleaned.configuration == headline:
            about = f"patchsep, method {snakemake.wildcards.method}, realisation 0"
            maps, units = recovered_maps(cleaned, nside, model)
            about = f"{about}: {cleaned.configuration}\nPATCH_* are labels within each region"
            beam = resolution_header(params.spectra["resolution"])
            write_maps(snakemake.output.maps, maps, units, about, beam)
    write_table(snakemake.output.spectra, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
