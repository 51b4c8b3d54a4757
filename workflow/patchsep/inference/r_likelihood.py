"""The likelihood of the tensor-to-scalar ratio r, and what is read off it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..lazy import optimize, special

# Nodes of the quadrature over a nuisance parameter.
N_NODES = 31
# Content of the half of the likelihood on one side of its peak that σ₊ or σ₋ spans.
HALF_CONTENT = 0.68


@dataclass(frozen=True)
class REstimate:
    """r from one observed spectrum.

    Attributes
    ----------
    r_hat : float
        Where the likelihood peaks.
    sigma_minus, sigma_plus : float
        Distance from the peak at which 68 % of the likelihood below (above) it is
        reached.
    r, likelihood : arrays (n_points,)
        The likelihood over r, one at its peak.
    """

    r_hat: float
    sigma_minus: float
    sigma_plus: float
    r: np.ndarray
    likelihood: np.ndarray

    @property
    def r_upper68(self) -> float:
        """The published "68 % upper limit", r_hat + sigma_plus."""
        return self.r_hat + self.sigma_plus

    @property
    def headline(self) -> dict[str, float]:
        """The published figures, by their names in tables."""
        return {
            "r_hat": self.r_hat,
            "sigma_r_minus": self.sigma_minus,
            "sigma_r_plus": self.sigma_plus,
            "r_upper68": self.r_upper68,
        }

    def interval(self, content: float, lowest: float = -np.inf) -> tuple[float, float]:
        """Shortest interval of r with this content of the likelihood above `lowest`.

        With `lowest` = 0 it is that of a flat prior on r ≥ 0. Where all of the likelihood lies
        below, both ends are `lowest`.
        """
        if self.r[-1] <= lowest:
            return lowest, lowest
        r = np.linspace(max(self.r[0], lowest), self.r[-1], 20 * len(self.r))
        density = np.interp(r, self.r, self.likelihood)
        by_height = np.argsort(density, kind="stable")[::-1]
        inside = np.cumsum(density[by_height]) <= content * density.sum()
        # The highest point always belongs to it.
        points = by_height[: max(inside.sum(), 1)]
        return float(r[points.min()]), float(r[points.max()])

    def intervals(self, lowest: float = -np.inf, suffix: str = "") -> dict[str, float]:
        """Ends of the intervals of 68 % and 95 %, `r68_low` … `r95_high`, with a suffix."""
        ends = {}
        for percent in (68, 95):
            low, high = self.interval(percent / 100, lowest)
            name = f"r{percent}{suffix}"
            ends |= {f"{name}_low": low, f"{name}_high": high}
        return ends


def bias_and_width(r_hat, sigma_plus, r_input=0.0):
    """|r_hat - r_input| + sigma_plus, of numbers or arrays.

    For r_input = 0 and r_hat above it that is the published `r_upper68`; where what is left of
    the foregrounds is allowed for, r may come out too low as well.
    """
    return np.abs(r_hat - r_input) + sigma_plus


class Nuisance(NamedTuple):
    """What a likelihood is averaged over: nodes of a quadrature, and their weights.

    Attributes
    ----------
    floors : array (n_nodes, n_bins)
        What a spectrum has besides tensors.
    weights : array (n_nodes,)
    """

    floors: np.ndarray
    weights: np.ndarray


def residual_of_unknown_amplitude(
    floor: np.ndarray, residual: np.ndarray, scatter: float
) -> Nuisance:
    """A floor that foregrounds add to, with a spectrum whose amplitude is roughly known.

    Parameters
    ----------
    floor, residual : arrays (n_bins,)
        What else there is, and what foregrounds are expected to leave.
    scatter : float
        ln of the amplitude is Gaussian around 0 with this standard deviation.
    """
    nodes = np.linspace(-3, 3, N_NODES)
    weights = np.exp(-(nodes**2) / 2)
    return Nuisance(floor + np.exp(scatter * nodes)[:, None] * residual, weights / weights.sum())


def log_likelihood(r, observed, tensor, floor, n_modes, correlation=None) -> np.ndarray:
    """ln L(r) of a masked BB spectrum (arXiv:2604.08463), but for a constant.

    -2 ln L = Σ_b n_b [C_obs / C_model + ln C_model] over bins, with C_model = r C_tensor +
    C_floor. As published every multipole is a bin of n_b = f_sky (2 ell + 1) modes. Where bins are
    correlated it is Xᵀ ρ⁻¹ X of X_b = sign(x - 1) √[n_b (x - ln x - 1)], x = C_obs / C_model
    (Hamimeche & Lewis 2008, arXiv:0801.0554, eq. 47), which for ρ = 1 is the same.

    Parameters
    ----------
    r : array (...)
    observed, tensor, floor : arrays (n_bins,)
        Observed BB spectrum, tensor spectrum at r = 1, and lensing plus statistical
        residual, all in the same unit.
    n_modes : array (n_bins,)
    correlation : array (n_bins, n_bins), optional
        ρ, of the bins.

    Returns
    -------
    array (...)
        -inf where C_model is not positive.
    """
    model = np.asarray(r, dtype=float)[..., None] * tensor + floor
    positive = np.all(model > 0, axis=-1)
    model = np.where(model > 0, model, 1.0)
    if correlation is None:
        misfit = np.sum(n_modes * (observed / model + np.log(model)), axis=-1)
    else:
        ratio = observed / model
        # Rounded, the smallest are below zero.
        distance = np.sqrt(n_modes * np.maximum(ratio - np.log(ratio) - 1, 0))
        x = np.sign(ratio - 1) * distance
        misfit = np.sum(x * (x @ np.linalg.inv(correlation)), axis=-1)
    return np.where(positive, -0.5 * misfit, -np.inf)


def estimate_r(
    observed: np.ndarray,
    tensor: np.ndarray,
    floor: np.ndarray | Nuisance,
    n_modes: np.ndarray,
    n_points: int = 2001,
    delta_chi2: float = 40.0,
    correlation: np.ndarray | None = None,
) -> REstimate:
    """Estimate r on a grid that goes where the likelihood is.

    Parameters
    ----------
    observed, tensor, floor, n_modes, correlation :
        See `log_likelihood`; its average over a `Nuisance` in place of `floor`.
    n_points : int
        Points of the grid, shared between the two sides of the peak.
    delta_chi2 : float
        The grid reaches to where -2 ln L has risen by this much above its minimum, or
        to the lowest r that leaves the model spectrum positive.

    Raises
    ------
    ValueError
        For spectra that are not finite and positive, or of no bin at all.
    """
    if len(observed) == 0:
        raise ValueError(
            "estimate_r: no bin of the spectra has enough modes; use wider bins or a larger sky"
        )
    floors, weights = floor if isinstance(floor, Nuisance) else (floor[None], np.ones(1))
    for name, spectrum in (("observed", observed), ("tensor", tensor), ("floor", floors)):
        if not np.all(np.isfinite(spectrum) & (spectrum > 0)):
            raise ValueError(
                f"estimate_r: the {name} spectrum must be finite and positive; decoupled and pure "
                "spectra of few modes may not be: use wider bins or more realisations"
            )

    def chi2(r):
        by_node = log_likelihood(
            np.asarray(r)[..., None], observed, tensor, floors, n_modes, correlation
        )
        return -2 * special.logsumexp(by_node, axis=-1, b=weights)

    # Search in a variable in which the allowed range of r is all that lies above zero. The
    # peaks of single multipoles bracket those of all together, of which there may be several.
    lowest = -np.max(np.min(floors / tensor, axis=1))
    single = (observed - floors) / tensor - lowest
    ends = np.log([max(single.min(), -lowest * 1e-9) / 2, single.max() * 2])
    search = np.linspace(*ends, 100)
    best = np.argmin(chi2(lowest + np.exp(search)))
    peak = optimize.minimize_scalar(
        lambda log: chi2(lowest + np.exp(log)),
        bounds=search[[max(best - 1, 0), min(best + 1, len(search) - 1)]],
        method="bounded",
        options={"xatol": 1e-10},
    )
    r_hat = lowest + np.exp(peak.x)

    def excess(r):
        return chi2(r) - chi2(r_hat) - delta_chi2

    width = r_hat - lowest
    upper = r_hat + width
    while excess(upper) < 0:
        upper += upper - r_hat
    upper = optimize.brentq(excess, r_hat, upper)
    nearly_lowest = lowest + 1e-9 * width
    lower = (
        optimize.brentq(excess, nearly_lowest, r_hat)
        if excess(nearly_lowest) > 0
        else nearly_lowest
    )

    half = n_points // 2
    below, above = np.linspace(lower, r_hat, half + 1), np.linspace(r_hat, upper, half + 1)
    r = np.concatenate([below, above[1:]])
    likelihood = np.exp(-(chi2(r) - chi2(r_hat)) / 2)
    return REstimate(
        r_hat=float(r_hat),
        sigma_minus=_half_width(below[::-1], likelihood[half::-1]),
        sigma_plus=_half_width(above, likelihood[half:]),
        r=r,
        likelihood=likelihood,
    )


def _half_width(r, density):
    """Distance from r[0], the peak, within which 68 % of the likelihood along r lies."""
    content = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    distance = np.abs(r - r[0])
    return float(np.interp(HALF_CONTENT, content / content[-1], distance))


def measure_r(
    total: np.ndarray,
    statistical: np.ndarray,
    theory: pd.DataFrame,
    r_input: float,
    residual: np.ndarray | None = None,
    amplitude_scatter: float = 0.0,
    **grid,
) -> REstimate:
    """r from residual spectra, averaged over realisations or of one.

    C_obs = C_lens + C_total + r_input C_tensor and C_model = r C_tensor + C_lens + <C_stat>
    (arXiv:2604.08463), with a `residual` plus A C_residual.

    Parameters
    ----------
    total, statistical : arrays (n_bins,)
        BB of the residuals, µK²_CMB; `statistical` is the mean.
    theory : DataFrame
        `Estimator.binned_theory` of the same estimator; bins that are not `used` are left out.
    r_input : float
        r of the sky; its tensor power is that of the sky's own cosmology.
    residual : array (n_bins,), optional
        What foregrounds are expected to leave, see `residual_of_unknown_amplitude`.
    amplitude_scatter : float
        Of ln A.
    grid :
        `n_points` and `delta_chi2` of `estimate_r`.
    """
    used = theory["used"].to_numpy()
    lensing, tensor, sky_tensor, n_modes = (
        theory[name].to_numpy()[used]
        for name in ("bb_lensing", "bb_tensor", "sky_bb_tensor", "n_modes")
    )
    floor = lensing + statistical[used]
    if residual is not None:
        floor = residual_of_unknown_amplitude(floor, residual[used], amplitude_scatter)
    return estimate_r(
        observed=lensing + total[used] + r_input * sky_tensor,
        tensor=tensor,
        floor=floor,
        n_modes=n_modes,
        **grid,
    )


def beside_theory(
    residuals: Mapping[str, np.ndarray], theory: pd.DataFrame, r_input: float
) -> pd.DataFrame:
    """BB of residuals and of the sky, by bin; of bins that are used.

    Parameters
    ----------
    residuals : dict or DataFrame of arrays (n_bins,), µK²
        `total`, `statistical` and `systematic`.
    theory, r_input :
        See `measure_r`.

    Returns
    -------
    DataFrame
        `ell` and in µK² the residuals, `lensing`, `tensor` at r = 1 in the sky's cosmology, and
        what is `observed`: r_input tensor + lensing + total.
    """
    lensing, tensor = theory["bb_lensing"], theory["sky_bb_tensor"]
    return pd.DataFrame(
        {
            "ell": theory["ell"],
            **residuals,
            "lensing": lensing,
            "tensor": tensor,
            "observed": r_input * tensor + lensing + residuals["total"],
        }
    )[theory["used"].to_numpy()].reset_index(drop=True)
