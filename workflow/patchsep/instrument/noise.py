"""White noise that is never stored: any realisation can be drawn again anywhere."""

from dataclasses import dataclass

import numpy as np

from ..lazy import healpy as hp
from .instrument import Instrument

# Number of the "realisation" that is foregrounds alone, without CMB and noise.
FOREGROUNDS_ONLY = -1


@dataclass(frozen=True)
class WhiteNoise:
    """Noise without correlations between pixels, bands, Q and U.

    Attributes
    ----------
    sigma : array (n_bands,)
        rms per pixel in µK_CMB, the same for Q and U.
    """

    sigma: np.ndarray

    @classmethod
    def of(cls, instrument: Instrument, nside: int) -> "WhiteNoise":
        """Of an instrument at a resolution: map depth over the side of a pixel."""
        return cls(instrument.depth_p / hp.nside2resol(nside, arcmin=True))

    def scaled(self, factor: float) -> "WhiteNoise":
        """Noise that is so many times as large."""
        return WhiteNoise(factor * self.sigma)

    def draw(self, n_pixels: int, seed: int, realization: int, region: str) -> np.ndarray:
        """Draw one realisation in one region.

        Parameters
        ----------
        n_pixels : int
            Number of pixels of the region.
        seed, realization : int
        region : str
            The three together fix the draw: neither the other regions of a run nor the
            number of realisations change it.

        Returns
        -------
        array (n_bands, 2, n_pixels), µK_CMB
        """
        rng = np.random.default_rng([seed, realization, *region.encode()])
        return self.sigma[:, None, None] * rng.standard_normal((len(self.sigma), 2, n_pixels))
