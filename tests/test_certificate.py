"""A certificate: what is counted over mock observations, and what these are."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from patchsep.analysis.certificate import certificate, mock_observation, tarp_rank
from patchsep.analysis.mock_maps import clean_mocks, draw_mock_observation
from patchsep.analysis.null_tests import BANDPOWERS, SPLITS, rank_probability
from patchsep.fields.prior import expected_prior
from patchsep.observation.observation import Observation
from patchsep.skies.foreground_fields import fit_foregrounds
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

N_SKIES, N_SAMPLES = 400, 20


# Ranks


def ranks(n_parameters, width, offset=0.0):
    """Of Gaussian posteriors that are stated so many times as wide, off by so many errors."""
    rng = np.random.default_rng(1)
    sigma = 10.0 ** np.arange(n_parameters)
    found = []
    for _ in range(N_SKIES):
        true = rng.standard_normal(n_parameters)
        measured = true + sigma * (offset + rng.standard_normal(n_parameters))
        errors = width * sigma * rng.standard_normal((N_SAMPLES, n_parameters))
        found.append(tarp_rank(measured, errors, true, rng))
    return np.array(found)


@pytest.mark.parametrize("n_parameters", [1, 3])
def test_ranks_are_uniform_where_the_posterior_is_right_and_only_there(n_parameters):
    right = ranks(n_parameters, 1.0)
    assert right.min() >= 0 and right.max() <= 1
    assert stats.kstest(right, "uniform").pvalue > 1e-3
    for wrong in (ranks(n_parameters, 0.5), ranks(n_parameters, 1.0, offset=1.5)):
        assert stats.kstest(wrong, "uniform").pvalue < 1e-6


def test_few_samples_have_uniform_ranks_too():
    """Four, of which ranks are five numbers, and the truth is farther from their mean than they."""
    rng = np.random.default_rng(2)
    found = [
        tarp_rank(rng.standard_normal(2), rng.standard_normal((4, 2)), np.zeros(2), rng)
        for _ in range(2000)
    ]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_a_parameter_without_errors_has_no_part_in_ranks():
    rng = np.random.default_rng(3)
    errors = np.c_[rng.standard_normal(50), np.zeros(50)]
    found = tarp_rank(np.array([0.1, 2.0]), errors, np.array([0.0, 2.0]), np.random.default_rng(4))
    assert 0 < found < 1


# The table


def skies_of(r, held68, held95, n_skies=10, **columns):
    """Intervals of which so many of each content hold r."""
    number = np.arange(n_skies)
    return pd.DataFrame(
        {
            "sky": number,
            "r": r,
            "r_hat": r + 1e-3 * (number - 4.0),
            "sigma_r_minus": 1e-3,
            "sigma_r_plus": 3e-3,
            "r68_low": np.where(number < held68, r - 1e-3, r + 1e-3),
            "r68_high": r + 2e-3,
            "r95_low": r - 2e-3,
            "r95_high": np.where(number < held95, r + 2e-3, r - 1e-3),
            "converged": number > 0,
            "tarp_rank": (number + 0.5) / n_skies,
            SPLITS: (number + 1) / n_skies,
            BANDPOWERS: 1 / n_skies,
            "n_mocks": 100,
            "n_offset": np.where(number < 3, number, 0),
        }
        | columns
    )


def test_intervals_that_hold_r_are_counted_with_their_binomial_errors():
    table = certificate(pd.concat([skies_of(3e-3, 7, 9), skies_of(0.0, 5, 10)]))
    assert list(table["r"]) == [0.0, 3e-3]
    first, second = table.to_dict("records")
    assert (first["coverage68"], first["coverage95"]) == (0.5, 1.0)
    assert (second["coverage68"], second["coverage95"]) == (0.7, 0.9)
    assert second["coverage68_error"] == pytest.approx(np.sqrt(0.7 * 0.3 / 10))
    assert set(table["n_skies"]) == {10} and set(table["n_unconverged"]) == {1}
    assert set(table["n_offset"]) == {2}
    # r_hat is too high by half a sigma of 2e-3 / 4, of a scatter of √(55 / 6) 1e-3.
    np.testing.assert_allclose(table["bias"], 0.25)
    np.testing.assert_allclose(table["scatter"], 1e-3 * np.std(np.arange(10), ddof=1))
    np.testing.assert_allclose(table["bias_error"], table["scatter"] / np.sqrt(10) / 2e-3)


def test_a_sky_without_r_holds_nothing():
    skies = skies_of(0.0, 10, 10)
    skies.loc[:3, ["r_hat", "r68_low", "r68_high", "r95_low", "r95_high"]] = np.nan
    (row,) = certificate(skies).to_dict("records")
    assert row["n_unusable"] == 4 and row["n_skies"] == 10
    assert row["coverage68"] == row["coverage95"] == 0.6


def test_what_is_flat_has_a_probability_that_says_so():
    table = certificate(pd.concat([skies_of(0.0, 7, 9), skies_of(3e-3, 7, 9)])).set_index("r")
    assert np.all(table["tarp_flat"] > 0.9) and np.all(table[f"{SPLITS} flat"] > 0.9)
    assert table.loc[0.0, f"{BANDPOWERS} flat"] < 1e-6
    # Skies with tensors are none of r = 0.
    assert np.isnan(table.loc[3e-3, f"{BANDPOWERS} flat"])
    without = skies_of(0.0, 7, 9).drop(columns=SPLITS)
    assert f"{SPLITS} flat" not in certificate(without)


def test_ranks_among_few_mock_skies_are_flat_as_often_as_is_said():
    """Of many skies against the same mock skies, whose own scatter is not held against them."""
    rng, found = np.random.default_rng(6), []
    for _ in range(200):
        mocks = rng.standard_normal(50)
        ranks = [rank_probability(one, mocks) for one in rng.standard_normal(400)]
        skies = skies_of(0.0, 7, 9, n_skies=400, n_mocks=50).assign(**{SPLITS: ranks})
        found.append(certificate(skies)[f"{SPLITS} flat"].item())
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.05)
    assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.15)


# Mock observations


@pytest.fixture(scope="module")
def observed(few_pixels):
    """An observation of some pixels of LiteBIRD, its fields, and spectra of a CMB."""
    (region,) = [few_pixels(np.arange(40, 400), seed=1, scatter=0.02)]
    maps = region.observe(0)
    observation = Observation([region], maps, np.stack([maps, maps]))
    sky = WholeSky([region], DUST_AND_SYNCHROTRON)
    priors = [
        expected_prior(
            "field", 16, {"mean": mean, "mean_error": error, "scatter": error / 3, "slope": -2.0}, 6
        )
        for mean, error in ((1.6, 0.1), (19.0, 2.0), (-3.1, 0.1))
    ]
    limits = {"max_iterations": 100, "tolerance": 1e-6}
    measured = fit_foregrounds(observation, sky, priors, **limits)
    ell = np.arange(3.0 * 16)
    power = np.where(ell > 1, 1e-4, 0.0)
    theory = pd.DataFrame(
        {"ee_scalar": power, "ee_tensor": 0 * power, "bb_lensing": power, "bb_tensor": 1e3 * power}
    )
    return SimpleNamespace(observation=observation, sky=sky, measured=measured, theory=theory)


def mock(observed, number=0, seed=5, r=0.0, observation=None):
    return mock_observation(
        observation or observed.observation,
        observed.sky,
        observed.measured,
        observed.theory,
        number,
        seed,
        r,
    )


def test_splits_of_a_mock_observation_have_its_maps_as_their_mean(observed):
    found = mock(observed)
    np.testing.assert_allclose(found.splits.mean(axis=0), found.maps, atol=1e-12)
    rms = found.half_difference.std(axis=(1, 2))
    error = 1 / np.sqrt(2 * found.maps[0].size)
    np.testing.assert_allclose(rms / observed.sky.noise.sigma, 1, atol=5 * error)
    whole = replace(observed.observation, splits=None)
    assert mock(observed, observation=whole).splits is None
    np.testing.assert_array_equal(mock(observed, observation=whole).maps, found.maps)


def test_a_mock_observation_is_drawn_again_from_its_seed(observed):
    one, again = mock(observed), mock(observed)
    np.testing.assert_array_equal(one.maps, again.maps)
    for other in (mock(observed, number=1), mock(observed, seed=6), mock(observed, r=1.0)):
        assert np.abs(other.maps - one.maps).max() > 0
    # Noise of the maps and of the splits' difference are independent.
    noise = draw_mock_observation(
        observed.observation, observed.sky, observed.measured, observed.theory, 0, 5
    ).noise
    correlation = np.corrcoef(noise.ravel(), one.half_difference.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(noise.size)


def test_a_mock_observation_has_the_foregrounds_observed_and_tensors_of_its_r(observed):
    drawn = draw_mock_observation(
        observed.observation, observed.sky, observed.measured, observed.theory, 0, 5, r=1.0
    )
    bright = observed.observation.maps[-1]
    assert np.corrcoef(drawn.foregrounds[-1].ravel(), bright.ravel())[0, 1] > 0.99
    # Spectra are flat: E has as much as lensing, and B 1001 times that.
    assert drawn.b_modes.std() / drawn.e_modes.std() == pytest.approx(np.sqrt(1001), rel=0.1)


def test_mock_skies_are_cleaned_of_what_they_have(observed):
    """With a way of cleaning that knows all: the first band less its foregrounds."""
    seen = []

    def clean(data):
        seen.append(data)
        n = len(data)
        parameters = np.tile(np.array([1.6, 19.0, -3.1])[:, None], (n, 1, data.shape[-1]))
        return SimpleNamespace(cmb=data[:, 0], parameters=parameters, converged=np.arange(n) != 5)

    found = clean_mocks(
        observed.observation, observed.sky, observed.measured, clean, observed.theory, range(5), 5
    )
    # Four skies at once: foregrounds alone, then all of it.
    assert [len(data) for data in seen] == [8, 2]
    for number in (0, 4):
        drawn = draw_mock_observation(
            observed.observation, observed.sky, observed.measured, observed.theory, number, 5
        )
        np.testing.assert_allclose(found.residual[number], drawn.foregrounds[0])
        np.testing.assert_allclose(found.e_modes[number], drawn.e_modes)
        np.testing.assert_allclose(found.cmb[number], drawn.e_modes + drawn.b_modes)
        np.testing.assert_allclose(found.noise[number], drawn.noise[0], atol=1e-9)
    np.testing.assert_array_equal(found.converged, [True, False, True, True, True])
    assert found.difference.shape == found.cmb.shape
    assert found.parameter_errors.shape == (5, 3, found.cmb.shape[-1])
