"""Weights of pixels that rise smoothly from the edge of a mask."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..lazy import healpy as hp

# Spectra have no monopole and dipole.
ELL_MIN = 2
# Widest edge, in degrees.
WIDEST = 90.0
# Weights inside of an edge are smooth on this part of its width, and on so many pixels.
SMOOTH_PART, SMOOTH_PIXELS = 1 / 3, 2
# Distances to an edge are those between pixels of this nside at least.
EDGE_NSIDE = 256


def apodize(mask: np.ndarray, width: float) -> np.ndarray:
    """Weights that rise smoothly from the edge of a mask.

    Parameters
    ----------
    mask : bool array (n_pixels,)
        True where the sky is kept.
    width : float
        Distance from the edge in degrees within which the weights are below one.

    Returns
    -------
    array (n_pixels,)
        x - sin(2 π x) / 2 π of x² = (1 - cos θ) / (1 - cos width), θ being the distance to the
        edge (Grain, Tristram & Stompor 2009, eq. 36), averaged over every pixel. To the centre of a
        masked pixel it would begin with a step, of which E modes leak into B: at nside 32 and 10
        degrees 30 times as much as there is of lensing at multipoles below 8.
    """
    if width == 0 or mask.all():
        return mask.astype(float)
    width, nside = np.radians(width), hp.npix2nside(len(mask))
    fine = hp.ud_grade(mask.astype(float), max(nside, EDGE_NSIDE)) > 0
    distance = hp.dist2holes(~fine, maxdist=1.1 * width)
    x = np.minimum(np.sqrt((1 - np.cos(distance)) / (1 - np.cos(width))), 1)
    return hp.ud_grade(np.where(fine, x - np.sin(2 * np.pi * x) / (2 * np.pi), 0.0), nside)


def apodized(weights: np.ndarray, width: float) -> np.ndarray:
    """Weights (n_pixels,) of a whole sky with a smooth edge, and as smooth inside of it.

    From kinks, such as between cells that a variance is measured in, E modes leak into B. What is
    masked, with a weight of 0, counts for nothing in the averages.

    Parameters
    ----------
    weights : array (n_pixels,)
    width : float
        See `apodize`.
    """
    mask = weights > 0
    if width > 0 and np.unique(weights[mask]).size > 1:
        pixel = np.degrees(hp.nside2resol(hp.npix2nside(len(mask))))
        fwhm = np.radians(max(SMOOTH_PART * width, SMOOTH_PIXELS * pixel))
        sums, counts = (hp.smoothing(one, fwhm=fwhm) for one in (weights, mask.astype(float)))
        weights = np.where(mask, sums / np.where(mask, counts, 1.0), 0.0)
    return weights * apodize(mask, width)


def steps_of(apodization: float | Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Multipoles, and the degrees of bins from each of them on; of a number one step.

    Raises
    ------
    ValueError
        If the first is not `ELL_MIN`, the others do not increase, or an edge is too wide.
    """
    pairs = apodization if isinstance(apodization, Sequence) else [(ELL_MIN, apodization)]
    starts, widths = zip(*pairs, strict=True)
    if starts[0] != ELL_MIN:
        raise ValueError(f"the first pair is of multipole {starts[0]:g}; begin with {ELL_MIN}")
    for before, after in pairwise(starts):
        if after <= before:
            raise ValueError(
                f"multipole {after:g} comes after {before:g}; let multipoles of the pairs increase"
            )
    if max(widths) > WIDEST:
        raise ValueError(f"{max(widths):g} degrees are too wide; take {WIDEST:g} at most")
    return list(zip(starts, widths, strict=True))
