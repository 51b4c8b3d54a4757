"""White noise that is never stored: any realisation can be drawn again anywhere."""

from dataclasses import dataclass

import numpy as np

from ..lazy import healpy as hp
from .instrument import Instrument
from .noise_maps import read_noise_maps

# Number of the "realisation" that is foregrounds alone, without CMB and noise.
FOREGROUNDS_ONLY = -1
# Ratios of noise that are the same within it are the same.
PROPORTIONAL = 1e-6


def beside_maps(sigma: np.ndarray) -> np.ndarray:
    """rms of `WhiteNoise` as it broadcasts with maps (n_bands, 2, n_pixels)."""
    return sigma.reshape(len(sigma), *(1, 1, *sigma.shape[1:])[-2:])


@dataclass(frozen=True)
class WhiteNoise:
    """Noise without correlations between pixels, bands, Q and U.

    Attributes
    ----------
    sigma : array (n_bands,), (n_bands, n_pixels) or (n_bands, 2, n_pixels)
        rms per pixel in µK_CMB, of Q and of U if they are not alike; infinite where a band sees
        nothing.
    """

    sigma: np.ndarray

    @classmethod
    def of(cls, instrument: Instrument, nside: int) -> "WhiteNoise":
        """Of an instrument at a resolution, of the whole sky.

        Without maps it is the map depth over the side of a pixel. Where there is a map of hits, the
        depth is that of mean hits over the sky that is hit; the variance of a pixel of `nside` is
        the mean of that of the finer pixels within, over their number. Pixels that a band does not
        see have an infinite rms.

        Raises
        ------
        UnusableMap
            See `noise_maps.read_noise_map`.
        """
        depth = instrument.depth_p / hp.nside2resol(nside, arcmin=True)
        if not instrument.has_noise_maps:
            return cls(depth)
        n_stokes = max(1, *map(len, instrument.variance))
        sigma = np.tile(depth[:, None, None], (n_stokes, hp.nside2npix(nside)))
        for band, (hits, variance) in enumerate(read_noise_maps(instrument, nside)):
            if hits is not None:
                with np.errstate(divide="ignore"):
                    sigma[band] *= np.sqrt(hits[hits > 0].mean() / hits)
            if variance is not None:
                sigma[band] = np.sqrt(variance)
        return cls(sigma if n_stokes == 2 else sigma[:, 0])

    def scaled(self, factor: float | np.ndarray) -> "WhiteNoise":
        """Noise that is so many times as large, in all bands or in each (n_bands,)."""
        return WhiteNoise((factor * self.sigma.T).T)

    def of_pixels(self, pixels: np.ndarray) -> "WhiteNoise":
        """Noise of some of the pixels."""
        return WhiteNoise(self.sigma[..., pixels]) if self.sigma.ndim > 1 else self

    @property
    def by_pixel(self) -> np.ndarray:
        """rms of maps in µK_CMB, array (n_bands, 1 or 2, n_pixels or 1) that broadcasts with them.

        What is not seen has no noise: it has no weight.
        """
        return beside_maps(np.where(np.isfinite(self.sigma), self.sigma, 0.0))

    def factors(self) -> tuple[np.ndarray, np.ndarray | None]:
        """rms as that of bands times that of pixels, where it is such a product.

        Returns
        -------
        sigma : array (n_bands,), or (n_bands, n_pixels) where it is not, or (n_bands, 2, n_pixels)
        relative : array (n_pixels,), or None where all are 1
        """
        if self.sigma.ndim == 3:
            of_q, of_u = np.moveaxis(self.sigma, 1, 0)
            alike = np.allclose(of_q, of_u, rtol=PROPORTIONAL, atol=0)
            return WhiteNoise(of_q).factors() if alike else (self.sigma, None)
        if self.sigma.ndim == 1 or not np.isfinite(self.sigma).all():
            return self.sigma, None
        relative = self.sigma[0] / self.sigma[0, 0]
        of_bands = self.sigma[:, 0]
        if np.allclose(self.sigma, of_bands[:, None] * relative, rtol=PROPORTIONAL, atol=0):
            return of_bands, None if np.allclose(relative, 1, rtol=PROPORTIONAL) else relative
        return self.sigma, None

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
        return self.by_pixel * rng.standard_normal((len(self.sigma), 2, n_pixels))
