"""Residuals: what foreground cleaning leaves in the CMB map, and its BB spectra."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import healpy as hp
import numpy as np

from .harmonics import n_cores
from .spectra import Estimator


def full_sky(values: np.ndarray, pixels: np.ndarray, nside: int, fill: float = 0.0) -> np.ndarray:
    """Spread (..., n_pixels) over the sky: (..., 12 nside²), `fill` elsewhere."""
    sky = np.full((*values.shape[:-1], hp.nside2npix(nside)), fill, dtype=float)
    sky[..., pixels] = values
    return sky


class ResidualSpectra(NamedTuple):
    """BB spectra in the bins of an estimator, µK²_CMB.

    Attributes
    ----------
    total, statistical : arrays (n_realizations, n_bins)
        Of recovered - true, and of recovered - true - systematic.
    systematic : array (n_bins,)
        Of what a fit to foregrounds alone takes for CMB.
    """

    total: np.ndarray
    statistical: np.ndarray
    systematic: np.ndarray


def residual_spectra(
    recovered: np.ndarray,
    true: np.ndarray,
    systematic: np.ndarray,
    pixels: np.ndarray,
    estimator: Estimator,
) -> ResidualSpectra:
    """Residual BB spectra of one configuration (arXiv:2604.08463, eq. 14 for the statistical).

    Parameters
    ----------
    recovered : array (n_realizations, 2, n_pixels)
        Recovered CMB maps, µK_CMB.
    true, systematic : arrays (2, n_pixels)
        The CMB that went in, and the CMB map of the fit to foregrounds alone.
    pixels : int array (n_pixels,)
    estimator : Estimator
    """

    def modes(qu):
        return estimator.modes(full_sky(qu, pixels, estimator.nside))

    fixed = modes(systematic)
    # Linear in the maps: one transform serves both spectra.
    with ThreadPoolExecutor(n_cores()) as pool:
        scattered = list(pool.map(lambda cmb: modes(cmb - true - systematic), recovered))
    return ResidualSpectra(
        total=np.stack([estimator.spectrum(fixed + alm) for alm in scattered]),
        statistical=np.stack([estimator.spectrum(alm) for alm in scattered]),
        systematic=estimator.spectrum(fixed),
    )


def cmb_variance(recovered: np.ndarray) -> np.ndarray:
    """Variance of the recovered CMB over pixels, Q plus U, of every realisation.

    Parameters
    ----------
    recovered : array (n_realizations, 2, n_pixels), µK_CMB

    Returns
    -------
    array (n_realizations,), µK²_CMB
        Averaged over realisations it is the criterion of the paper's first draft.
    """
    return np.var(recovered, axis=-1).sum(axis=-1)
