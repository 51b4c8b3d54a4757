"""How spectral parameters vary over the sky, before any data, in whitened coefficients.

A parameter is a mean plus what varies: a Gaussian field with a power spectrum, or patches, and
perhaps a remainder of every pixel. The mean's offset and the field are a linear function of
coefficients that have, before any data, unit variance each.
"""

from dataclasses import dataclass
from functools import cached_property

import ducc0
import numpy as np

from ..lazy import healpy as hp
from ..sky.harmonics import geometry


@dataclass(frozen=True)
class Variation:
    """How one spectral parameter varies over the sky, before any data.

    Attributes
    ----------
    mean : float, or array (n_pixels,)
        What is expected: a number, or a template.
    offset : float
        Standard deviation of a number that is added everywhere; 0 where the mean is exact.
    power : array (lmax + 1,), or None
        Angular power spectrum of a Gaussian field that is added; its first element is not used.
    labels : int array (n_pixels,), or None
        Patches, each with a value of its own of which nothing is known before.
    remainder : float
        Standard deviation of what is added in every pixel: infinite where each has a value of its
        own of which nothing is known before, 0 where there is none.
    """

    mean: float | np.ndarray
    offset: float = 0.0
    power: np.ndarray | None = None
    labels: np.ndarray | None = None
    remainder: float = 0.0

    @property
    def precision(self) -> float:
        """Inverse variance of the remainder."""
        return 1 / self.remainder**2 if self.remainder else np.inf


