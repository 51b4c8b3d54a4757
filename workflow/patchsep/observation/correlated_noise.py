"""Noise that is correlated between pixels: 1/f, of files, or brought to another resolution.

The power of a band's noise over that of its white noise is 1 + (ℓ / ℓ_knee)^slope. Maps of hits and
variance modulate both. Bringing bands from beams B_ℓ to a common B^c_ℓ multiplies multipoles by
B^c_ℓ / B_ℓ. The likelihood is diagonal in pixels: it has a `level` of each band, and what that
neglects is in the noise of mock skies, which is drawn as here.

Where there are files of noise, n, a realisation is made of two of them at random, with a random φ:
n cos φ + n' sin φ. There are as many as are asked for, of the covariance that the files have; two
draws share a file with a probability of about four over the number of files.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..instrument.bandpass import FITTED_NODES, Bandpasses
from ..instrument.beam import Resolution, common_window
from ..instrument.instrument import Instrument
from ..instrument.noise import WhiteNoise
from ..instrument.noise_maps import read_noise_realization
from ..lazy import healpy as hp
from ..sky.harmonics import analyze, gaussian_qu, synthesize_filtered
from ..sky.spectral_model import SpectralModel
from .bands import score_shares

# Spin-2 fields have no multipoles below: there 1/f does not diverge.
ELL_MIN = 2
# Of the power of polarized foregrounds (Planck 2018 XI, arXiv:1801.04945, abstract).
FOREGROUND_SLOPE = -2.4


@dataclass(frozen=True, eq=False)
class CorrelatedNoise:
    """Noise of the whole sky whose multipoles are not white.

    Attributes
    ----------
    white : WhiteNoise
        Of all pixels, without what follows.
    excess : array (n_bands, 3 nside)
        Power of correlated noise over that of the white one.
    factor : array (n_bands, 3 nside)
        What multiplies multipoles of maps: B^c_ℓ / B_ℓ.
    common : array (3 nside,)
        B^c_ℓ; 1 without a resolution.
    files : tuple of tuples of str
        Realisations of every band, of maps before they are brought to a resolution; none where they
        are simulated.
    """

    white: WhiteNoise
    excess: np.ndarray
    factor: np.ndarray
    common: np.ndarray
    files: tuple[tuple[str, ...], ...]

    @property
    def nside(self) -> int:
        return len(self.common) // 3

    def level(self, bandpasses: Bandpasses, model: SpectralModel) -> WhiteNoise:
        """White noise that the likelihood takes for the noise of maps.

        Its ratios between bands are those of the variance of pixels: if they were others, a fit
        would take noise of a band that has more than is said for a foreground that it sees. All
        bands have a common factor above it, in every pixel. The score of a spectral parameter is a
        sum of noise times the foreground of a pixel, and a band's part of its variance one over
        multipoles of the power of both. Over what the variance of pixels would make of it, it is
        the noise power weighted by that of foregrounds in maps, (2ℓ + 1) ℓ^-2.4 (B^c_ℓ)², over the
        mean one. The factor is the mean over bands of this ratio with their shares in the
        information (`score_shares`), for the spectral parameter of which it is largest: no score
        has more variance than is stated then.

        Parameters
        ----------
        bandpasses : Bandpasses
        model : SpectralModel
        """
        ell = np.arange(ELL_MIN, len(self.common))
        power = ((1 + self.excess) * self.factor**2)[:, ell]
        of_pixels, of_scores = (
            power @ weights / weights.sum()
            for weights in (
                2 * ell + 1,
                (2 * ell + 1) * ell**FOREGROUND_SLOPE * self.common[ell] ** 2,
            )
        )
        level = self.white.scaled(np.sqrt(of_pixels))
        of_bands, _ = level.factors()
        shares = score_shares(bandpasses, WhiteNoise(of_bands), model)
        ratios = np.tensordot(of_scores / of_pixels, shares, axes=(0, 1))
        # Of a model without parameters the variance of pixels is all that matters.
        common = ratios.max(axis=0) if len(ratios) else 1.0
        return WhiteNoise(level.sigma * np.sqrt(common))

    def spectrum(self) -> np.ndarray:
        """N_ℓ (n_bands, 3 nside) in µK² of bands whose noise is the same in all pixels."""
        white = self.white.sigma[:, None] ** 2 * hp.nside2pixarea(self.nside)
        return white * (1 + self.excess) * self.factor**2

    def draw(self, seed: int, realization: int, stream: str) -> np.ndarray:
        """Draw one realisation: array (n_bands, 2, 12 nside²), µK_CMB.

        Parameters
        ----------
        seed, realization : int
        stream : str
            The three together fix the draw.
        """
        return _drawn(self, seed, realization, stream)


# Regions of one sky are parts of one map.
@lru_cache(maxsize=2)
def _drawn(noise, seed, realization, stream):
    nside, lmax = noise.nside, len(noise.common) - 1
    rng = np.random.default_rng([seed, realization, *f"whole sky{stream}".encode()])
    maps = rng.standard_normal((len(noise.excess), 2, hp.nside2npix(nside)))
    for band, excess in enumerate(noise.excess):
        if excess.any():
            power = excess * hp.nside2pixarea(nside)
            maps[band] += gaussian_qu(power, power, nside, rng)
    maps *= noise.white.by_pixel
    _replace_by_files(maps, noise.files, nside, rng)
    for band, factor in enumerate(noise.factor):
        if np.any(factor != 1):
            alm = analyze(maps[band], 2, lmax, iterations=0)
            maps[band] = synthesize_filtered(alm, factor, nside)
    maps.setflags(write=False)
    return maps


def _replace_by_files(maps, files, nside, rng):
    turn, places = rng.uniform(0, 2 * np.pi), rng.random(2)
    for band, paths in enumerate(files):
        if paths:
            # The same ones of all bands, whose noise may be correlated; of two that differ.
            one = int(places[0] * len(paths))
            other = (one + 1 + int(places[1] * (len(paths) - 1))) % len(paths)
            first, second = (read_noise_realization(paths[k], nside) for k in (one, other))
            maps[band] = np.cos(turn) * first + np.sin(turn) * second


def noise_of(
    instrument: Instrument, nside: int, resolution: Resolution | None, model: SpectralModel
) -> tuple[WhiteNoise, CorrelatedNoise | None]:
    """Noise of an instrument as the likelihood takes it, and as it is drawn where it is not white.

    Parameters
    ----------
    instrument, nside, resolution :
        See `correlated_noise_of`.
    model : SpectralModel
        That is fitted.

    Raises
    ------
    UnusableMap
        See `WhiteNoise.of`.
    """
    noise = correlated_noise_of(instrument, nside, resolution)
    if noise is None:
        return WhiteNoise.of(instrument, nside), None
    return noise.level(instrument.bandpasses(FITTED_NODES), model), noise


def correlated_noise_of(
    instrument: Instrument, nside: int, resolution: Resolution | None
) -> CorrelatedNoise | None:
    """Noise of an instrument as it is drawn; None where it is white.

    Parameters
    ----------
    instrument : Instrument
    nside : int
    resolution : Resolution, or None
        That bands are brought to; None for maps without beams.

    Raises
    ------
    UnusableMap
        See `WhiteNoise.of`.
    """
    if resolution is None and not instrument.has_knees and not any(instrument.noise_files):
        return None
    ell = np.arange(3 * nside)
    excess = np.zeros((len(instrument.frequency), len(ell)))
    for band, (knee, slope) in enumerate(
        zip(instrument.ell_knee, instrument.knee_slope, strict=True)
    ):
        if knee > 0:
            excess[band, ELL_MIN:] = (ell[ELL_MIN:] / knee) ** slope
    common, factor = common_window(resolution, len(ell) - 1), np.ones_like(excess)
    if resolution is not None:
        own = np.stack([beam.window(len(ell) - 1) for beam in instrument.beams])
        factor = np.divide(common, own, out=np.zeros_like(own), where=own > 0)
    white = WhiteNoise.of(instrument, nside)
    return CorrelatedNoise(white, excess, factor, common, instrument.noise_files)
