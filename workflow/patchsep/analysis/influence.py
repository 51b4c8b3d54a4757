"""What drives r: how far it moves if a region or a range of multipoles is left out.

The `shift` is that of first order: what weighs w, in the likelihood or among the pixels of the
spectra, is given the weight w (1 - ε), and r moves by ε times the shift. `left_out` is how far it
moves with w = 0.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from ..inference.r_likelihood import REstimate
from .bandpowers import Bandpowers
from .tensor_ratio import bins_within, estimate_r_of_bandpowers

# Part of a weight that is taken off for the derivative.
STEP = 0.05
COLUMNS = ["kind", "name", "shift", "left_out", "sigma"]


def influence(
    bandpowers: Bandpowers,
    amplitude_scatter: float,
    multipole_ranges: Sequence[Sequence[float]],
    regions: Mapping[str, Callable[[float], Bandpowers]],
) -> pd.DataFrame:
    """How far r moves without each region and each range of multipoles.

    Parameters
    ----------
    bandpowers : Bandpowers
        Of all regions.
    amplitude_scatter : float
    multipole_ranges : sequence of (low, high)
    regions : dict of str to callable
        Bandpowers of all regions in which this one weighs so many times what it does.

    Returns
    -------
    DataFrame
        `kind` (region or multipoles), `name`, `shift`, `left_out` and `sigma`, the half width of
        r's likelihood; NaN where r cannot be measured without it.
    """

    def r_of(bandpowers, weights=1.0):
        estimate = estimate_r_of_bandpowers(bandpowers, amplitude_scatter, weights=weights)
        return np.nan if estimate is None else estimate.r_hat

    def without_bins(inside):
        return lambda weight: r_of(bandpowers, 1 + (weight - 1) * inside)

    everything = estimate_r_of_bandpowers(bandpowers, amplitude_scatter)
    if everything is None:
        return pd.DataFrame(columns=COLUMNS)
    ways = {
        ("multipoles", f"{low:g} to {high:g}"): without_bins(inside)
        for low, high in multipole_ranges
        if np.any(inside := bins_within(bandpowers, (low, high)) * bandpowers.used)
    }
    if len(regions) > 1:
        ways |= {
            ("region", name): lambda weight, of=of: r_of(of(weight)) for name, of in regions.items()
        }
    return influence_table(ways, everything)


def influence_table(
    ways: Mapping[tuple[str, str], Callable[[float], float]], everything: REstimate
) -> pd.DataFrame:
    """How far r moves without each of several things.

    Parameters
    ----------
    ways : dict of (kind, name) to callable
        r_hat where this one weighs so many times what it does.
    everything : REstimate
        With all of them.

    Returns
    -------
    DataFrame
        See `influence`.
    """
    r_hat, sigma = everything.r_hat, (everything.sigma_minus + everything.sigma_plus) / 2
    rows = [
        (*key, (r_with(1 - STEP) - r_hat) / STEP, r_with(0.0) - r_hat, sigma)
        for key, r_with in ways.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
