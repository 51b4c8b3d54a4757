"""Find out how often every criterion finds the patches that a sky was made with."""

import logging

import pandas as pd

from patchsep.files.tables import read_table, write_table
from patchsep.instrument.instrument import read_instrument
from patchsep.running.jobs import begin
from patchsep.separation.partitions import configuration_patches, configurations, partition
from patchsep.sky.foregrounds import foreground_sky
from patchsep.sky.regions import Regions
from patchsep.sky.spectral_model import spectral_model
from patchsep.spectra.estimator import Estimator
from patchsep.studies.known_patches import make_sky, pulls, select_on_sky, values_around

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, known = snakemake.params, snakemake.params.known
    instrument = read_instrument(snakemake.input.instrument)
    model = spectral_model(**params.model)
    regions = Regions.read(snakemake.input.regions)
    nside, pixels = regions.nside, regions.pixels(params.region)
    galaxy = foreground_sky(nside=nside, **params.foregrounds)
    measured_with = {
        "estimator": Estimator.of(pixels, nside, **params.spectra),
        "theory": read_table(snakemake.input.theory),
    }
    values = values_around(params.true, known["factors"], model.names)
    names = configurations([values], "axes")
    realizations = list(range(known["realizations"]))
    estimates, selected, compared = [], [], []
    for number in range(known["skies"]):
        seed = known["seed"] + number
        draws = partition("kmeans", nside, pixels, values, seed)
        patches = configuration_patches(names[0], draws[0])
        sky, truth = make_sky(
            galaxy,
            instrument,
            params.region,
            pixels,
            patches,
            known["scatter"],
            seed,
            spectral_model(params.model["components"]),
        )
        measured, found = select_on_sky(
            sky,
            draws,
            names,
            params.criteria,
            realizations,
            params.mocks,
            model=model,
            **measured_with,
            **params.fit,
        )
        log.info("sky %d: %s", number, dict(zip(found["criterion"], found["configuration"])))
        estimates.append(measured.assign(sky=number))
        selected.append(found.assign(sky=number))
        fitted = pulls(sky, names[0], draws[0], truth, realizations, model, **params.fit)
        compared.append(fitted.assign(sky=number))
    for path, tables in (
        (snakemake.output.estimates, estimates),
        (snakemake.output.selected, selected),
        (snakemake.output.pulls, compared),
    ):
        write_table(path, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
