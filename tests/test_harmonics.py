"""Harmonics against healpy: spectra of masked maps, and Gaussian fields of known spectra."""

import healpy as hp
import numpy as np
import pytest

from patchsep.sky.harmonics import analyze, gaussian_qu, gaussian_scalar

NSIDE, LMAX, N_REALIZATIONS = 16, 32, 150
ELL = np.arange(LMAX + 1)
CL_EE = np.where(ELL >= 2, 3.0 / np.maximum(ELL, 1) ** 2.0, 0.0)
CL_BB = np.where(ELL >= 2, 0.2 / np.maximum(ELL, 1) ** 0.5, 0.0)


def healpy_spectra(qu):
    """EE and BB of a full-sky map, iterated until the band-limited map is analysed exactly."""
    return hp.anafast([np.zeros_like(qu[0]), *qu], lmax=LMAX, iter=10)[1:3]


def assert_mean_spectrum(spectra, expected):
    """The mean over realisations agrees with the expected C_ell, each ell within its variance."""
    n_modes = (2 * ELL + 1)[2:] * len(spectra)
    pulls = (np.mean(spectra, axis=0)[2:] / expected[2:] - 1) * np.sqrt(n_modes / 2)
    assert np.all(np.abs(pulls) < 4)
    # The mean of chi² over degrees of freedom, with its own standard deviation.
    assert np.mean(pulls**2) == pytest.approx(1, abs=4 * np.sqrt(2 / len(pulls)))


@pytest.mark.parametrize("nside", [16, 32])
@pytest.mark.parametrize("sky_fraction", [0.2, 1.0])
def test_b_modes_are_healpys(nside, sky_fraction):
    rng = np.random.default_rng(0)
    qu = rng.standard_normal((2, hp.nside2npix(nside)))
    latitude = hp.pix2ang(nside, np.arange(qu.shape[1]), lonlat=True)[1]
    qu[:, latitude < np.degrees(np.arcsin(1 - 2 * sky_fraction))] = 0
    expected = hp.anafast([np.zeros_like(qu[0]), *qu])[2]
    b_modes = analyze(qu, 2, 3 * nside - 1)[1]
    np.testing.assert_allclose(hp.alm2cl(b_modes), expected, rtol=1e-8, atol=1e-18)


def test_modes_do_not_depend_on_the_highest_multipole_asked_for():
    qu = np.random.default_rng(0).standard_normal((2, hp.nside2npix(NSIDE)))
    few, all_modes = (hp.alm2cl(analyze(qu, 2, lmax)[1]) for lmax in (20, 3 * NSIDE - 1))
    np.testing.assert_array_equal(few, all_modes[:21])


@pytest.fixture(scope="module")
def polarization_spectra():
    rng = np.random.default_rng(1)
    draws = [gaussian_qu(CL_EE, CL_BB, NSIDE, rng) for _ in range(N_REALIZATIONS)]
    return np.array([healpy_spectra(qu) for qu in draws])


def test_gaussian_polarization_has_the_e_spectrum_asked_for(polarization_spectra):
    assert_mean_spectrum(polarization_spectra[:, 0], CL_EE)


def test_gaussian_polarization_has_the_b_spectrum_asked_for(polarization_spectra):
    assert_mean_spectrum(polarization_spectra[:, 1], CL_BB)


@pytest.mark.parametrize("pure", [0, 1], ids=["E", "B"])
def test_e_and_b_modes_are_those_of_healpy(pure):
    """Pure E (B) power has no B (E) power in healpy's analysis, which fixes the sign of U."""
    cl = np.zeros((2, LMAX + 1))
    cl[pure] = CL_EE
    found = healpy_spectra(gaussian_qu(*cl, NSIDE, np.random.default_rng(2)))
    assert found[pure].sum() > 0
    assert found[1 - pure].max() < 1e-12 * found[pure].max()


def test_e_and_b_modes_are_uncorrelated():
    rng = np.random.default_rng(3)
    maps = [gaussian_qu(CL_EE, CL_EE, NSIDE, rng) for _ in range(30)]
    alm = [hp.map2alm_spin(list(qu), 2, lmax=LMAX) for qu in maps]
    cross = np.mean([hp.alm2cl(e, b) for e, b in alm], axis=0)[2:]
    pulls = cross / CL_EE[2:] * np.sqrt((2 * ELL + 1)[2:] * len(maps))
    assert np.all(np.abs(pulls) < 4)


def test_gaussian_scalar_has_the_spectrum_asked_for():
    rng = np.random.default_rng(4)
    draws = [gaussian_scalar(CL_EE, NSIDE, rng) for _ in range(N_REALIZATIONS)]
    assert_mean_spectrum([hp.anafast(draw, lmax=LMAX, iter=10) for draw in draws], CL_EE)
