"""BB bandpowers of a cleaned map, and their scatter by mock skies.

With splits they are the splits' cross-spectrum, which is the spectrum of the map less that of half
the difference; without, the spectrum of the map less what mock skies have of noise.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..instrument.beam import common_window
from ..sky.harmonics import n_cores
from ..sky.regions import full_sky
from ..spectra.estimator import Estimator
from ..spectra.pixel_weights import PIXEL_WEIGHTS
from .mock_maps import MockMaps

# Correlation of neighbouring bins.
MOST_CORRELATED = 0.45
# Part of what is expected that a bandpower, both with noise, is at least in the likelihood.
LEAST = 0.1
# Others that every mock sky has cross-spectra with.
N_OTHERS = 20


@dataclass(frozen=True)
class Bandpowers:
    """Bandpowers of one region, µK²; arrays are (n_bins,).

    Attributes
    ----------
    estimator : Estimator
    bb : array
        Of the sky, less noise.
    noise : array
        What noise adds to the spectrum of the map, on average, and is taken off.
    bias : array
        What mock skies have besides lensing and foregrounds: E modes that leak, and what fits make
        of noise in both splits.
    residual : array
        What foregrounds are expected to leave.
    lensing, tensor : arrays
        Theory, tensors at r = 1.
    mocks : array (n_skies, n_bins)
        Bandpowers of mock skies.
    scatter : array (n_bins, n_bins)
        Covariance of bandpowers without what foregrounds leave, µK⁴, see `scatter_of_pairs`.
    difference : float array, or None
        Spectrum of half the splits' difference.
    mock_differences : array (n_skies, n_bins), or of no skies
    n_averaged : int
        Mock skies that `bias` and `residual` are means of.
    """

    estimator: Estimator
    bb: np.ndarray
    noise: np.ndarray
    bias: np.ndarray
    residual: np.ndarray
    lensing: np.ndarray
    tensor: np.ndarray
    mocks: np.ndarray
    scatter: np.ndarray
    difference: np.ndarray | None
    mock_differences: np.ndarray
    n_averaged: int

    @property
    def floor(self) -> np.ndarray:
        """What is expected without tensors and foregrounds, noise included."""
        return self.lensing + self.bias + self.noise

    @cached_property
    def n_modes(self) -> np.ndarray:
        """Modes that the scatter of skies without foregrounds stands for, and of what is expected.

        The latter is a mean of mock skies, which scatters as much as so many of them do.
        """
        variance = np.diag(self.scatter) * (1 + 1 / self.n_averaged)
        return 2 * self.floor**2 / variance

    def offset(self, bb: np.ndarray) -> np.ndarray:
        """What is added to low bandpowers (n_bins,), and to what is expected, in the likelihood.

        A spectrum less its noise, leakage and coupling can scatter below zero, where ln L of
        Gaussian modes has no value. With an offset (as that of Mangilli et al. 2015,
        arXiv:1503.01347) it has one, closer to Gaussian. This is the smallest that makes the
        bandpower `LEAST` times what is expected: none where there are many modes.
        """
        return np.maximum(LEAST * self.floor - bb - self.noise, 0) / (1 - LEAST)

    @cached_property
    def correlation(self) -> np.ndarray:
        """Of neighbouring bins (n_bins, n_bins), by mock skies; of others it is left out.

        The estimator undoes it. It is `MOST_CORRELATED` at most: half is the most that bins can
        have with their neighbours alone.
        """
        number = np.arange(len(self.bb))
        distance = np.abs(number[:, None] - number)
        errors = np.sqrt(np.diag(self.scatter))
        found = self.scatter / np.outer(errors, errors)
        found = np.where(distance == 1, np.clip(found, -MOST_CORRELATED, MOST_CORRELATED), 0.0)
        return found + np.eye(len(number))

    @property
    def covariance(self) -> np.ndarray:
        """Of bandpowers (n_bins, n_bins), µK⁴: the scatter of mock skies, with foregrounds."""
        return np.cov(self.mocks, rowvar=False)

    @property
    def used(self) -> np.ndarray:
        """Bins that r is measured with: bool array."""
        return self.estimator.used(self.n_modes)

    def table(self) -> pd.DataFrame:
        """A row per bin; see the documentation of `bandpowers.csv`."""
        return pd.DataFrame(
            {
                "ell": self.estimator.ell,
                "bb": self.bb,
                "error": np.sqrt(np.diag(self.covariance)),
                "noise_bias": self.noise,
                "other_bias": self.bias,
                "lensing": self.lensing,
                "tensor": self.tensor,
                "residual": self.residual,
                "n_modes": self.n_modes,
                "offset": self.offset(self.bb),
                "used": self.used,
            }
        )


def measure_bandpowers(
    cleaned: np.ndarray,
    difference: np.ndarray | None,
    mocks: MockMaps,
    estimator: Estimator,
    pixels: np.ndarray,
    theory: pd.DataFrame,
) -> Bandpowers:
    """Bandpowers of one region, or of all.

    Parameters
    ----------
    cleaned : array (2, n_pixels), µK_CMB
    difference : array (2, n_pixels), or None
        Half the difference of the cleaned splits.
    mocks : MockMaps
        Of the same pixels.
    estimator : Estimator
    pixels : int array (n_pixels,)
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    """

    def modes(qu):
        return estimator.modes(full_sky(qu, pixels, estimator.nside))

    def of_mock(number):
        clean, residual, e_modes, cmb = (
            modes(maps[number])
            for maps in (mocks.cleaned, mocks.residual, mocks.e_modes, mocks.cmb)
        )
        half = [modes(mocks.difference[number])] if len(mocks.difference) else []
        parts = [clean, clean - cmb - residual, residual, e_modes, *half]
        spectra = np.stack([estimator.spectrum(part) for part in parts])
        return spectra, [clean - residual, *half]

    numbers = range(len(mocks.cleaned))
    # What the estimator keeps is computed once, and not by every thread.
    observed = estimator.spectrum(modes(cleaned))
    spectra, alone = zip(*in_parallel(of_mock, numbers), strict=True)
    spectra = np.stack(spectra)
    with_all, noise, residual, leaked = np.moveaxis(spectra[:, :4], 1, 0)
    halves = spectra[:, 4:]
    subtracted = halves[:, 0] if difference is not None else noise.mean(axis=0)
    of_difference = None if difference is None else estimator.spectrum(modes(difference))
    noise_bias = np.broadcast_to(subtracted, noise.shape).mean(axis=0)
    return Bandpowers(
        estimator=estimator,
        bb=observed - (noise_bias if of_difference is None else of_difference),
        noise=noise_bias,
        bias=leaked.mean(axis=0) + (noise - subtracted).mean(axis=0),
        residual=residual.mean(axis=0),
        lensing=estimator.expected(theory["bb_lensing"].to_numpy()),
        tensor=estimator.expected(theory["bb_tensor"].to_numpy()),
        mocks=with_all - subtracted,
        scatter=sum(scatter_of_pairs(of_skies, estimator) for of_skies in zip(*alone, strict=True)),
        difference=of_difference,
        mock_differences=halves.reshape(len(halves), -1)
        if len(mocks.difference)
        else halves[:, 0:0, 0],
        n_averaged=len(spectra),
    )


def scatter_of_pairs(skies: Sequence[np.ndarray], estimator: Estimator) -> np.ndarray:
    """Covariance of the spectra of Gaussian skies, by cross-spectra of different ones.

    Those of two independent skies have no mean, and half the covariance that spectra have. There
    are many more pairs than skies: where a bin has many modes a hundred skies tell its variance
    to 4 %, and by their own spectra to 14 %; where it has ten, to 9 and 18 %.

    Parameters
    ----------
    skies : sequence of arrays, two or more
        Of `Estimator.modes`.
    estimator : Estimator

    Returns
    -------
    array (n_bins, n_bins)
    """
    n_skies = len(skies)
    apart = range(1, min(N_OTHERS, (n_skies - 1) // 2 or 1) + 1)

    def crossed(number):
        others = ((number + step) % n_skies for step in apart)
        spectra = np.stack([estimator.spectrum(skies[number], skies[other]) for other in others])
        return spectra.T @ spectra / len(apart)

    return 2 * np.mean(in_parallel(crossed, range(n_skies)), axis=0)


def in_parallel(function: Callable, numbers: Sequence[int]) -> list:
    """The function of every number, by several threads."""
    with ThreadPoolExecutor(n_cores()) as pool:
        return list(pool.map(function, numbers))


def weighted_estimator(
    mocks: MockMaps,
    pixels: np.ndarray,
    nside: int,
    spectra: dict,
    pixel_weights: str,
    factor: np.ndarray | float = 1.0,
) -> Estimator:
    """The estimator of the settings, with weights by what mock skies leave.

    Parameters
    ----------
    mocks : MockMaps
        Of these pixels.
    pixels : int array (n_pixels,)
    nside : int
    spectra : dict
        What `Estimator.of` takes.
    pixel_weights : str
        Of `pixel_weights.PIXEL_WEIGHTS`.
    factor : array (n_pixels,), optional
        That the weights are multiplied with.
    """
    unweighted = Estimator.of(pixels, nside, **spectra)
    window = common_window(unweighted.resolution, 3 * nside - 1)
    left = mocks.cleaned - mocks.cmb
    weights = PIXEL_WEIGHTS[pixel_weights](left, pixels, nside, window)
    return Estimator.of(pixels, nside, **spectra, pixel_weights=factor * weights)
