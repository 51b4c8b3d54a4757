"""Judging: skies put together, r of all trials of a set, and its error."""

from dataclasses import replace

import healpy as hp
import numpy as np
import pandas as pd
import pytest

from patchsep.inference.selection import by_area
from patchsep.inference.sets import judge, mean_spectra, shown_tables
from patchsep.inference.skies import clean_sky, measure, partitions_of_choices
from patchsep.instrument.noise import simulate_noise
from patchsep.observation.region_sky import observe
from patchsep.spectra.estimator import Estimator
from patchsep.spectra.residuals import residual_spectra

NSIDE = 16
ELL = np.arange(2, 130)
CHOICES = pd.DataFrame(
    [
        ("oracle", "hi", "2-1-1"),
        ("oracle", "low", "1-1-1"),
        ("variance", "hi", "3-1-1"),
        ("variance", "low", "1-1-1"),
    ],
    columns=["criterion", "region", "configuration"],
)


# Skies


@pytest.fixture(scope="module")
def skies(few_pixels):
    """Two regions of one spectrum."""
    return [few_pixels(np.arange(60), 60), few_pixels(np.arange(1000, 1040), 40, "low")]


@pytest.fixture(scope="module")
def partitions(skies):
    return partitions_of_choices(CHOICES, skies, 5, {}, "kmeans")


@pytest.fixture(scope="module")
def cleaned(skies, partitions):
    rehearsed = {}
    for sky in skies:
        foregrounds = np.stack([sky.foregrounds, 1.1 * sky.foregrounds])
        noise = [simulate_noise(sky.sigma, len(sky.pixels), 9, n, "rehearsal") for n in range(2)]
        rehearsed[sky.region] = np.stack([foregrounds, foregrounds + noise])
    return list(clean_sky(CHOICES, partitions, skies, [0, 1], rehearsed))


def test_every_chosen_configuration_is_fitted_once(cleaned):
    names = [(area, sky.configuration) for area, sky in cleaned]
    assert names == [
        ("hi", "2-1-1"),
        ("hi", "3-1-1"),
        ("low", "1-1-1"),
        ("combined", "2-1-1 + 1-1-1"),
        ("combined", "3-1-1 + 1-1-1"),
    ]


def test_regions_are_put_together_side_by_side(cleaned):
    by_name = {sky.configuration: sky for _, sky in cleaned}
    hi, low, both = (by_name[name] for name in ("3-1-1", "1-1-1", "3-1-1 + 1-1-1"))
    for field in ("pixels", "cmb", "systematic", "recovered", "parameters", "patches"):
        joined = np.concatenate([getattr(hi, field), getattr(low, field)], axis=-1)
        np.testing.assert_array_equal(getattr(both, field), joined)
    assert both.n_patches["n_patches_beta_dust"] == 4
    assert both.n_patches["n_patches_temp_dust"] == 2
    np.testing.assert_allclose(both.counts["nll"], hi.counts["nll"] + low.counts["nll"])


def test_rows_have_the_spectra_of_the_whole_map(cleaned):
    area, sky = cleaned[-1]
    settings = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}
    table = measure(area, sky, NSIDE, settings)
    estimator = Estimator.of(sky.pixels, NSIDE, **settings)
    expected = residual_spectra(sky.recovered, sky.cmb, sky.systematic, sky.pixels, estimator)
    assert list(table["realization"]) == [0, 1]
    np.testing.assert_array_equal(np.stack(table["total"]), expected.total)
    np.testing.assert_array_equal(np.stack(table["statistical"]), expected.statistical)
    np.testing.assert_array_equal(table["systematic"][0], expected.systematic)
    assert table["f_sky"][0] == pytest.approx(100 / hp.nside2npix(NSIDE))


def test_what_is_left_of_rehearsals_is_measured_like_what_is_left_of_the_sky(cleaned, skies):
    """The first rehearsal has the sky's very foregrounds, the second brighter ones."""
    settings = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}
    area, sky = cleaned[0]
    assert sky.rehearsed.shape == sky.rehearsed_noise.shape == (2, 2, 60)
    np.testing.assert_allclose(sky.rehearsed[0], sky.systematic, atol=1e-5)
    table = measure(area, sky, NSIDE, settings)
    first = measure(area, replace(sky, rehearsed=sky.systematic[None]), NSIDE, settings)
    np.testing.assert_allclose(first["rehearsed"][0], first["systematic"][0])
    second = measure(area, replace(sky, rehearsed=sky.rehearsed[1:]), NSIDE, settings)
    one = measure(area, replace(sky, rehearsed=sky.rehearsed[:1]), NSIDE, settings)
    np.testing.assert_allclose(
        table["rehearsed"][0], (one["rehearsed"][0] + second["rehearsed"][0]) / 2
    )


