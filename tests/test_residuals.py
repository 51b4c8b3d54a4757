"""Residuals: spectra as healpy measures them, and a residual that vanishes where it must."""

import healpy as hp
import numpy as np
import pandas as pd
import pytest

from patchsep.spectra.estimator import Estimator
from patchsep.spectra.pixel_weights import inverse_total_variance, inverse_variance
from patchsep.spectra.residuals import cmb_variance, residual_spectra, with_statistical

NSIDE = 16
ELL = np.arange(2, 2 * NSIDE + 2)
N_PIXELS = hp.nside2npix(NSIDE)


@pytest.fixture(scope="module")
def pixels():
    """The 30 % of the sky in the north."""
    return np.arange(int(0.3 * N_PIXELS))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pseudo(pixels):
    return Estimator.of(pixels, NSIDE, "pseudo", 0.0, 1)


def healpy_bb(qu, pixels):
    """healpy's BB spectrum of the masked sky over f_sky, from the quadrupole."""
    sky = np.zeros((3, N_PIXELS))
    sky[1:, pixels] = qu
    return hp.anafast(sky)[2][ELL] / (len(pixels) / N_PIXELS)


def test_residuals_are_split_into_total_statistical_and_systematic(pixels, rng):
    true, systematic, *noise = rng.standard_normal((5, 2, len(pixels)))
    recovered = true + systematic + np.array(noise)
    spectra = residual_spectra(recovered, true, systematic, pixels, pseudo(pixels))
    np.testing.assert_allclose(spectra.systematic, healpy_bb(systematic, pixels), rtol=1e-8)
    for i, scatter in enumerate(noise):
        expected = healpy_bb(scatter, pixels)
        np.testing.assert_allclose(spectra.statistical[i], expected, rtol=1e-8)
        expected = healpy_bb(systematic + scatter, pixels)
        np.testing.assert_allclose(spectra.total[i], expected, rtol=1e-8)


def test_a_residual_without_noise_is_all_systematic(pixels, rng):
    true, systematic = rng.standard_normal((2, 2, len(pixels)))
    spectra = residual_spectra((true + systematic)[None], true, systematic, pixels, pseudo(pixels))
    np.testing.assert_allclose(spectra.total[0], spectra.systematic, rtol=1e-10)
    assert spectra.statistical.max() < 1e-20 * spectra.systematic.min()


def test_variance_is_that_of_q_plus_that_of_u():
    first = [[1, -1, 1, -1], [2, -2, 2, -2]]  # 1 + 4
    second = [[7, 7, 7, 7], [3, 1, 3, 1]]  # 0 + 1
    assert cmb_variance(np.array([first, second])) == pytest.approx([5, 1])


def test_weights_are_the_inverse_of_the_local_variance():
    """Where it differs from one side of the sky to the other."""
    pixels = np.arange(N_PIXELS)
    longitude, latitude = hp.pix2ang(NSIDE, pixels, lonlat=True)
    sigma = np.where(longitude < 180, 1.0, 3.0)
    residuals = sigma * np.random.default_rng(0).standard_normal((100, 2, N_PIXELS))
    weights = inverse_variance(residuals, pixels, NSIDE, np.ones(3 * NSIDE))
    assert weights.max() == 1
    inside = (np.abs(longitude % 180 - 90) < 60) & (np.abs(latitude) < 60)
    for side, expected in ((longitude < 180, 1), (longitude > 180, 1 / 9)):
        ratio = weights[inside & side] / np.median(weights[longitude < 180])
        np.testing.assert_allclose(ratio, expected, rtol=0.3)


def test_with_lensing_weights_are_those_of_the_total_variance(spectra):
    """Where residuals have a ninth, a third and three times the variance of lensing B modes."""
    pixels = np.arange(N_PIXELS)
    longitude, latitude = hp.pix2ang(NSIDE, pixels, lonlat=True)
    window = hp.gauss_beam(np.radians(10), 3 * NSIDE - 1)
    ell = np.arange(3 * NSIDE)
    lensing = np.where(ell > 1, 2 * ell + 1, 0) * spectra["bb_lensing"][: len(ell)] * window**2
    lensing = lensing.sum() / (4 * np.pi)
    sigma = np.where(longitude < 180, 1.0, 3.0) * np.sqrt(lensing / 3)
    residuals = sigma * np.random.default_rng(0).standard_normal((100, 2, N_PIXELS))
    weights = inverse_total_variance(residuals, pixels, NSIDE, window)
    inside = (np.abs(longitude % 180 - 90) < 60) & (np.abs(latitude) < 60)
    deep, shallow = (weights[inside & side] for side in (longitude < 180, longitude > 180))
    assert shallow.mean() / deep.mean() == pytest.approx((1 + 1 / 3) / (1 + 3), rel=0.1)


def test_cells_with_few_pixels_have_weights_too():
    """On the edge of a mask a cell may keep a single pixel of the sky."""
    pixels = np.array([0, 1, 2, 3, 900])
    residuals = np.random.default_rng(0).standard_normal((50, 2, len(pixels)))
    weights = inverse_variance(residuals, pixels, NSIDE, np.ones(3 * NSIDE))
    assert np.all(np.isfinite(weights) & (weights > 0.3))


def test_by_subtraction_statistical_and_systematic_make_the_total(pixels, rng):
    """Directly they do only on average: what the two have in common is left over."""
    true, systematic = rng.standard_normal((2, 2, len(pixels)))
    recovered = true + systematic + rng.standard_normal((200, 2, len(pixels)))
    spectra = residual_spectra(recovered, true, systematic, pixels, pseudo(pixels))
    by_bin = pd.DataFrame(
        {
            "total": spectra.total.mean(axis=0),
            "statistical": spectra.statistical.mean(axis=0),
            "systematic": spectra.systematic,
        }
    )
    subtracted = with_statistical(by_bin, "subtraction")["statistical"]
    np.testing.assert_allclose(subtracted + by_bin["systematic"], by_bin["total"])
    np.testing.assert_allclose(subtracted, by_bin["statistical"], rtol=0.5)
    assert with_statistical(by_bin, "direct") is by_bin
    rows = pd.DataFrame(
        {
            "total": list(spectra.total),
            "statistical": list(spectra.statistical),
            "systematic": [spectra.systematic] * 200,
        }
    )
    single = np.mean(with_statistical(rows, "subtraction")["statistical"].to_list(), axis=0)
    np.testing.assert_allclose(single, subtracted)
