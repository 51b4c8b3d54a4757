"""Beams: what bands make of a sky's multipoles, and a resolution that all bands are brought to.

A map of a beam B_ℓ has B_ℓ a_ℓm of the sky's E and B modes. Bands are brought to a common
resolution, B^c_ℓ, by factors B^c_ℓ / B_ℓ, which change their noise too. Maps have values
of the centres of pixels: a window of pixels, which means over them have, is undone with the beam.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..lazy import healpy as hp

# A beam is narrower than the common resolution if it is nowhere below it by more than this, for
# tables are rounded, up to the multipole at which the common one has fallen to so much.
ROUNDING, FALLEN = 1e-3, 1e-2


@dataclass(frozen=True)
class Beam:
    """The beam of a band, in harmonic space.

    Attributes
    ----------
    fwhm : float
        arcmin; of a tabulated beam, of the Gaussian that is as wide.
    table : tuple of float, or None
        B_ℓ from ℓ = 0 on, 1 there; None of a Gaussian.
    """

    fwhm: float
    table: tuple[float, ...] | None = None

    @classmethod
    def tabulated(cls, ell, values) -> "Beam":
        """A beam B_ℓ (n_ell,) that is given at every multipole from 0 on; it is made 1 there.

        Raises
        ------
        ValueError
            If multipoles are not 0, 1, 2, …, or values not finite and above 0 at ℓ = 0.
        """
        ell, values = np.asarray(ell, float), np.asarray(values, float)
        if len(ell) < 3 or not np.array_equal(ell, np.arange(len(ell))):
            raise ValueError("its multipoles must be 0, 1, 2 and so on")
        if not (np.isfinite(values).all() and values[0] > 0):
            raise ValueError("B_ell is not finite, or not above 0 at ell = 0")
        values = values / values[0]
        # ln B_ℓ = -ℓ(ℓ + 1) σ² / 2 where it has fallen to a half, or where it ends.
        at = max(int(np.argmax(values < 0.5)) or len(values) - 1, 2)
        width = -2 * np.log(max(values[at], ROUNDING)) / (at * (at + 1.0))
        fwhm = np.degrees(np.sqrt(8 * np.log(2) * max(width, 0.0))) * 60
        return cls(float(fwhm), tuple(values.tolist()))

    @classmethod
    def read(cls, path: str | Path) -> "Beam":
        """A beam from a file of two columns, ℓ and B_ℓ.

        Raises
        ------
        ValueError, OSError
            If it is none.
        """
        return cls.tabulated(*np.loadtxt(path, unpack=True, usecols=(0, 1), ndmin=2))

    def window(self, lmax: int) -> np.ndarray:
        """B_ℓ (lmax + 1,); a table that ends before has 0 beyond."""
        if self.table is None:
            return hp.gauss_beam(np.radians(self.fwhm / 60), lmax)
        known = np.array(self.table[: lmax + 1])
        return np.pad(known, (0, lmax + 1 - len(known)))

    def is_wider_than(self, resolution: "Resolution", lmax: int) -> bool:
        """Whether maps of the beam cannot be brought to a resolution.

        Multipoles are looked at up to lmax that the common beam leaves something of.
        """
        common, own = Beam(resolution.fwhm).window(lmax), self.window(lmax)
        return bool(np.any(own < common * (1 - ROUNDING), where=common > FALLEN))


@dataclass(frozen=True)
class Resolution:
    """What all bands are brought to.

    Attributes
    ----------
    fwhm : float
        Of a Gaussian beam, arcmin.
    high_pass : float, or None
        Multipole of which a high-pass filter leaves half: 1 - 2^[-ℓ(ℓ+1) / ℓ_h(ℓ_h+1)], a map less
        itself smoothed with a Gaussian.
    """

    fwhm: float
    high_pass: float | None = None

    @classmethod
    def of(cls, settings: Mapping | None) -> "Resolution | None":
        """Of the settings `resolution`."""
        return cls(**settings) if settings else None

    @property
    def settings(self) -> dict[str, float]:
        """The same in the words of the settings."""
        given = {"fwhm": self.fwhm, "high_pass": self.high_pass}
        return {key: value for key, value in given.items() if value is not None}

    def window(self, lmax: int) -> np.ndarray:
        """What maps have of the sky's E and B modes: array (lmax + 1,)."""
        ell = np.arange(lmax + 1.0)
        window = Beam(self.fwhm).window(lmax)
        if self.high_pass:
            at = self.high_pass * (self.high_pass + 1)
            window *= -np.expm1(-np.log(2) * ell * (ell + 1) / at)
        return window


def common_window(resolution: Resolution | None, lmax: int) -> np.ndarray:
    """The window of a resolution, or 1 (lmax + 1,) of maps that have no beam."""
    return np.ones(lmax + 1) if resolution is None else resolution.window(lmax)
