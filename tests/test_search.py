"""The search: what samplers try, what is predicted, and how near that is to fits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from patchsep.separation.partitions import configurations, partition
from patchsep.skies.fit_foreground_model import fit_foreground_model
from patchsep.skies.mocks import mock_skies
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.spectra.estimator import Estimator
from patchsep.studies.search import (
    SAMPLERS,
    compare_samplers,
    compare_with_fits,
    predict_r,
    search,
)

VALUES = {
    "beta_dust": [1, 3, 10, 30, 100, 300],
    "temp_dust": [1, 3, 10, 30, 100],
    "beta_synch": [1, 3, 10, 30],
}
ALL = configurations([VALUES])


def valley(name):
    """Lowest at 30-10-3."""
    return sum(np.log(int(k) / best) ** 2 for k, best in zip(name.split("-"), (30, 10, 3)))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_all_configurations_are_tried_once_if_there_is_time(sampler):
    tried = search(valley, {key: values[:2] for key, values in VALUES.items()}, sampler, 100, 0)
    assert sorted(tried) == sorted(name for name in ALL if set(name.split("-")) <= {"1", "3"})


def test_the_same_seed_tries_the_same_configurations():
    one, again, other = (search(valley, VALUES, "tpe", 30, seed) for seed in (0, 0, 1))
    assert one == again != other
    assert len(set(one)) == 30


def test_tpe_finds_a_valley_earlier_than_chance():
    table = pd.DataFrame({"configuration": ALL, "predicted": [valley(name) for name in ALL]})
    found = compare_samplers(table.assign(fitted=0.0), VALUES, 40, 5, 0)
    assert set(found["sampler"]) == set(SAMPLERS)
    for _, run in found.groupby(["sampler", "repeat"]):
        assert run["predicted"].is_monotonic_decreasing
    late = found[found["evaluation"] == 40].groupby("sampler")["predicted"].mean()
    assert late["tpe"] < late["random"]


NSIDE, PIXELS = 16, np.arange(400, 1000)
SETTINGS = {"max_iterations": 200, "tolerance": 1e-3}


@pytest.fixture(scope="module")
def skies(few_pixels):
    """beta_dust varies as mock skies take it to, and no other parameter."""
    return [few_pixels(PIXELS, seed, scatter=[1.0, 0.0, 0.0]) for seed in range(4)]


@pytest.fixture(scope="module")
def measured(spectra):
    estimator = Estimator.of(PIXELS, NSIDE, "pseudo", 0.0, 1)
    table = spectra.assign(ell=np.arange(len(spectra)))
    return {
        "estimator": estimator,
        "theory": estimator.binned_theory(table, table, 10, 0),
        "amplitude_scatter": 0.7,
        "model": DUST_AND_SYNCHROTRON,
        **SETTINGS,
    }


def test_what_is_predicted_is_near_what_fits_come_to(skies, measured):
    """On mock skies nothing is known but what one observation shows. One sky differs much from
    another; so this is of the average of some."""
    values = {"beta_dust": [1, 10], "temp_dust": [1], "beta_synch": [1]}
    draws = partition("kmeans", NSIDE, PIXELS, values, 5)
    rows = []
    for seed, sky in enumerate(skies):
        model = fit_foreground_model(sky, 0, 10 * seed, DUST_AND_SYNCHROTRON, **SETTINGS)
        mocks = mock_skies(model, sky, 4, 10 * seed, DUST_AND_SYNCHROTRON)
        for name in ("1-1-1", "10-1-1"):
            predicted, left = predict_r(name, draws, mocks, [0, 1, 2], **measured)
            compared = compare_with_fits(
                name, draws, replace(sky, noise_seed=9), list(range(6)), left, **measured
            )
            rows.append({"name": name, "predicted": predicted, "left": left[3:].sum(), **compared})
    table = pd.DataFrame(rows)
    np.testing.assert_allclose(table[["ratio_5", "ratio_10"]], 1, atol=0.15)
    found = table.groupby("name").mean()
    np.testing.assert_allclose(found["predicted"], found["fitted"], rtol=0.7)
    # One patch leaves more of the foregrounds than ten.
    assert found["left"]["1-1-1"] > 1.5 * found["left"]["10-1-1"]
