"""Maps of one observation as those hand them out who made them, with two splits of each.

Without a resolution they are what the run analyses, in its regions. With one they are what bands
see of the whole sky before they are brought to it: with beams of their own, noise that is white but
for what is said of it, and pixels finer than the run's. Of pixels of its nside noise would come
back from no harmonic analysis as it is, for pixels do not tell all multipoles up to 3 nside apart.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..files.foreign_maps import regraded
from ..instrument.instrument import Instrument
from ..instrument.noise import beside_maps
from ..lazy import healpy as hp
from ..sky.harmonics import analyze, smoothed, synthesize
from .correlated_noise import CorrelatedNoise
from .region_sky import HALVES, RegionSky

# Pixels of maps that are not at a resolution yet, per side of a pixel of the run.
FINER = 2


def maps_of_regions(skies: Sequence[RegionSky], realization: int) -> Iterator[np.ndarray]:
    """Maps and splits of all bands as the analysis has them, one band after the other.

    Parameters
    ----------
    skies : sequence of RegionSky
        All regions of a sky.
    realization : int
        Of the noise.

    Yields
    ------
    array (3, 2, 12 nside²), µK_CMB
        The map of a band, which is that of `RegionSky.observe`, and its splits, whose mean it is;
        NaN outside of the regions and where the band does not see.
    """
    n_bands, n_pixels = len(skies[0].foregrounds), hp.nside2npix(skies[0].nside)
    data = [np.stack([sky.observe(realization), *sky.halves(realization)]) for sky in skies]
    for band in range(n_bands):
        maps = np.full((3, 2, n_pixels), np.nan)
        for sky, of_region in zip(skies, data, strict=True):
            sees = np.isfinite(beside_maps(sky.noise.sigma)[band])
            maps[..., sky.pixels] = np.where(sees, of_region[:, band], np.nan)
        yield maps


def maps_as_seen(
    instrument: Instrument,
    foregrounds: np.ndarray,
    cmb: Callable[[np.ndarray, int], np.ndarray],
    noise: CorrelatedNoise,
    seed: int,
    realization: int,
    response: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Maps and splits of all bands before they are brought to a resolution.

    Their multipoles, times B^c_ℓ / B_ℓ, are those of foregrounds, CMB and noise that are simulated
    at the resolution: below 3 nside noise has those of `CorrelatedNoise.draw`. Above there is
    white noise of the band's depth, and no sky.

    Parameters
    ----------
    instrument : Instrument
    foregrounds : array (n_bands, 2, 12 nside²), µK_CMB
        Without beams.
    cmb : callable
        Q, U (2, 12 n²) in µK_CMB of the CMB, of a window (3 nside,) of its multipoles and n.
    noise : CorrelatedNoise
    seed, realization : int
        Of the noise.
    response : array (n_bands, 2, 2), optional
        What bands make of Q, U.

    Yields
    ------
    array (3, 2, 12 (FINER nside)²), µK_CMB
        As of `maps_of_regions`; NaN where the band does not see.
    """
    nside, fine, lmax = noise.nside, FINER * noise.nside, 3 * noise.nside - 1
    raw = replace(noise, factor=np.ones_like(noise.factor))
    drawn = [raw.draw(seed, realization, stream) for stream in ("", HALVES)]
    rms = beside_maps(noise.white.sigma)
    for band, beam in enumerate(instrument.beams):
        rng = np.random.default_rng([seed, realization, *f"finer pixels {band}".encode()])
        window = beam.window(lmax)
        signal = smoothed(foregrounds[band][None], window, nside, fine)[0] + cmb(window, fine)
        if response is not None:
            signal = response[band] @ signal
        sigma = rms[band]
        if sigma.shape[-1] > 1:
            sigma = np.stack([regraded(one, fine) for one in sigma])
        sees = np.isfinite(sigma)
        whole, difference = (_finer(one[band], np.where(sees, sigma, 0.0), rng) for one in drawn)
        maps = signal + np.stack([whole, whole + difference, whole - difference])
        yield np.where(sees, maps, np.nan)


def _finer(noise, sigma, rng) -> np.ndarray:
    """Noise of an rms `sigma` per coarser pixel, with multipoles of `noise` (2, 12 nside²)."""
    nside = hp.npix2nside(noise.shape[-1])
    fine, lmax = FINER * nside, 3 * nside - 1
    white = FINER * sigma * rng.standard_normal((2, hp.nside2npix(fine)))
    # Without iterations, as what is drawn is brought to a resolution.
    missing = analyze(noise, 2, lmax, iterations=0) - analyze(white, 2, lmax)
    return white + synthesize(missing, 2, fine)
