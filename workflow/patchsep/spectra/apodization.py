"""Weights of pixels that rise smoothly from the edge of a mask."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..lazy import healpy as hp

# Spectra have no monopole and dipole.
ELL_MIN = 2
# Widest edge, in degrees.
WIDEST = 90.0
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


def steps_of(apodization: float | Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Multipoles, and the degrees of bins from each of them on; of a number one step.

    Raises
    ------
    ValueError
        If the first is not `ELL_MIN`, the others do not increase, or an edge is too wide.
    """
    if not isinstance(apodization, Sequence):
        return [(ELL_MIN, apodization)]
    steps = [(start, width) for start, width in apodization]
    starts, widths = zip(*steps, strict=True)
    if starts[0] != ELL_MIN:
        raise ValueError(f"the first pair is of multipole {starts[0]:g}; begin with {ELL_MIN}")
    for before, after in pairwise(starts):
        if after <= before:
            raise ValueError(
                f"multipole {after:g} comes after {before:g}; let multipoles of the pairs increase"
            )
    if max(widths) > WIDEST:
        raise ValueError(f"{max(widths):g} degrees are too wide; take {WIDEST:g} at most")
    return steps
