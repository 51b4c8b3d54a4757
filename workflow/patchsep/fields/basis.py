"""How spectral parameters vary over the sky, before any data, in whitened coefficients.

A parameter is a mean plus what varies: a Gaussian field with a power spectrum, or patches, and
perhaps a remainder of every pixel. The mean's offset and the field are a linear function of
coefficients that have, before any data, unit variance each.

The curvature of a fit is 1 + SᵀHS, see `fit`. On a whole sky with the same H everywhere it has a
block of the parameters for every multipole and m. Elsewhere these blocks, with the mean of H, are a
rough inverse, which is far from it where data tell much: of what is not observed the prior alone
tells. There the curvature of low multipoles, of which data tell most, is inverted exactly (Eriksen
et al. 2004, arXiv:astro-ph/0407028).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import ducc0
import numpy as np

from ..lazy import healpy as hp
from ..lazy import linalg
from ..sky.harmonics import geometry

# Highest multipole that is inverted exactly: of three fields with 3,072 coefficients.
LOW = 31


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
    def _rings(self):
        return _rings(self.pixels, self.nside)

    @cached_property
    def _transform(self):
        return dict(spin=0, lmax=self.lmax, nthreads=1, **self._rings[0])

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

    @property
    def _places(self):
        """Where the pixels are on the rings that are transformed."""
        return self._rings[1]

    def diagonal(self, curvature):
        return self.power[self.ell] * curvature.sum() / (4 * np.pi)

    def products(self, weights: np.ndarray) -> np.ndarray:
        """transpose × weights (n_pixels,) × maps, written out (size, size).

        Sums over the pixels of a ring are Fourier transforms of weights; left are those over rings.
        """
        m, rings = self._lm[1], {k: self._transform[k] for k in ("nphi", "phi0", "ringstart")}
        sky = np.zeros(int(rings["nphi"].sum()))
        sky[self._places] = weights
        fourier = ducc0.sht.map2leg(map=sky[None], mmax=2 * self.lmax, **rings)[0].T
        minus, plus = (np.empty((len(m), len(m)), complex) for _ in range(2))
        for one in range(self.lmax + 1):
            of_sum, of_difference = fourier[one + m], fourier[np.abs(one - m)]
            of_difference[m > one] = of_difference[m > one].conj()
            minus[m == one] = self._legendre[m == one] @ (self._legendre * of_difference).T
            plus[m == one] = self._legendre[m == one] @ (self._legendre * of_sum).T
        # Coefficients with m < 0 are those of - sin |m|φ.
        mixed = (plus - minus).imag[:, self._positive]
        sines = (minus - plus).real[np.ix_(self._positive, self._positive)]
        return np.block([[(minus + plus).real, mixed], [mixed.T, sines]]) / 2

    @cached_property
    def _legendre(self):
        """What coefficients with m ≥ 0 make of every ring, beside cos mφ."""
        ell, m = self._lm
        theta = self._transform["theta"]
        found = np.empty((len(ell), len(theta)))
        for one in range(self.lmax + 1):
            alm = (ell == one).astype(complex)[None]
            by_ring = ducc0.sht.alm2leg(alm=alm, spin=0, lmax=self.lmax, theta=theta)[0]
            found[ell == one] = by_ring.real.T[: one + 1]
        # Those with m > 0 stand for two in the map.
        return found * (self._scale * np.where(m > 0, 2.0, 1.0))[:, None]


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


def by_multipole(basis: Basis, curvature: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of blocks, one of each multipole and m; of patches that of the diagonal.

    Parameters
    ----------
    basis : Basis
    curvature : array (n_parameters, n_parameters, n_pixels)
        H of every pixel, positive: of Gauss and Newton.

    Returns
    -------
    function
        Of coefficients (size,), to such.
    """
    fields, whole, scale, inside = _fields(basis)
    diagonal = basis.precision + basis.diagonal(np.einsum("kkn->kn", curvature))
    inverse = 1 / np.where(diagonal > 0, diagonal, 1.0)
    mean = curvature[np.ix_(fields, fields)].sum(axis=-1) / (4 * np.pi)
    blocks = np.einsum("kl,km,ml->lkm", scale, mean, scale) + np.eye(len(fields))
    inverses = np.moveaxis(np.linalg.inv(blocks)[whole.ell], 0, -1)
    where = np.concatenate([np.arange(basis.size)[basis.slices[k]] for k in fields] or [[]])
    where = where.astype(int)

    def times(vector):
        padded = np.zeros(inside.shape)
        padded[inside] = vector[where]
        result = inverse * vector
        result[where] = np.einsum("kmn,mn->kn", inverses, padded)[inside]
        return result

    return times


def exact_below(basis: Basis, curvature: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of the curvature of multipoles up to `LOW`, and beyond them `by_multipole`.

    Parameters and what is returned are those of `by_multipole`.
    """
    fields, whole, scale, inside = _fields(basis)
    rough = by_multipole(basis, curvature)
    if not fields:
        return rough
    low = Harmonics(np.ones(min(LOW, whole.lmax) + 1), basis.pixels, basis.nside)
    has = [np.flatnonzero(one) for one in inside[:, whole.ell <= low.lmax]]
    ends = np.cumsum([0, *map(len, has)])
    matrix = np.eye(ends[-1])
    # Of a symmetric matrix the factorisation reads the lower half alone.
    for i, k in enumerate(fields):
        for j, m in enumerate(fields[: i + 1]):
            block = low.products(curvature[k, m])[np.ix_(has[i], has[j])]
            rows, columns = scale[i, low.ell[has[i]]], scale[j, low.ell[has[j]]]
            own = slice(*ends[i : i + 2]), slice(*ends[j : j + 2])
            matrix[own] += rows[:, None] * block * columns
    factor = linalg.cho_factor(matrix, lower=True, overwrite_a=True)
    is_low = [basis.parts[k].ell <= low.lmax for k in fields]
    where = np.concatenate(
        [basis.slices[k].start + np.flatnonzero(one) for k, one in zip(fields, is_low, strict=True)]
    )

    def times(vector):
        result = rough(vector)
        result[where] = linalg.cho_solve(factor, vector[where], check_finite=False)
        return result

    return times


def _fields(basis):
    """Parameters with harmonics, all multipoles that any has, and which each has of them."""
    fields = [k for k, part in enumerate(basis.parts) if isinstance(part, Harmonics)]
    parts = [basis.parts[k] for k in fields]
    lmax = max((part.lmax for part in parts), default=0)
    whole = Harmonics(np.ones(lmax + 1), basis.pixels, basis.nside)
    scale = np.zeros((len(fields), lmax + 1))
    inside = np.zeros((len(fields), whole.size), dtype=bool)
    for number, part in enumerate(parts):
        scale[number, : part.lmax + 1] = np.sqrt(part.power)
        inside[number] = whole.ell <= part.lmax
    return fields, whole, scale, inside


def _rings(pixels, nside):
    """Rings of HEALPix that have a pixel, and where the pixels are on them, one after another."""
    whole = geometry(nside)
    start = whole["ringstart"].astype(int)
    numbers, own = np.unique(np.searchsorted(start, pixels, side="right") - 1, return_inverse=True)
    rings = {key: whole[key][numbers] for key in ("theta", "nphi", "phi0")}
    ends = np.cumsum(rings["nphi"].astype(int))
    starts = ends - rings["nphi"].astype(int)
    places = pixels - start[numbers][own] + starts[own]
    return rings | {"ringstart": starts.astype(np.uint64)}, places
