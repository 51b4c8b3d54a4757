"""r from bandpowers: of a region, of some of its multipoles, and of mock skies."""

from collections.abc import Sequence

import numpy as np

from ..inference.r_likelihood import REstimate, estimate_r, residual_of_unknown_amplitude
from .bandpowers import Bandpowers

# Points of a likelihood of which only the peak counts.
N_POINTS = 101
# Times what is expected that a bandpower with its noise may be below zero. Where there are few
# modes, and r is well above zero, chance brings it some way there.
FARTHEST = 10.0


def estimate_r_of_bandpowers(
    bandpowers: Bandpowers,
    amplitude_scatter: float,
    bb: np.ndarray | None = None,
    weights: np.ndarray | float = 1.0,
    **grid,
) -> REstimate | None:
    """r, with an unknown amplitude of what foregrounds leave.

    Parameters
    ----------
    bandpowers : Bandpowers
    amplitude_scatter : float
        See `residual_of_unknown_amplitude`.
    bb : array (n_bins,), optional
        In place of the observed ones, such as those of a mock sky.
    weights : array (n_bins,), optional
        That bins have in the likelihood; those of none are left out.
    grid :
        Of `estimate_r`.

    Returns
    -------
    REstimate, or None
        The latter where there is no bin; where a bandpower with its noise is `FARTHEST` times as
        far below zero as what is expected is above; or where by few mock skies the latter is not
        positive.
    """
    bb = bandpowers.bb if bb is None else bb
    weights = np.broadcast_to(weights, bandpowers.bb.shape)
    used = bandpowers.used & (weights > 0)
    observed, expected = (bb + bandpowers.noise)[used], bandpowers.floor[used]
    if not len(observed) or not np.all((observed > -FARTHEST * expected) & (expected > 0)):
        return None
    offset = bandpowers.offset(bb)[used]
    floor = residual_of_unknown_amplitude(
        expected + offset, np.maximum(bandpowers.residual, 0)[used], amplitude_scatter
    )
    return estimate_r(
        observed + offset,
        bandpowers.tensor[used],
        floor,
        (weights * bandpowers.n_modes)[used] * (1 + offset / expected) ** 2,
        correlation=bandpowers.correlation[np.ix_(used, used)],
        **grid,
    )


def r_of_mocks(
    bandpowers: Bandpowers, amplitude_scatter: float, weights: np.ndarray | float = 1.0
) -> np.ndarray:
    """r_hat (n_skies,) of the mock skies' bandpowers; NaN where there is none."""
    estimates = [
        estimate_r_of_bandpowers(bandpowers, amplitude_scatter, bb, weights, n_points=N_POINTS)
        for bb in bandpowers.mocks
    ]
    return np.array([np.nan if one is None else one.r_hat for one in estimates])


def bins_within(bandpowers: Bandpowers, multipoles: Sequence[float]) -> np.ndarray:
    """1 for bins whose mean multipole is from the lower to below the higher of two, else 0."""
    low, high = multipoles
    ell = bandpowers.estimator.ell
    return ((ell >= low) & (ell < high)).astype(float)
