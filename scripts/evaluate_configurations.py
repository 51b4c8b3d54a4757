"""Find out what is predicted of every configuration of a search, and what it comes to."""

from pathlib import Path

import numpy as np

from patchsep.files.fingerprints import fingerprint
from patchsep.files.store import Store
from patchsep.files.tables import read_table, write_table
from patchsep.observation.foreground_model import ForegroundModel
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.separation.partitions import partition
from patchsep.skies.mocks import mock_skies
from patchsep.sky.spectral_model import spectral_model
from patchsep.spectra.estimator import Estimator
from patchsep.studies.search import evaluate_configurations


def main(snakemake):
    params, settings = snakemake.params, snakemake.params.search
    # Noise that was not observed.
    model = spectral_model(**params.model)
    sky = RegionSky.read(params.region, settings["seed"], snakemake.input, model)
    mocks = mock_skies(
        ForegroundModel.read(snakemake.input.foreground_model, sky.pixels, model),
        sky,
        params.mocks["skies"],
        params.mocks["seed"],
        model,
    )
    draws = partition(
        "kmeans",
        sky.nside,
        sky.pixels,
        settings["values"],
        settings["seed"],
        n_draws=settings["n_draws"],
        independent_patches=True,
    )
    theory = read_table(snakemake.input.theory)
    store = Store(
        Path(params.folder),
        fingerprint(
            params.code,
            sky.observe(0),
            np.stack([one.foregrounds for one in mocks]),
            {key: settings[key] for key in ("mock_realizations", "realizations")},
            params.mocks,
            params.spectra,
            params.model,
            params.fit,
            params.amplitude_scatter,
            theory.to_csv(),
        ),
    )
    evaluations = evaluate_configurations(
        settings["values"],
        draws,
        sky,
        mocks,
        list(range(settings["mock_realizations"])),
        list(range(settings["realizations"])),
        store,
        estimator=Estimator.of(sky.pixels, sky.nside, **params.spectra),
        theory=theory,
        amplitude_scatter=params.amplitude_scatter,
        model=model,
        **params.fit,
    )
    write_table(snakemake.output.evaluations, evaluations)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
