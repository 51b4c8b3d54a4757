"""Analyse mock skies of observed maps as these are analysed, with r known."""

from functools import partial

import pandas as pd

from patchsep.analysis.analyse import Analysis
from patchsep.analysis.certificate import Path, certify
from patchsep.analysis.cleaning import cleaner_of
from patchsep.analysis.mock_maps import MockMaps
from patchsep.files.maps import read_templates
from patchsep.files.tables import read_table, write_table
from patchsep.running.jobs import begin
from patchsep.skies.foreground_fields import fit_foregrounds, measure_foregrounds, read_priors
from patchsep.skies.whole_sky import observed_sky


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    observation, sky = observed_sky(given, params.model)
    measured = fit_foregrounds(observation, sky, read_priors(given.foregrounds), **params.fit)
    theory = read_table(given.theory)
    settings = {"spectra": params.spectra, **params.analysis}
    path = Path(
        measure=partial(
            measure_foregrounds,
            options=params.fields,
            templates=read_templates(given.get("templates")),
            seed=params.patch_seed,
            **params.fit,
        ),
        cleaner=lambda sky, measured: cleaner_of(sky, measured.priors, {}, {}, **params.fit),
        theory=theory,
        analysis=settings,
        n_mocks=params.skies["mocks"],
    )
    known = Analysis.of(
        observation,
        sky,
        path.cleaner(sky, measured),
        MockMaps.read(given.mocks),
        theory,
        **settings,
    ).bandpowers_of(slice(None))
    rows = [
        certify(path, observation, sky, measured, known, number, params.skies["seed"], r)
        for r in (0.0, params.skies["r"])
        for number in params.numbers
    ]
    write_table(snakemake.output.skies, pd.DataFrame(rows))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
