"""Weights of pixels in the spectra."""

import numpy as np

from ..lazy import healpy as hp

# BB of lensing at low multipoles, flat, as the depth of white noise in µK arcmin (Lewis & Challinor
# 2006, arXiv:astro-ph/0601594, Section 1).
LENSING = 5.0


def uniform(residuals: np.ndarray, pixels: np.ndarray, nside: int, window: np.ndarray) -> float:
    """All pixels weigh the same, as published."""
    return 1.0


def inverse_variance(
    residuals: np.ndarray, pixels: np.ndarray, nside: int, window: np.ndarray
) -> np.ndarray:
    """Weights of pixels by the inverse of the residuals' local variance, largest one 1.

    Parameters
    ----------
    residuals : array (n_realizations, 2, n_pixels)
    pixels : int array (n_pixels,)
    nside : int
        The variance is that of HEALPix cells four times as wide, and goes smoothly from one to
        the next.
    window : array (n_ell,)
        What maps have of the sky's multipoles.

    Returns
    -------
    array (n_pixels,)
    """
    weights = 1 / _local_variance(residuals, pixels, nside)
    return weights / weights.max()


def inverse_total_variance(
    residuals: np.ndarray, pixels: np.ndarray, nside: int, window: np.ndarray
) -> np.ndarray:
    """The same of residuals and lensing B modes together, which are the same everywhere.

    The weights with which a band power of noise that varies over the sky scatters least beside
    what else there is (Feldman, Kaiser & Peacock 1994, eq. 2.3.4).
    """
    modes = 2 * np.arange(len(window)) + 1
    # Of the variance of Q, or of U, to which E and B of equal power add up.
    lensing = np.radians(LENSING / 60) ** 2 * np.sum(modes * window**2) / (4 * np.pi)
    weights = 1 / (_local_variance(residuals, pixels, nside) + lensing)
    return weights / weights.max()


def _local_variance(residuals, pixels, nside):
    coarse = max(nside // 4, 1)
    angles = hp.pix2ang(nside, pixels)
    cells = hp.ang2pix(coarse, *angles)
    power, counts = (
        hp.get_interp_val(
            np.bincount(cells, weights=values, minlength=hp.nside2npix(coarse)), *angles
        )
        for values in (np.mean(residuals**2, axis=(0, 1)), np.ones(len(pixels)))
    )
    return power / counts


# Weights of pixels by the word in the config.
PIXEL_WEIGHTS = {
    "uniform": uniform,
    "inverse_variance": inverse_variance,
    "inverse_total_variance": inverse_total_variance,
}
