"""Larger pixels, on which spectral parameters are fitted where those of maps are small.

Amplitudes are free in every pixel. Where noise hides them, what they add to a score of a spectral
parameter is noise times noise: it scatters by more than the curvature states, fields take it for
variation, and values of pixels' own are biased. Means over larger pixels have less noise, and the
same fields.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..lazy import healpy as hp
from .noise import WhiteNoise, beside_maps


@dataclass(frozen=True)
class LargerPixels:
    """Pixels of maps, and larger ones that hold them.

    Attributes
    ----------
    of_maps : int array (n_pixels,), RING order
    nside_of_maps : int
    nside : int
        Of the larger pixels; where it is not below that of the maps, they are the maps' own.
    """

    of_maps: np.ndarray
    nside_of_maps: int
    nside: int

    @property
    def is_same(self) -> bool:
        return self.nside >= self.nside_of_maps

    @cached_property
    def _cells(self):
        centres = hp.pix2ang(self.nside_of_maps, self.of_maps)
        return np.unique(hp.ang2pix(self.nside, *centres), return_inverse=True)

    @property
    def pixels(self) -> np.ndarray:
        """The larger pixels that hold any: int array (n_larger,), RING order."""
        return self.of_maps if self.is_same else self._cells[0]

    def mean(self, maps: np.ndarray) -> np.ndarray:
        """Means (..., n_larger) of maps (..., n_pixels), over the pixels that they have."""
        if self.is_same:
            return maps
        return self._sums(maps) / np.bincount(self._cells[1])

    def noise(self, noise: WhiteNoise) -> WhiteNoise:
        """Of these means.

        A band that does not see all pixels of a larger one, of those that the maps have, counts as
        not seeing it.
        """
        if self.is_same:
            return noise
        variance = np.broadcast_to(
            beside_maps(noise.sigma) ** 2,
            (len(noise.sigma), max(1, noise.sigma.ndim - 1), len(self.of_maps)),
        )
        sigma = np.sqrt(self._sums(variance)) / np.bincount(self._cells[1])
        return WhiteNoise(sigma if noise.sigma.ndim == 3 else sigma[:, 0])

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values (..., n_larger) in the pixels (..., n_pixels) of maps; numbers are left alone."""
        if self.is_same or np.ndim(values) == 0:
            return values
        return values[..., self._cells[1]]

    def _sums(self, maps):
        rows = np.reshape(maps, (-1, np.shape(maps)[-1]))
        sums = [np.bincount(self._cells[1], row) for row in rows]
        return np.reshape(sums, (*np.shape(maps)[:-1], -1))
