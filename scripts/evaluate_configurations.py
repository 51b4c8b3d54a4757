"""Find out what is predicted of every configuration of a search, and what it comes to."""

from pathlib import Path

import numpy as np

from patchsep.files.fingerprints import fingerprint
from patchsep.files.maps import read_maps
from patchsep.files.store import Store
from patchsep.files.tables import read_table, write_table
from patchsep.inference.foreground_model import ForegroundModel
from patchsep.inference.mocks import mock_skies
from patchsep.observation.region_sky import RegionSky
from patchsep.running.logs import log_to
from patchsep.separation.partitions import configurations, partition
from patchsep.spectra.estimator import Estimator
from patchsep.studies.search import evaluate_configurations


def main(snakemake):
    params, settings = snakemake.params, snakemake.params.search
    # Noise that was not observed.
    sky = RegionSky.read(params.region, params.zones, settings["seed"], snakemake.input)
    foreground_model = ForegroundModel.from_columns(
        read_maps(snakemake.input.foreground_model), sky.pixels
    )
    mocks = mock_skies(
        foreground_model,
        sky,
        params.mocks["skies"],
        params.mocks["seed"],
        bounds=params.fit["bounds"],
    )
    values = settings["values"]
    draws = partition(
        "kmeans",
        sky.nside,
        sky.pixels,
        values,
        settings["seed"],
        members=settings["n_draws"],
        own_patches=True,
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
            params.fit,
            params.amplitude_scatter,
            theory.to_csv(),
        ),
    )
    evaluations = evaluate_configurations(
        configurations([values]),
        draws,
        sky,
        mocks,
        list(range(settings["mock_realizations"])),
        list(range(settings["realizations"])),
        store,
        estimator=Estimator.of(sky.pixels, sky.nside, **params.spectra),
        theory=theory,
        amplitude_scatter=params.amplitude_scatter,
        **params.fit,
    )
    write_table(snakemake.output.evaluations, evaluations)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
