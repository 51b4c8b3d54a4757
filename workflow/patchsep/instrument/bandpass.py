"""Bandpasses: at which frequencies a band sees the sky, and how much it makes of each.

Maps are calibrated on the CMB. Where a band's response to a specific intensity is τ(ν), a component
of brightness T(ν) in µK_RJ has in its map, in µK_CMB,

    ∫ τ ν² T dν / ∫ τ ν² c dν ,    c(ν) = µK_RJ per µK_CMB,

which is PySM's convention (bandpasses "in power units"; Planck 2013 IX, arXiv:1303.5070, eq. 32).
T is smooth in ln ν, and for the weight τ ν² of any band a Gauss rule of n nodes is exact for
polynomials of degree 2n - 1 in it (Golub & Welsch 1969): three nodes do for a band of 30 % what
PySM does with hundreds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .units import rj_per_cmb

# Nodes of fits: dust and synchrotron in bands of 30 % to 1e-6. Simulations have more, so that what
# they make does not share the error.
FITTED_NODES, SIMULATED_NODES = 3, 6
# Points that stand for a top hat before its nodes are found.
HAT_POINTS = 64
# Power of ν that makes a response to specific intensity of one to what a convention names.
CONVENTIONS = {"intensity": 0, "rj": -2}


@dataclass(frozen=True)
class Bandpasses:
    """Frequencies at which spectra are evaluated for every band, and their weights.

    Attributes
    ----------
    centre : array (n_bands,), GHz
    nodes : array (n_bands, n_nodes), GHz
    weights : array (n_bands, n_nodes)
        A component's µK_CMB in a band is the sum over nodes of weight times its µK_RJ there.
    labels : tuple of str
        Names of the bands; by their centres if they are not given.
    """

    centre: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray
    labels: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.labels:
            object.__setattr__(self, "labels", tuple(band_labels(self.centre)))

    @classmethod
    def narrow(cls, frequencies) -> "Bandpasses":
        """Infinitely narrow bands at frequencies (n_bands,) in GHz."""
        centre = np.asarray(frequencies, dtype=float)
        return cls(centre, centre[:, None], 1 / rj_per_cmb(centre[:, None]))

    @classmethod
    def of(cls, bands) -> "Bandpasses":
        """Bandpasses themselves, or narrow ones of frequencies (n_bands,) in GHz."""
        return bands if isinstance(bands, cls) else cls.narrow(bands)

    def shifted(self, relative: float | np.ndarray) -> "Bandpasses":
        """The bands at so much higher frequencies, all or each (n_bands,), calibrated on the CMB.

        They keep their names and centres.
        """
        nodes = ((1 + relative) * self.nodes.T).T
        cmb = np.sum(self.weights * rj_per_cmb(nodes), axis=1, keepdims=True)
        was = np.sum(self.weights * rj_per_cmb(self.nodes), axis=1, keepdims=True)
        return replace(self, nodes=nodes, weights=self.weights * was / cmb)

    def __len__(self) -> int:
        return len(self.centre)


def band_labels(frequencies: np.ndarray) -> list[str]:
    """A name for each band: its frequency, and a number where others have the same name."""
    return distinct([f"{frequency:g}GHZ".replace(".", "P") for frequency in frequencies])


def distinct(names: list[str]) -> list[str]:
    """The names, with a number where several are the same."""
    return [
        name if names.count(name) == 1 else f"{name}_{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def over_band(brightness: Callable, nodes: np.ndarray, weights: np.ndarray):
    """µK_CMB in one band of what is some µK_RJ at a frequency in GHz.

    Parameters
    ----------
    brightness : callable
        Of a frequency; nodes without weight are not asked for.
    nodes, weights : arrays (n_nodes,)
        Of one of `Bandpasses`.
    """
    with_weight = [(nu, weight) for nu, weight in zip(nodes, weights, strict=True) if weight]
    return sum(weight * brightness(nu) for nu, weight in with_weight)


@dataclass(frozen=True)
class Transmission:
    """A band's response to specific intensity, on a grid that is its quadrature.

    Attributes
    ----------
    frequency : array (n_points,), GHz
    response : array (n_points,)
        In any unit, times the length dν that each point stands for.
    """

    frequency: np.ndarray
    response: np.ndarray

    @classmethod
    def top_hat(cls, centre: float, bandwidth: float) -> "Transmission":
        """A band of a constant response, of a width given as part of its centre; 0 is narrow."""
        if not bandwidth:
            return cls(np.array([centre]), np.ones(1))
        points, lengths = np.polynomial.legendre.leggauss(HAT_POINTS)
        return cls(centre * (1 + bandwidth / 2 * points), lengths)

    @classmethod
    def tabulated(cls, frequency, response, convention: str = "intensity") -> "Transmission":
        """A response (n_points,) that is given at frequencies in GHz, by the trapezoidal rule.

        Parameters
        ----------
        convention : str
            Of `CONVENTIONS`: the response to specific intensity, or to brightness temperature.

        Raises
        ------
        ValueError
            If frequencies do not increase, or the response is not finite, or has no positive
            integral.
        """
        frequency, response = np.asarray(frequency, float), np.asarray(response, float)
        if len(frequency) < 2 or not np.all(np.diff(frequency) > 0):
            raise ValueError("its frequencies must be two or more, and increase")
        lengths = np.gradient(frequency)
        lengths[[0, -1]] /= 2
        response = response * frequency ** float(CONVENTIONS[convention]) * lengths
        if not (np.isfinite(response).all() and response.sum() > 0):
            raise ValueError("its transmission is not finite, or has no positive integral")
        return cls(frequency, response)

    @property
    def extent(self) -> tuple[float, float]:
        """Lowest and highest frequency of a response, GHz."""
        seen = self.frequency[self.response != 0]
        return float(seen.min()), float(seen.max())

    def rule(self, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes in GHz and weights, both (n_nodes,), see `Bandpasses`.

        Raises
        ------
        ValueError
            For a response that is negative anywhere: it has no Gauss rule.
        """
        if np.any(self.response < 0):
            raise ValueError("its transmission is negative somewhere")
        power = self.response * self.frequency**2
        weight = power / (power @ rj_per_cmb(self.frequency))
        missing = n_nodes - len(self.frequency)
        if missing >= 0:
            return np.pad(self.frequency, (0, missing), "edge"), np.pad(weight, (0, missing))
        logs = np.log(self.frequency)
        middle = weight @ logs / weight.sum()
        nodes, weights = gauss_rule(logs - middle, weight, n_nodes)
        return np.exp(middle + nodes), weights


def gauss_rule(points, weight, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (n_nodes,) of a positive weight at points (n_points,), by Lanczos."""
    total = weight.sum()
    basis, diagonal, beside = [np.sqrt(weight / total)], [], []
    for _ in range(n_nodes):
        vector = points * basis[-1]
        diagonal.append(basis[-1] @ vector)
        for known in 2 * basis:
            vector = vector - (known @ vector) * known
        beside.append(np.linalg.norm(vector))
        basis.append(vector / beside[-1])
    tridiagonal = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    nodes, vectors = np.linalg.eigh(tridiagonal)
    return nodes, total * vectors[0] ** 2


def bandpasses(
    centre: Sequence[float], transmissions: Sequence[Transmission], n_nodes: int
) -> Bandpasses:
    """Bandpasses of as many bands; of one node where all are infinitely narrow."""
    if all(len(one.frequency) == 1 for one in transmissions):
        n_nodes = 1
    rules = [one.rule(n_nodes) for one in transmissions]
    nodes, weights = (np.stack(values) for values in zip(*rules, strict=True))
    return Bandpasses(np.asarray(centre, dtype=float), nodes, weights)
