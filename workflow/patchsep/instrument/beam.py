"""Beams: what bands make of a sky's multipoles, and a resolution that all bands are brought to.

A map of a beam B_ℓ has B_ℓ a_ℓm of the sky's E and B modes, with the window W_ℓ of its pixels.
Bands are brought to a common resolution, a Gaussian B^c_ℓ, by factors B^c_ℓ / B_ℓ, which change
their noise too.
"""

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

    def is_wider_than(self, resolution: float, lmax: int) -> bool:
        """Whether maps of the beam cannot be brought to a resolution (FWHM in arcmin).

        Multipoles are looked at up to lmax that the common beam leaves something of.
        """
        common, own = Beam(resolution).window(lmax), self.window(lmax)
        return bool(np.any(own < common * (1 - ROUNDING), where=common > FALLEN))


def transfer(resolution: float | None, nside: int, lmax: int | None = None) -> np.ndarray:
    """What maps at a common resolution have of the sky's E and B modes: array (lmax + 1,).

    Parameters
    ----------
    resolution : float or None
        FWHM in arcmin. Without one maps have neither a beam nor pixels, and it is 1.
    nside : int
        Of the pixels, whose window is HEALPix's of polarization.
    lmax : int, optional
        3 nside - 1 if it is not given, beyond which maps have nothing.
    """
    lmax = 3 * nside - 1 if lmax is None else lmax
    if resolution is None:
        return np.ones(lmax + 1)
    pixels = np.zeros(lmax + 1)
    _, known = hp.pixwin(nside, pol=True, lmax=min(lmax, 3 * nside - 1))
    # HEALPix has no window of polarization below the quadrupole.
    known[:2] = 1.0
    pixels[: len(known)] = known
    return Beam(resolution).window(lmax) * pixels
