"""The simulated sky of one region: what an observation of it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..files.maps import read_maps, read_polarization
from ..instrument.instrument import read_instrument
from ..instrument.noise import FOREGROUNDS_ONLY, simulate_noise
from ..lazy import healpy as hp
from ..sky.regions import region_pixels


@dataclass(frozen=True)
class RegionSky:
    """Foregrounds, CMB and noise of one region.

    Attributes
    ----------
    region : str
    nside : int
    pixels : int array (n_pixels,), RING order
    frequencies, sigma : arrays (n_bands,)
        GHz; noise rms per pixel in µK_CMB.
    foregrounds : array (n_bands, 2, n_pixels), µK_CMB
    cmb : array (2, n_pixels), µK_CMB
    noise_seed : int
    """

    region: str
    nside: int
    pixels: np.ndarray
    frequencies: np.ndarray
    sigma: np.ndarray
    foregrounds: np.ndarray
    cmb: np.ndarray
    noise_seed: int

    @classmethod
    def read(cls, region: str, zones: str, noise_seed: int, files: Mapping) -> "RegionSky":
        """Read a region's part of the map files.

        `files` has the paths `instrument`, `regions`, `foregrounds` and `cmb`; without the
        last the CMB is zero. `zones` is the setting that the regions were drawn with.
        """
        bands = read_instrument(files["instrument"])
        labels = read_maps(files["regions"])["REGION"]
        nside = hp.npix2nside(len(labels))
        pixels = region_pixels(labels, region, zones)
        cmb = files.get("cmb")
        return cls(
            region=region,
            nside=nside,
            pixels=pixels,
            frequencies=bands.frequency,
            sigma=bands.sigma(nside),
            foregrounds=read_polarization(files["foregrounds"])[:, :, pixels],
            cmb=read_polarization(cmb)[0][:, pixels] if cmb else np.zeros((2, len(pixels))),
            noise_seed=noise_seed,
        )

    def observe(self, realization: int) -> np.ndarray:
        """Frequency maps (n_bands, 2, n_pixels) in µK_CMB of one noise realisation.

        Foregrounds + CMB + noise, or foregrounds alone for `FOREGROUNDS_ONLY`.
        """
        if realization == FOREGROUNDS_ONLY:
            return self.foregrounds
        noise = simulate_noise(
            self.sigma, len(self.pixels), self.noise_seed, realization, self.region
        )
        return self.foregrounds + self.cmb + noise

    def halves(self, realization: int) -> np.ndarray:
        """Two splits (2, n_bands, 2, n_pixels) whose mean is the realisation, as `observe` has it.

        Their noise is independent, with an rms of √2 sigma; `FOREGROUNDS_ONLY` has none.
        """
        if realization == FOREGROUNDS_ONLY:
            return np.stack([self.foregrounds, self.foregrounds])
        difference = simulate_noise(
            self.sigma, len(self.pixels), self.noise_seed, realization, f"{self.region} halves"
        )
        both = self.observe(realization)
        return np.stack([both + difference, both - difference])


def observe(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Data to fit (1 + n_realizations, n_bands, 2, n_pixels): foregrounds alone come first."""
    return np.stack([sky.observe(number) for number in (FOREGROUNDS_ONLY, *realizations)])


def observe_halves(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Splits of the same data, to fit and to score: array (2, 1 + n_realizations, …)."""
    return np.stack([sky.halves(number) for number in (FOREGROUNDS_ONLY, *realizations)], axis=1)