def test_a_trial_has_patches_noise_and_cmb_of_its_own(skies, partitions):
    names = ["hi", ("beta_dust", 3)]
    other = partitions_of_choices(CHOICES, skies, 6, {}, "kmeans")
    assert np.any(partitions[names[0]][0][names[1]] != other[names[0]][0][names[1]])
    first, second = (observe(replace(skies[0], noise_seed=seed), [0]) for seed in (3, 4))
    assert np.all(first[1] != second[1])


def test_a_fit_that_did_not_converge_is_kept_and_counted(skies, partitions):
    rehearsed = {"hi": np.stack([observe(skies[0], [2])] * 2)}
    _, sky = next(clean_sky(CHOICES, partitions, skies, [0, 1], rehearsed, max_iterations=1))
    assert list(sky.counts["n_unconverged"]) == [1, 1]
    assert list(sky.counts["n_unconverged_systematic"]) == [1, 1]
    assert list(sky.counts["n_unconverged_rehearsed"]) == [4, 4]


def test_pixels_of_less_noise_weigh_more(cleaned):
    """With w = 1 / σ² the power of white noise is <w² σ²> / <w²>, here 1.02 instead of 50.5."""
    n_pixels, n_realizations = hp.nside2npix(NSIDE), 20
    pixels = np.arange(n_pixels)
    sigma = np.where(pixels < n_pixels // 2, 1.0, 10.0)
    noise, rehearsed = np.random.default_rng(0).standard_normal((2, n_realizations, 2, n_pixels))
    nothing = np.zeros((2, n_pixels))
    counts = pd.DataFrame({"nll": np.zeros(n_realizations)})
    sky = replace(
        cleaned[0][1],
        pixels=pixels,
        cmb=nothing,
        systematic=nothing,
        recovered=sigma * noise,
        rehearsed=np.zeros((0, 2, n_pixels)),
        rehearsed_noise=sigma * rehearsed,
        counts=counts,
    )
    settings = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}
    even, weighted = (
        measure("hi", sky, NSIDE, settings, weights) for weights in ("uniform", "inverse_variance")
    )
    power = [np.stack(table["statistical"]).mean() for table in (even, weighted)]
    pixel_area = hp.nside2pixarea(NSIDE)
    assert power[0] == pytest.approx(50.5 * pixel_area, rel=0.05)
    # Weights change smoothly from one half to the other.
    assert 0.9 < power[1] / pixel_area < 1.5
    assert even["mode_fraction"].eq(1).all()
    assert weighted["mode_fraction"][0] == pytest.approx(0.5, abs=0.1)


# r


@pytest.fixture(scope="module")
def tensor(spectra):
    return spectra["bb_tensor"].to_numpy()[ELL]


STATISTICAL = np.full(len(ELL), np.radians(2 / 60) ** 2)


def trial(rng, systematic, n_realizations=10):
    """Spectra of residuals with the scatter of 60 % of the sky."""
    n_modes = 0.6 * (2 * ELL + 1)
    scatter = rng.chisquare(n_modes, (n_realizations, len(ELL))) / n_modes
    statistical = STATISTICAL * scatter
    return pd.DataFrame(
        {
            "area": "combined",
            "configuration": "1-1-1",
            "pixel_weights": "uniform",
            "mode_fraction": 1.0,
            "f_sky": 0.6,
            "variance": 1.0,
            "n_patches_beta_dust": 3,
            "n_patches_temp_dust": 3,
            "n_patches_beta_synch": 3,
            "n_unconverged": 0,
            "n_unconverged_systematic": 1,
            "n_unconverged_rehearsed": 2,
            "n_at_bounds": 2,
            "total": list(statistical + systematic),
            "statistical": list(statistical),
            "systematic": [systematic] * n_realizations,
            "rehearsed": [systematic / 1.5] * n_realizations,
        }
    )


@pytest.fixture(scope="module")
def bands(spectra, tensor):
    return pd.DataFrame(
        {
            "ell": ELL,
            "n_modes": 0.6 * (2 * ELL + 1),
            "bb_lensing": spectra["bb_lensing"].to_numpy()[ELL],
            "bb_tensor": tensor,
            "sky_bb_tensor": tensor,
            "used": True,
        }
    )


@pytest.fixture
def judged(bands, tensor):
    """r of `n_trials` trials whose systematic residual looks like tensors of r = 2e-3."""

    def run(seed=0, n_trials=4, excess=2e-3 * tensor, resamplings=50, bootstrap_seed=0, **kinds):
        rng = np.random.default_rng(seed)
        trials = [trial(rng, excess) for _ in range(n_trials)]
        return judge(trials, bands, 0.0, resamplings, bootstrap_seed, **kinds)

    return run


def test_r_is_that_of_the_residual_within_its_error(judged):
    row, estimate, samples = judged()
    assert row["r_hat"] == pytest.approx(2e-3, abs=4 * row["r_hat_error"])
    assert row["r_upper68"] == row["r_hat"] + row["sigma_r_plus"] == estimate.r_upper68
    assert samples.shape == (50, 3)
    assert row["n_trials"] == 4
    assert row["n_realizations"] == 40
    assert row["n_unconverged_systematic"] == 4
    assert row["n_unconverged_rehearsed"] == 8
    assert row["r68_low"] < row["r_hat"] < row["r68_high"]
    assert row["r95_low"] < row["r68_low"]


