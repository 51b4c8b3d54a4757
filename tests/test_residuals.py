"""Residuals: spectra as healpy measures them, and a residual that vanishes where it must."""

import healpy as hp
import numpy as np
import pytest

from patchsep.residuals import cmb_variance, residual_spectra
from patchsep.spectra import Estimator

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
