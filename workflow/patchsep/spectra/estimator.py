"""BB spectra of a masked sky: three estimators, and what each makes of a theory's spectrum.

`pseudo` is the masked spectrum over f_sky, as published (arXiv:2604.08463); `decoupled` undoes the
mask's coupling of multipoles and of E with B (MASTER, Hivon et al. 2002; polarization: Kogut et
al. 2003); `pure` takes the B modes that no E mode can mimic under the mask (Smith 2006).
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from ducc0.misc import experimental

from ..instrument.beam import Resolution, common_window
from ..lazy import healpy as hp
from ..sky.harmonics import analyze, gaussian_qu, n_cores, synthesize
from .apodization import ELL_MIN, apodized, steps_of

# Bins of fewer modes than this are not used, but by `pseudo`: on small pieces of the sky, those at
# low ell.
FEWEST_MODES = 5.0
# Bins with a multipole of which beams and filters leave less of the power are not used.
LEAST_POWER = 0.1
ESTIMATORS = ("pseudo", "decoupled", "pure")


def ell_max(nside: int) -> int:
    """Highest multipole of the analysis, 2 nside + 1 (129 at nside 64)."""
    return 2 * nside + 1


@dataclass(frozen=True)
class Estimator:
    """An estimator of BB on one piece of the sky.

    Attributes
    ----------
    name : str
        Of `ESTIMATORS`.
    weights : array (n_pixels,)
        Of the whole sky in RING order, 0 where masked.
    bin_width : int
        Multipoles per bin.
    resolution : Resolution, or None
        Of the maps; spectra are those of the sky, with its window undone.
    """

    name: str
    weights: np.ndarray
    bin_width: int = 1
    resolution: Resolution | None = None

    @classmethod
    def of(
        cls,
        pixels: np.ndarray,
        nside: int,
        estimator: str,
        apodization: float | Sequence[Sequence[float]],
        bin_width: int,
        resolution: Mapping | None = None,
        pixel_weights: np.ndarray | float = 1.0,
    ) -> "Estimator":
        """The estimator that the settings `spectra` describe, on the sky of these pixels.

        With `pseudo`, as published, every multipole is a bin and no edge is apodized.
        `apodization` is in degrees, or pairs of a multipole and the degrees of the bins from there
        on. `pixel_weights` (n_pixels,) are 1 as published.

        Raises
        ------
        ValueError
            See `steps_of`.
        """
        weights = np.zeros(hp.nside2npix(nside))
        weights[pixels] = pixel_weights
        if estimator == "pseudo":
            return cls(estimator, weights, resolution=Resolution.of(resolution))
        steps = steps_of(apodization)
        how = bin_width, Resolution.of(resolution)
        estimators = tuple(cls(estimator, apodized(weights, width), *how) for _, width in steps)
        if len(steps) == 1:
            return estimators[0]
        starts = tuple(start for start, _ in steps)
        return SteppedEstimator(estimator, estimators[-1].weights, *how, estimators, starts)

    @cached_property
    def nside(self) -> int:
        return hp.npix2nside(len(self.weights))

    @cached_property
    def bins(self) -> np.ndarray:
        """Averaging (n_bins, lmax + 1) over the multipoles of each bin, by 2 ell + 1.

        Bins begin at ell = 2; the last may be wider than the others.
        """
        ell = np.arange(ell_max(self.nside) + 1)
        n_bins = (len(ell) - ELL_MIN) // self.bin_width
        number = np.minimum((ell - ELL_MIN) // self.bin_width, n_bins - 1)
        return _averages(number, n_bins)

    def expected(self, bb: np.ndarray) -> np.ndarray:
        """What is expected of every bin (n_bins,) for a theory's BB (3 nside,)."""
        return self.windows @ bb[: self.windows.shape[1]]

    @cached_property
    def windows(self) -> np.ndarray:
        """Window functions (n_bins, n_ell) of the bins: what each has of the sky's BB.

        Averages over the multipoles of a bin, where couplings are undone multipole by multipole,
        or ignored, as published, by `pseudo`; `pure` spectra are averages of coupled multipoles.
        """
        return self._pure_windows[1] if self.name == "pure" else self.bins

    @cached_property
    def _power_seen(self):
        """What maps have of the sky's power, (3 nside,); 1 where all of it is filtered out."""
        power = common_window(self.resolution, 3 * self.nside - 1) ** 2
        power[:ELL_MIN] = 1.0
        return power

    @cached_property
    def _sky_bins(self):
        """The averages of power in maps, which give that of the sky."""
        return self.bins / self._power_seen[: self.bins.shape[1]]

    @property
    def ell(self) -> np.ndarray:
        """Mean multipole of every bin."""
        return self.bins @ np.arange(self.bins.shape[1])

    @property
    def effective_sky(self) -> float:
        """Fraction of the sky, <w²>² / <w⁴>, whose modes the weighted map has (Hivon et al. 2002).

        f_sky where all pixels weigh the same, 0 where none has a weight.
        """
        if not self.weights.any():
            return 0.0
        return np.mean(self.weights**2) ** 2 / np.mean(self.weights**4)

    @property
    def most_modes(self) -> np.ndarray:
        """Modes (n_bins,) of as much sky; `n_modes`, which only simulations tell, is below."""
        return self.effective_sky * (self.bins > 0) @ (2 * np.arange(self.bins.shape[1]) + 1.0)

    def n_modes(self, bb: np.ndarray, realizations: int, seed: int) -> np.ndarray:
        """Independent modes of every bin, (n_bins,).

        For `pseudo` f_sky (2 ell + 1), as published. Otherwise the number that the scatter of BB
        over Gaussian skies stands for, 2 <C>² / var(C): it is smaller where the mask's edge or
        the purification takes modes away.

        Parameters
        ----------
        bb : array (> lmax,)
            BB of those skies, which have no E modes.
        realizations, seed : int
        """
        if self.name == "pseudo":
            return self.effective_sky * (2 * self.ell + 1)
        rng = np.random.default_rng(seed)
        skies = [self.draw_sky(0 * bb, bb, rng) for _ in range(realizations)]
        with ThreadPoolExecutor(n_cores()) as pool:
            spectra = np.stack(list(pool.map(lambda qu: self.spectrum(self.modes(qu)), skies)))
        # The mean is known, and need not be taken from the same skies.
        expected = self.expected(bb)
        return 2 * expected**2 / np.mean((spectra - expected) ** 2, axis=0)

    def draw_sky(self, ee: np.ndarray, bb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Q, U (2, 12 nside²) of a Gaussian sky with spectra (3 nside,), at the resolution."""
        seen = common_window(self.resolution, len(bb) - 1) ** 2
        return gaussian_qu(seen * ee, seen * bb, self.nside, rng)

    def used(self, n_modes: np.ndarray) -> np.ndarray:
        """Bins (n_bins,) that have modes enough, and of whose power maps have enough.

        With `pseudo` all have modes enough, as published.
        """
        enough = (n_modes >= FEWEST_MODES) | (self.name == "pseudo")
        if self.resolution is None:
            return enough
        power = self._power_seen[: self.bins.shape[1]]
        return enough & (np.where(self.bins > 0, power, np.inf).min(axis=1) >= LEAST_POWER)

    def binned_theory(self, theory, sky_theory, realizations: int, seed: int) -> pd.DataFrame:
        """All that a likelihood needs to know of the bins.

        Parameters
        ----------
        theory, sky_theory : DataFrame
            `cmb.cmb_spectra` that r is measured with, and that the sky was drawn from, up to
            3 nside - 1.
        realizations, seed :
            See `n_modes`.

        Returns
        -------
        DataFrame
            `ell`, `n_modes`, whether that is enough for the bin to be `used`, and in µK² what
            is expected of `bb_lensing`, `bb_tensor` and `sky_bb_tensor` at r = 1.
        """

        def binned(table, name):
            return self.expected(table[name].to_numpy())

        n_modes = self.n_modes(theory["bb_lensing"].to_numpy(), realizations, seed)
        return pd.DataFrame(
            {
                "ell": self.ell,
                "n_modes": n_modes,
                "used": self.used(n_modes),
                "bb_lensing": binned(theory, "bb_lensing"),
                "bb_tensor": binned(theory, "bb_tensor"),
                "sky_bb_tensor": binned(sky_theory, "bb_tensor"),
            }
        )

    def modes(self, qu: np.ndarray) -> np.ndarray:
        """Coefficients of a map (2, n_pixels), linear in it: (1 or 2, n_alm), B last.

        Pixels without a weight may have any value, though derivatives of weights reach beyond them.
        """
        qu = np.where(self.weights > 0, qu, 0.0)
        # Couplings are undone over all multipoles that the map has.
        lmax = ell_max(self.nside) if self.name == "pseudo" else 3 * self.nside - 1
        weighted = analyze(self.weights * qu, 2, lmax)
        if self.name == "pseudo":
            return weighted[1:]
        if self.name == "decoupled":
            return weighted
        lower, lowest = self._derivatives
        ell = np.maximum(hp.Alm.getlm(lmax)[0], ELL_MIN)
        first = analyze(_conjugate_product(lower, qu), 1, lmax)[1]
        second = analyze(_conjugate_product(lowest, qu)[1:], 0, lmax)[0]
        pure = (
            weighted[1]
            # ducc0's sign of odd spins.
            - 2 * first / np.sqrt((ell - 1) * (ell + 2))
            + second / np.sqrt((ell - 1) * ell * (ell + 1) * (ell + 2))
        )
        return pure[None]

    @cached_property
    def _harmonic_weights(self):
        # Derivatives amplify what is left of an analysis's error by ell².
        return analyze(self.weights[None], 0, 3 * self.nside - 1, iterations=10)[0]

    @cached_property
    def _derivatives(self):
        """ð and ð² of the weights, maps of spin 1 and 2."""
        alm = self._harmonic_weights
        ell = hp.Alm.getlm(3 * self.nside - 1)[0].astype(float)
        factors = (ell * (ell + 1), (ell - 1) * ell * (ell + 1) * (ell + 2))
        return [
            synthesize(np.stack([np.sqrt(np.maximum(f, 0)) * alm, 0 * alm]), spin, self.nside)
            for spin, f in enumerate(factors, start=1)
        ]

    def spectrum(self, modes: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """BB (n_bins,) of `modes`, or their cross-spectrum with those of another map."""
        others = modes if others is None else others
        pseudo = np.stack([hp.alm2cl(*pair) for pair in zip(modes, others, strict=True)])
        if self.name == "pseudo":
            return self._sky_bins @ pseudo[-1] / np.mean(self.weights**2)
        return self._decouple @ pseudo[:, ELL_MIN:].ravel()

    @cached_property
    def _decouple(self):
        """Matrix from pseudo-spectra, E's first where it is measured, to BB in bins."""
        if self.name == "pure":
            return self._pure_windows[0]
        plus, minus = self._coupling(4, 2)
        matrix = np.block([[plus, minus], [minus, plus]])
        inside = self._sky_bins[:, ELL_MIN:]
        averages = np.zeros((len(self.bins), len(matrix)))
        averages[:, len(plus) : len(plus) + inside.shape[1]] = inside
        return np.linalg.solve(matrix.T, averages.T).T

    @cached_property
    def _pure_windows(self):
        """The matrix of `_decouple`, and `windows`.

        Pseudo-spectra are averaged over bins before couplings between these are undone (Hivon et
        al. 2002, Section 3.2): on a small sky single multipoles cannot be told from one another.
        """
        (coupling,) = self._coupling(0, 1)
        ell = np.arange(ELL_MIN, 3.0 * self.nside)
        # Pure B modes are those of a scalar field whose power has this factor.
        factor = (ell - 1) * ell * (ell + 1) * (ell + 2)
        matrix = coupling * factor / factor[:, None] * self._power_seen[ELL_MIN:]
        n_bins = len(self.bins)
        number = np.full(3 * self.nside, -1)
        number[: self.bins.shape[1]] = np.where(self.bins > 0, 1, 0).argmax(axis=0)
        beyond = np.arange(3 * self.nside - self.bins.shape[1]) // self.bin_width
        number[self.bins.shape[1] :] = n_bins + beyond
        averages = _averages(number, number.max() + 1)[:, ELL_MIN:]
        coupled = averages @ matrix
        between = coupled @ (averages > 0).T
        solved = np.linalg.solve(between, np.eye(len(between)))[:n_bins]
        windows = np.pad(solved @ coupled, ((0, 0), (ELL_MIN, 0)))
        return solved @ averages, windows

    def _coupling(self, kind, n_matrices):
        """Coupling matrices (n_matrices, n_ell, n_ell) of ducc0's kind, from ELL_MIN on."""
        lmax = 3 * self.nside - 1
        power = hp.alm2cl(self._harmonic_weights)[None]
        coupling = np.empty((n_matrices, lmax + 1, lmax + 1))
        experimental.coupling_matrix_rect(power, (kind,), coupling)
        return (coupling * (2 * np.arange(lmax + 1.0) + 1))[:, ELL_MIN:, ELL_MIN:]


@dataclass(frozen=True)
class SteppedEstimator(Estimator):
    """An estimator whose bins have edges of several widths.

    Few multipoles want wide ones: a pure B mode has ell^4 times its power in the map, and what a
    narrow edge takes from multipoles far above is then more than what is there (Grain, Tristram &
    Stompor 2009, arXiv:0903.2350). Many multipoles want narrow ones, which leave more of the sky.
    `weights` are those of the highest bins.

    Attributes
    ----------
    steps : tuple of Estimator
    starts : tuple of int
        Bins whose lowest multipole is this or more are those of a step.
    """

    steps: tuple[Estimator, ...] = ()
    starts: tuple[int, ...] = ()

    @cached_property
    def _step_of_bins(self):
        lowest = (self.bins > 0).argmax(axis=1)
        return np.searchsorted(self.starts, lowest, side="right") - 1

    def _of_bins(self, of_steps):
        """Rows of each step's own bins, of arrays (n_bins, …)."""
        return np.stack([of_steps[step][own] for own, step in enumerate(self._step_of_bins)])

    @cached_property
    def windows(self) -> np.ndarray:
        return self._of_bins([one.windows for one in self.steps])

    @property
    def most_modes(self) -> np.ndarray:
        return self._of_bins([one.most_modes for one in self.steps])

    def modes(self, qu: np.ndarray) -> np.ndarray:
        """Coefficients of a map (2, n_pixels) by step, (n_steps, 1 or 2, n_alm)."""
        return np.stack([one.modes(qu) for one in self.steps])

    def spectrum(self, modes: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        others = modes if others is None else others
        return self._of_bins(
            [one.spectrum(*m) for one, *m in zip(self.steps, modes, others, strict=True)]
        )


def _averages(number, n_bins):
    """Averages (n_bins, n_ell) by 2 ell + 1 over multipoles of a bin's number; none below 2."""
    ell = np.arange(len(number))
    inside = (number == np.arange(n_bins)[:, None]) & (ell >= ELL_MIN)
    bins = inside * (2 * ell + 1.0)
    return bins / bins.sum(axis=1, keepdims=True)


def _conjugate_product(derivative, qu):
    """Real and imaginary part of conj(derivative) × (Q + iU)."""
    (a, b), (q, u) = derivative, qu
    return np.stack([a * q + b * u, a * u - b * q])
