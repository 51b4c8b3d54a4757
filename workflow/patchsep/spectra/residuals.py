"""Residuals: what foreground cleaning leaves in the CMB map, and its BB spectra."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..sky.harmonics import n_cores
from ..sky.regions import full_sky
from .estimator import Estimator


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


def mean_spectrum(maps: np.ndarray, pixels: np.ndarray, estimator: Estimator) -> np.ndarray:
    """BB (n_bins,) in µK² of maps (n_maps, 2, n_pixels), averaged."""
    skies = full_sky(maps, pixels, estimator.nside)
    return np.mean([estimator.spectrum(estimator.modes(qu)) for qu in skies], axis=0)


def mean_systematic(spectra: list[pd.DataFrame], configuration: str) -> np.ndarray | None:
    """Systematic residual (n_bins,) of a configuration, averaged over skies; None without any."""
    found = [
        table.loc[table["configuration"] == configuration, "systematic"].to_numpy()
        for table in spectra
    ]
    return np.mean(found, axis=0) if found else None


def with_statistical(spectra: pd.DataFrame, statistical: str) -> pd.DataFrame:
    """Residual spectra with the statistical one that the likelihood is to take for noise.

    `direct`: what is left of a map without its systematic residual (arXiv:2604.08463, eq. 14);
    `subtraction`: the total spectrum less the systematic one, as in that paper's first draft.
    Columns may be of numbers or of arrays.
    """
    if statistical == "direct":
        return spectra
    return spectra.assign(statistical=spectra["total"] - spectra["systematic"])


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
