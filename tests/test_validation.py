"""Validation of estimators: known E and B go in, and r comes back within its interval."""

import numpy as np
import pandas as pd
import pytest

from patchsep.inference.coverage import coverage
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import cmb_noise
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.spectra.estimator import Estimator
from patchsep.studies.calibration import pulls
from patchsep.studies.validation import leakage, recover_r

NSIDE = 16


@pytest.fixture(scope="module")
def theory(spectra):
    return spectra[: 3 * NSIDE]


@pytest.fixture(scope="module")
def pure():
    pixels = np.arange(int(0.8 * 12 * NSIDE**2))
    return Estimator.of(pixels, NSIDE, "pure", 15.0, 3)


def test_cmb_noise_is_that_of_dense_least_squares(dense, bright_sky):
    """The scatter of the CMB that least squares finds in noise of known spectral parameters."""
    noise = cmb_noise(dense.frequency, WhiteNoise(dense.sigma), DUST_AND_SYNCHROTRON)
    rng = np.random.default_rng(0)
    data = dense.sigma[:, None, None] * rng.standard_normal((len(dense.sigma), 2, 2000))
    values = np.repeat(np.array([[*DUST_AND_SYNCHROTRON.start.values()]]).T, 2000, axis=1)
    maps, _ = dense.solve(values, data)
    assert maps[0].std() == pytest.approx(noise, rel=4 / np.sqrt(2 * 4000))


def test_leakage_and_recovery_are_told_apart(pure, theory):
    table = leakage(pure, theory, r=0.01, realizations=40, seed=1)
    pulls = (table["from_b"] - table["expected"]) / table["from_b_scatter"] * np.sqrt(40)
    assert np.abs(pulls).max() < 4
    assert (table["from_e"] < 0.3 * table["expected"]).all()
    again = leakage(pure, theory, r=0.01, realizations=40, seed=1)
    pd.testing.assert_frame_equal(table, again)


def test_r_of_skies_without_foregrounds_is_unbiased_and_in_its_interval(pure, theory):
    n_skies, r = 150, 0.03
    skies = recover_r(pure, theory, noise=0.05, r=r, realizations=n_skies, seed=2)
    found = coverage(skies, r)
    assert abs(found["bias"]) < 4 * found["bias_error"]
    assert found["coverage68"] == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / n_skies))
    assert found["coverage95"] == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / n_skies))
    assert found["scatter"] / found["sigma"] == pytest.approx(1, abs=0.35)


def test_coverage_counts_intervals_that_hold_the_truth():
    skies = pd.DataFrame(
        {
            "r_hat": [1.0, 3.0, np.nan, np.nan],
            "sigma_r_minus": [1.0, 1.0, np.nan, np.nan],
            "sigma_r_plus": [1.0, 3.0, np.nan, np.nan],
            "r68_low": [0.5, 2.5, np.nan, np.nan],
            "r68_high": [1.5, 3.5, np.nan, np.nan],
            "r95_low": [0.0, 0.5, np.nan, np.nan],
            "r95_high": [2.0, 5.0, np.nan, np.nan],
        }
    )
    found = coverage(skies, 1.0)
    assert found["coverage68"] == 0.25
    assert found["coverage95"] == 0.5
    assert found["n_unusable"] == 2
    assert found["sigma"] == 1.5
    assert found["bias"] == pytest.approx(1 / 1.5)


def test_pulls_are_what_was_found_less_the_truth_over_the_error():
    """Of skies whose spectra scatter by their errors; one octave has twice the truth."""
    rng = np.random.default_rng(4)
    octaves = [("temp_dust", 1, 1, 1.0), ("temp_dust", 2, 3, 2.0)]
    rows = [
        {
            "parameter": name,
            "ell_min": first,
            "ell_max": last,
            "expected": 5.0,
            "prior": 5.0 * factor,
            "power": 5.0 * factor + 0.5 * rng.standard_normal(),
            "error": 0.5,
            "effective_modes": 3.0,
        }
        for _ in range(400)
        for name, first, last, factor in octaves
    ]
    table = pulls(pd.DataFrame(rows))
    assert list(zip(table["ell_min"], table["ell_max"])) == [(1, 1), (2, 3)]
    assert list(table["n_skies"]) == [400, 400]
    np.testing.assert_allclose(table["prior"], [1, 2])
    np.testing.assert_allclose(table["power"], [1, 2], atol=0.02)
    np.testing.assert_allclose(table["pull_scatter"], 1, atol=0.15)
    np.testing.assert_allclose(table["pull_error"], table["pull_scatter"] / 20)
    np.testing.assert_allclose(table["pull"], [0, 10], atol=0.2)
