"""Weights of pixels in the spectra."""

import numpy as np

from ..lazy import healpy as hp


def uniform(residuals: np.ndarray, pixels: np.ndarray, nside: int) -> float:
    """All pixels weigh the same, as published."""
    return 1.0


def inverse_variance(residuals: np.ndarray, pixels: np.ndarray, nside: int) -> np.ndarray:
    """Weights of pixels by the inverse of the residuals' local variance, largest one 1.

    Parameters
    ----------
    residuals : array (n_realizations, 2, n_pixels)
    pixels : int array (n_pixels,)
    nside : int
        The variance is that of HEALPix cells four times as wide, and goes smoothly from one to
        the next.

    Returns
    -------
    array (n_pixels,)
    """
    coarse = max(nside // 4, 1)
    angles = hp.pix2ang(nside, pixels)
    cells = hp.ang2pix(coarse, *angles)
    power, counts = (
        hp.get_interp_val(
            np.bincount(cells, weights=values, minlength=hp.nside2npix(coarse)), *angles
        )
        for values in (np.mean(residuals**2, axis=(0, 1)), np.ones(len(pixels)))
    )
    weights = counts / power
    return weights / weights.max()


# Weights of pixels by the word in the config.
PIXEL_WEIGHTS = {"uniform": uniform, "inverse_variance": inverse_variance}
