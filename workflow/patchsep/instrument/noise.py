"""White noise that is never stored: any realisation can be drawn again anywhere."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.foreign_maps import UnusableMap, find_parameter_map
from ..lazy import healpy as hp
from .instrument import Instrument

# Number of the "realisation" that is foregrounds alone, without CMB and noise.
FOREGROUNDS_ONLY = -1
# Ratios of noise that are the same within it are the same.
PROPORTIONAL = 1e-6
# What an instrument may have maps of.
NOISE_MAPS = ("hits", "variance")


@dataclass(frozen=True)
class WhiteNoise:
    """Noise without correlations between pixels, bands, Q and U.

    Attributes
    ----------
    sigma : array (n_bands,) or (n_bands, n_pixels)
        rms per pixel in µK_CMB, the same for Q and U; infinite where a band sees nothing.
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
            See `read_noise_map`.
        """
        depth = instrument.depth_p / hp.nside2resol(nside, arcmin=True)
        if not instrument.has_noise_maps:
            return cls(depth)
        # Bands often share their hits.
        maps = {
            (kind, path): read_noise_map(path, kind, nside)
            for kind in NOISE_MAPS
            for path in set(getattr(instrument, kind)) - {None}
        }
        sigma = np.tile(depth[:, None], hp.nside2npix(nside))
        for band, (hits, variance) in enumerate(zip(instrument.hits, instrument.variance)):
            if hits:
                relative = maps["hits", hits]
                with np.errstate(divide="ignore"):
                    sigma[band] *= np.sqrt(relative[relative > 0].mean() / relative)
            if variance:
                sigma[band] = np.sqrt(maps["variance", variance])
        return cls(sigma)

    def scaled(self, factor: float) -> "WhiteNoise":
        """Noise that is so many times as large."""
        return WhiteNoise(factor * self.sigma)

    def of_pixels(self, pixels: np.ndarray) -> "WhiteNoise":
        """Noise of some of the pixels."""
        return WhiteNoise(self.sigma[:, pixels]) if self.sigma.ndim == 2 else self

    @property
    def by_pixel(self) -> np.ndarray:
        """rms of maps in µK_CMB, array (n_bands, 1, n_pixels or 1) that broadcasts with them.

        What is not seen has no noise: it has no weight.
        """
        level = np.where(np.isfinite(self.sigma), self.sigma, 0.0)
        return level.reshape(len(level), 1, -1)

    def n_seen(self, n_pixels: int) -> np.ndarray:
        """Number of bands that see each pixel, array (n_pixels,)."""
        return np.broadcast_to(np.isfinite(self.sigma).sum(axis=0), n_pixels)

    def factors(self) -> tuple[np.ndarray, np.ndarray | None]:
        """rms as that of bands times that of pixels, where it is such a product.

        Returns
        -------
        sigma : array (n_bands,), or (n_bands, n_pixels) where it is not
        relative : array (n_pixels,), or None where all are 1
        """
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


def read_noise_map(path: str | Path, kind: str, nside: int) -> np.ndarray:
    """A map of `hits`, or of the `variance` of Q and U in µK²_CMB: array (12 nside²,).

    Pixels that are unseen have no hits and an infinite variance.

    Raises
    ------
    UnusableMap
        If it cannot be read, is coarser than `nside` or has values that neither may have.
    """
    found = find_parameter_map(path, kind)
    if found.nside < nside:
        raise UnusableMap(
            f"{path} has nside {found.nside}, and the run {nside}; use nside {found.nside} or "
            f"less, or a finer map of {kind}"
        )
    known = found.values[~np.isnan(found.values)]
    wrong = known < 0 if kind == "hits" else known <= 0
    if wrong.any() or not np.any(known > 0):
        needed = "0 or more" if kind == "hits" else "above 0"
        raise UnusableMap(
            f"{path}: {kind} is not {needed} in {wrong.sum()} of {len(known)} pixels, and above 0 "
            f"in {np.sum(known > 0)}; mark pixels that are not observed as UNSEEN"
        )
    values = found.at(nside)
    if kind == "hits":
        return np.where(np.isnan(values), 0.0, values)
    return np.where(np.isnan(values), np.inf, values * (nside / found.nside) ** 2)