@dataclass(frozen=True)
class Basis:
    """Whitened coefficients of all parameters, as maps of the pixels that are observed.

    Attributes
    ----------
    variations : tuple of Variation
        In the order of the spectral model's parameters.
    pixels : int array (n_pixels,), RING order
    nside : int
    """

    variations: tuple[Variation, ...]
    pixels: np.ndarray
    nside: int

    @cached_property
    def parts(self) -> tuple["Harmonics | Patches | None", ...]:
        """What varies of every parameter, None where each pixel has a value of its own."""
        return tuple(self._part(variation) for variation in self.variations)

    def _part(self, variation):
        if np.isinf(variation.remainder):
            return None
        if variation.labels is not None:
            return Patches(variation.labels)
        power = np.zeros(1) if variation.power is None else variation.power
        power = np.concatenate([[4 * np.pi * variation.offset**2], power[1:]])
        return Harmonics(power, self.pixels, self.nside)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where the coefficients of every parameter are in a vector of all of them."""
        ends = np.cumsum([0, *(part.size if part else 0 for part in self.parts)])
        return tuple(slice(*ends[k : k + 2]) for k in range(len(self.parts)))

    @cached_property
    def size(self) -> int:
        return self.slices[-1].stop

    @cached_property
    def own(self) -> tuple[int, ...]:
        """Numbers of the parameters that every pixel has a value of its own of."""
        return tuple(k for k, variation in enumerate(self.variations) if variation.remainder)

    @cached_property
    def precision(self) -> np.ndarray:
        """Inverse variance (size,) of the coefficients before any data: 1, or 0 of patches."""
        return np.concatenate([part.precision for part in self.parts if part] or [np.zeros(0)])

    def means(self) -> np.ndarray:
        """What is expected of the parameters (n_parameters, n_pixels)."""
        return np.stack([np.broadcast_to(v.mean, self.pixels.shape) for v in self.variations])

    def maps(self, coefficients: np.ndarray) -> np.ndarray:
        """Parameters less their means (n_parameters, n_pixels), without remainders."""
        maps = np.zeros((len(self.parts), len(self.pixels)))
        for k, (part, own) in enumerate(zip(self.parts, self.slices, strict=True)):
            if part:
                maps[k] = part.maps(coefficients[own])
        return maps

    def transpose(self, maps: np.ndarray) -> np.ndarray:
        """The exact transpose of `maps`: coefficients (size,) of maps (n_parameters, n_pixels)."""
        found = [part.transpose(one) for part, one in zip(self.parts, maps, strict=True) if part]
        return np.concatenate(found or [np.zeros(0)])

    def diagonal(self, curvature: np.ndarray) -> np.ndarray:
        """Diagonal (size,) of transpose × curvature × maps, roughly, for preconditioning.

        Parameters
        ----------
        curvature : array (n_parameters, n_pixels)
            The diagonal of that in pixels.
        """
        found = [p.diagonal(one) for p, one in zip(self.parts, curvature, strict=True) if p]
        return np.concatenate(found or [np.zeros(0)])


@dataclass(frozen=True)
class Harmonics:
    """A Gaussian field in real harmonic coefficients of unit variance.

    Attributes
    ----------
    power : array (lmax + 1,)
        Angular power spectrum; coefficients are those of multipoles that have any.
    pixels : int array (n_pixels,), RING order
    nside : int
    """

    power: np.ndarray
    pixels: np.ndarray
    nside: int

    @property
    def lmax(self) -> int:
        return len(self.power) - 1

    @cached_property
    def _lm(self):
        return hp.Alm.getlm(self.lmax)

    @cached_property
    def ell(self) -> np.ndarray:
        """Multipole (size,) of every coefficient: first of all with m ≥ 0, then with m < 0."""
        ell, m = self._lm
        return np.concatenate([ell, ell[m > 0]])

    @cached_property
    def size(self) -> int:
        return len(self.ell)

    @cached_property
    def precision(self) -> np.ndarray:
        return np.ones(self.size)

    @cached_property
    def _scale(self):
        """By which coefficients of each m >= 0 are multiplied."""
        ell, m = self._lm
        return np.sqrt(self.power[ell] * np.where(m > 0, 0.5, 1.0))

    @cached_property
    def _transform(self):
        rings, _ = _rings(self.pixels, self.nside)
        return dict(spin=0, lmax=self.lmax, nthreads=1, **rings)

    @cached_property
    def _positive(self):
        return np.flatnonzero(self._lm[1] > 0)

    def maps(self, coefficients):
        alm = coefficients[: len(self._scale)].astype(complex)
        alm[self._positive] += 1j * coefficients[len(self._scale) :]
        return ducc0.sht.synthesis(alm=(self._scale * alm)[None], **self._transform)[0][
            self._places
        ]

    def transpose(self, one):
        sky = np.zeros(int(self._transform["nphi"].sum()))
        sky[self._places] = one
        alm = ducc0.sht.adjoint_synthesis(map=sky[None], **self._transform)[0]
        # Those with m > 0 stand for two in the map.
        alm = alm * self._scale * np.where(self._lm[1] > 0, 2.0, 1.0)
        return np.concatenate([alm.real, alm.imag[self._positive]])

    @cached_property
    def _places(self):
        """Where the pixels are on the rings that are transformed."""
        _, first = _rings(self.pixels, self.nside)
        return self.pixels - first

    def diagonal(self, curvature):
        return self.power[self.ell] * curvature.sum() / (4 * np.pi)


@dataclass(frozen=True)
class Patches:
    """Patches with values of which nothing is known before."""

    labels: np.ndarray

    @cached_property
    def size(self) -> int:
        return int(self.labels.max()) + 1

    @cached_property
    def precision(self) -> np.ndarray:
        return np.zeros(self.size)

    def maps(self, coefficients):
        return coefficients[self.labels]

    def transpose(self, one):
        return np.bincount(self.labels, weights=one, minlength=self.size)

    diagonal = transpose


def _rings(pixels, nside):
    """Rings of HEALPix from the first that has a pixel to the last, and the first's first pixel."""
    whole = geometry(nside)
    start = whole["ringstart"].astype(int)
    first, last = np.searchsorted(start, [pixels.min(), pixels.max()], side="right") - 1
    rings = {key: whole[key][first : last + 1] for key in ("theta", "nphi", "phi0")}
    starts = (start[first : last + 1] - start[first]).astype(np.uint64)
    return rings | {"ringstart": starts}, start[first]
