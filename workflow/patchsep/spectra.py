"""BB spectra of a masked sky: three estimators, and what each makes of a theory's spectrum.

`pseudo` is the masked spectrum over f_sky, as published (arXiv:2604.08463); `decoupled` undoes the
mask's coupling of multipoles and of E with B (MASTER, Hivon et al. 2002; polarization: Kogut et
al. 2003); `pure` takes the B modes that no E mode can mimic under the mask (Smith 2006).
"""

from dataclasses import dataclass
from functools import cached_property

import healpy as hp
import numpy as np
from ducc0.misc import experimental

from .harmonics import analyze, synthesize

ESTIMATORS = ("pseudo", "decoupled", "pure")
ELL_MIN = 2


def ell_max(nside: int) -> int:
    """Highest multipole of the analysis, 2 nside + 1 (129 at nside 64)."""
    return 2 * nside + 1


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
        nearest masked pixel (Grain, Tristram & Stompor 2009, eq. 36).
    """
    if width == 0 or mask.all():
        return mask.astype(float)
    width = np.radians(width)
    distance = hp.dist2holes(~mask, maxdist=1.1 * width)
    x = np.minimum(np.sqrt((1 - np.cos(distance)) / (1 - np.cos(width))), 1)
    return np.where(mask, x - np.sin(2 * np.pi * x) / (2 * np.pi), 0.0)


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
    """

    name: str
    weights: np.ndarray
    bin_width: int = 1

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
        bins = (number == np.arange(n_bins)[:, None]) * (2 * ell + 1.0)
        return bins / bins.sum(axis=1, keepdims=True)

    @property
    def ell(self) -> np.ndarray:
        """Mean multipole of every bin."""
        return self.bins @ np.arange(self.bins.shape[1])

    @property
    def n_modes(self) -> np.ndarray:
        """Modes of every bin, f_sky Σ (2 ell + 1); weights count by their second and fourth moment.

        (Hivon et al. 2002, eq. 17.)
        """
        second, fourth = (np.mean(self.weights**power) for power in (2, 4))
        all_sky = (self.bins > 0) @ (2.0 * np.arange(self.bins.shape[1]) + 1)
        return all_sky * second**2 / fourth

    def modes(self, qu: np.ndarray) -> np.ndarray:
        """Coefficients of a map (2, n_pixels), linear in it: (1 or 2, n_alm), B last."""
        lmax = ell_max(self.nside)
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
    def _derivatives(self):
        """ð and ð² of the weights, maps of spin 1 and 2."""
        alm = analyze(self.weights[None], 0, 3 * self.nside - 1)[0]
        ell = hp.Alm.getlm(3 * self.nside - 1)[0].astype(float)
        factors = (ell * (ell + 1), (ell - 1) * ell * (ell + 1) * (ell + 2))
        return [
            synthesize(np.stack([np.sqrt(np.maximum(f, 0)) * alm, 0 * alm]), spin, self.nside)
            for spin, f in enumerate(factors, start=1)
        ]

    def spectrum(self, modes: np.ndarray) -> np.ndarray:
        """BB (n_bins,) of `modes`."""
        pseudo = np.stack([hp.alm2cl(alm) for alm in modes])
        if self.name == "pseudo":
            return self.bins @ pseudo[-1] / np.mean(self.weights**2)
        return self._decouple @ (pseudo @ self.bins.T).ravel()

    @cached_property
    def window(self) -> np.ndarray:
        """What BB is expected to be, (n_bins, lmax + 1), by the multipoles of a theory's BB.

        That of `pseudo` is none but the averaging, as published: coupling is ignored.
        """
        if self.name == "pseudo":
            return self.bins
        n_ell = self.bins.shape[1]
        couplings = self._coupling[:, -n_ell:] if self.name == "decoupled" else self._coupling
        # Binned pseudo-spectra of BB alone; E's part comes first where it is measured.
        if self.name == "decoupled":
            plus, minus = self._coupling
            binned = np.concatenate([self.bins @ minus, self.bins @ plus])
        else:
            binned = self.bins @ couplings
        return self._decouple @ binned

    @cached_property
    def _coupling(self):
        """Coupling matrices from theory to pseudo-spectra: ++ and -- of EE and BB, or pure BB's."""
        lmax = ell_max(self.nside)
        beyond = 3 * self.nside - 1
        spectrum = hp.alm2cl(analyze(self.weights[None], 0, beyond)[0])
        kinds = (4,) if self.name == "decoupled" else (0,)
        result = np.empty((2 if self.name == "decoupled" else 1, lmax + 1, lmax + 1))
        experimental.coupling_matrix_rect(spectrum[None], kinds, result)
        ell = np.arange(lmax + 1.0)
        result *= 2 * ell + 1
        if self.name == "decoupled":
            return result
        # Pure B modes are those of a scalar field whose power has this factor.
        spin = np.where(ell < ELL_MIN, 0, (ell - 1) * ell * (ell + 1) * (ell + 2))
        return result[0] * spin / np.maximum(spin, 1)[:, None]

    @cached_property
    def _decouple(self):
        """Matrix from binned pseudo-spectra to BB (n_bins, n_bins or 2 n_bins)."""
        spread = (self.bins > 0).T.astype(float)
        if self.name == "pure":
            return np.linalg.inv(self.bins @ self._coupling @ spread)
        plus, minus = (self.bins @ matrix @ spread for matrix in self._coupling)
        return np.linalg.inv(np.block([[plus, minus], [minus, plus]]))[len(self.bins) :]


def _conjugate_product(derivative, qu):
    """Real and imaginary part of conj(derivative) × (Q + iU)."""
    (a, b), (q, u) = derivative, qu
    return np.stack([a * q + b * u, a * u - b * q])