def test_what_rehearsals_leave_is_allowed_for(judged):
    """They leave two thirds of what the sky does, and that is within what the amplitude may be."""
    left = 5 * STATISTICAL * (10 / ELL) ** 2
    neglected, _, _ = judged(excess=left)
    marginalised = {"foreground_residual": "marginalised", "amplitude_scatter": 0.7}
    allowed, _, samples = judged(excess=left, **marginalised)
    assert neglected["r_hat"] > neglected["sigma_r_plus"]
    assert abs(allowed["r_hat"]) < 0.5 * allowed["sigma_r_plus"]
    assert samples[:, 0].std() == pytest.approx(allowed["r_hat_error"], rel=0.05)


def test_fewer_modes_make_wider_likelihoods(bands, tensor):
    of_trial = trial(np.random.default_rng(0), 0 * tensor)
    wide, narrow = (
        judge([of_trial.assign(mode_fraction=modes)], bands, 0.0, 2, 0)[1] for modes in (0.25, 1)
    )
    assert wide.r_hat == pytest.approx(narrow.r_hat, abs=1e-7)
    shared = np.interp(narrow.r, wide.r, wide.likelihood)
    np.testing.assert_allclose(shared, narrow.likelihood**0.25, atol=1e-3)


def test_an_interval_with_r_above_zero_starts_there(judged):
    row, _, _ = judged(excess=np.zeros(len(ELL)))
    assert row["r68_low"] < 0 <= row["r68_physical_low"]
    assert row["r95_physical_high"] > row["r68_physical_high"] > 0


def test_the_bootstraps_error_is_the_scatter_of_independent_sets(judged):
    rows = [judged(seed=seed, resamplings=30)[0] for seed in range(25)]
    r_hat = np.array([row["r_hat"] for row in rows])
    error = np.mean([row["r_hat_error"] for row in rows])
    # So many sets know their scatter to 14 %.
    assert error / r_hat.std(ddof=1) == pytest.approx(1, abs=0.45)


def test_single_realizations_scatter_by_more_than_their_mean(judged):
    row, _, _ = judged()
    assert row["r_single_scatter"] > 3 * row["r_hat_error"]
    assert row["r_single_bias"] == pytest.approx(2e-3, abs=4 * row["r_single_scatter"] / 40**0.5)


def test_the_same_seed_draws_the_same_realizations_for_every_method(judged):
    """So that ratios of methods have no scatter of the draw."""
    one, other = judged(bootstrap_seed=1)[2], judged(bootstrap_seed=1)[2]
    np.testing.assert_array_equal(one, other)
    assert np.any(judged(bootstrap_seed=2)[2] != one)


def test_mean_spectra_are_those_of_all_trials(bands, tensor):
    rng = np.random.default_rng(0)
    trials = [trial(rng, tensor, n) for n in (3, 5)]
    mean = mean_spectra(trials, bands, 1e-3)
    everything = np.concatenate([np.stack(table["total"]) for table in trials])
    np.testing.assert_allclose(mean["total"], everything.mean(axis=0))
    assert list(mean["ell"]) == list(ELL)
    sky = bands["bb_lensing"] + 1e-3 * bands["sky_bb_tensor"]
    np.testing.assert_allclose(mean["observed"], sky + mean["total"])


# What was chosen


def test_areas_are_the_regions_and_all_of_them_together():
    assert by_area(CHOICES) == {
        "oracle": {"hi": "2-1-1", "low": "1-1-1", "combined": "2-1-1 + 1-1-1"},
        "variance": {"hi": "3-1-1", "low": "1-1-1", "combined": "3-1-1 + 1-1-1"},
    }


def test_shown_are_a_criterions_choices_with_the_first_weights_and_templates():
    kinds = {
        "pixel_weights": ["uniform", "uniform", "inverse_variance", "uniform"],
        "foreground_residual": "neglected",
        "templates": ["consistent", "consistent", "consistent", "published"],
    }
    figures = dict.fromkeys(("r_hat", "sigma_r_minus", "sigma_r_plus", "r_upper68"), 0.0)
    judged = pd.DataFrame(
        {
            "criterion": ["oracle", "variance", "variance", "variance"],
            "region": "hi",
            "configuration": ["2-1-1", "3-1-1", "3-1-1", "3-1-1"],
            **kinds,
            **figures,
            "r_input": 0.0,
        }
    )
    table = judged[["region", "configuration", *kinds]].assign(x=range(4))
    table = pd.concat([table, table.assign(region="low", x=-1)])
    rows = shown_tables("variance", {("unseen", "kmeans"): (judged, table)})
    assert rows[["set", "method", "configuration", "x"]].to_numpy().tolist() == [
        ["unseen", "kmeans", "3-1-1", 1]
    ]
