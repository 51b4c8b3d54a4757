"""Skies that selected configurations are fitted to: cleaned, put together, and their spectra."""

from dataclasses import replace

import healpy as hp
import numpy as np
import pandas as pd
import pytest

from patchsep.observation.region_sky import observe
from patchsep.skies.cleaned_sky import clean_sky, measure, partitions_of_selected
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.spectra.estimator import Estimator
from patchsep.spectra.residuals import residual_spectra

NSIDE = 16
MODEL = DUST_AND_SYNCHROTRON
SELECTED = pd.DataFrame(
    [
        ("oracle", "hi", "2-1-1"),
        ("oracle", "low", "1-1-1"),
        ("variance", "hi", "3-1-1"),
        ("variance", "low", "1-1-1"),
    ],
    columns=["criterion", "region", "configuration"],
)


@pytest.fixture(scope="module")
def skies(few_pixels):
    """Two regions of one spectrum."""
    return [few_pixels(np.arange(60), 60), few_pixels(np.arange(1000, 1040), 40, "low")]


@pytest.fixture(scope="module")
def partitions(skies):
    return partitions_of_selected(SELECTED, skies, 5, {}, MODEL.names, "kmeans")


@pytest.fixture(scope="module")
def cleaned(skies, partitions):
    mocks = {}
    for sky in skies:
        foregrounds = np.stack([sky.foregrounds, 1.1 * sky.foregrounds])
        noise = [sky.noise.draw(len(sky.pixels), 9, n, "mock") for n in range(2)]
        mocks[sky.region] = np.stack([foregrounds, foregrounds + noise])
    return list(clean_sky(SELECTED, partitions, skies, [0, 1], MODEL, mocks))


def test_every_selected_configuration_is_fitted_once(cleaned):
    names = [(region, sky.configuration) for region, sky in cleaned]
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
    region, sky = cleaned[-1]
    settings = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}
    table = measure(region, sky, NSIDE, settings)
    estimator = Estimator.of(sky.pixels, NSIDE, **settings)
    expected = residual_spectra(sky.recovered, sky.cmb, sky.systematic, sky.pixels, estimator)
    assert list(table["realization"]) == [0, 1]
    np.testing.assert_array_equal(np.stack(table["total"]), expected.total)
    np.testing.assert_array_equal(np.stack(table["statistical"]), expected.statistical)
    np.testing.assert_array_equal(table["systematic"][0], expected.systematic)
    assert table["f_sky"][0] == pytest.approx(100 / hp.nside2npix(NSIDE))


def test_what_is_left_of_mock_skies_is_measured_like_what_is_left_of_the_sky(cleaned, skies):
    """The first mock sky has the sky's very foregrounds, the second brighter ones."""
    settings = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}
    region, sky = cleaned[0]
    assert sky.mock_residuals.shape == sky.mock_noise.shape == (2, 2, 60)
    np.testing.assert_allclose(sky.mock_residuals[0], sky.systematic, atol=1e-5)
    table = measure(region, sky, NSIDE, settings)
    first = measure(region, replace(sky, mock_residuals=sky.systematic[None]), NSIDE, settings)
    np.testing.assert_allclose(first["mock_residual"][0], first["systematic"][0])
    second = measure(region, replace(sky, mock_residuals=sky.mock_residuals[1:]), NSIDE, settings)
    one = measure(region, replace(sky, mock_residuals=sky.mock_residuals[:1]), NSIDE, settings)
    np.testing.assert_allclose(
        table["mock_residual"][0], (one["mock_residual"][0] + second["mock_residual"][0]) / 2
    )


def test_a_sky_has_patches_and_noise_of_its_own(skies, partitions):
    names = ["hi", ("beta_dust", 3)]
    other = partitions_of_selected(SELECTED, skies, 6, {}, MODEL.names, "kmeans")
    assert np.any(partitions[names[0]][0][names[1]] != other[names[0]][0][names[1]])
    first, second = (observe(replace(skies[0], noise_seed=seed), [0]) for seed in (3, 4))
    assert np.all(first[1] != second[1])


def test_a_fit_that_did_not_converge_is_kept_and_counted(skies, partitions):
    mocks = {"hi": np.stack([observe(skies[0], [2])] * 2)}
    _, sky = next(clean_sky(SELECTED, partitions, skies, [0, 1], MODEL, mocks, max_iterations=1))
    assert list(sky.counts["n_unconverged"]) == [1, 1]
    assert list(sky.counts["n_unconverged_systematic"]) == [1, 1]
    assert list(sky.counts["n_unconverged_mocks"]) == [4, 4]


def test_pixels_of_less_noise_weigh_more(cleaned):
    """With w = 1 / σ² the power of white noise is <w² σ²> / <w²>, here 1.02 instead of 50.5."""
    n_pixels, n_realizations = hp.nside2npix(NSIDE), 20
    pixels = np.arange(n_pixels)
    sigma = np.where(pixels < n_pixels // 2, 1.0, 10.0)
    noise, of_mocks = np.random.default_rng(0).standard_normal((2, n_realizations, 2, n_pixels))
    nothing = np.zeros((2, n_pixels))
    counts = pd.DataFrame({"nll": np.zeros(n_realizations)})
    sky = replace(
        cleaned[0][1],
        pixels=pixels,
        cmb=nothing,
        systematic=nothing,
        recovered=sigma * noise,
        mock_residuals=np.zeros((n_realizations, 2, n_pixels)),
        mock_noise=sigma * of_mocks,
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
