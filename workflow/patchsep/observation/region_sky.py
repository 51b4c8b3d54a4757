"""The sky of one region, and observations of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..files.maps import read_polarization, read_resolution, read_response
from ..instrument.bandpass import FITTED_NODES, Bandpasses
from ..instrument.beam import Resolution
from ..instrument.instrument import read_instrument
from ..instrument.noise import FOREGROUNDS_ONLY, WhiteNoise
from ..sky.regions import Regions
from ..sky.spectral_model import SpectralModel
from .correlated_noise import CorrelatedNoise, noise_of


@dataclass(frozen=True)
class RegionSky:
    """Foregrounds, CMB and noise of one region.

    Attributes
    ----------
    region : str
    nside : int
    pixels : int array (n_pixels,), RING order
    bandpasses : Bandpasses
    noise : WhiteNoise
        As the likelihood takes it.
    foregrounds : array (n_bands, 2, n_pixels), µK_CMB
    cmb : array (2, n_pixels), µK_CMB
    noise_seed : int
    response : array (n_bands, 2, 2), or None
        What bands make of the CMB's Q, U where they are not as described; foregrounds have it.
    correlated_noise : CorrelatedNoise, or None
        Of the whole sky, of which the noise is drawn where it is not white.
    """

    region: str
    nside: int
    pixels: np.ndarray
    bandpasses: Bandpasses
    noise: WhiteNoise
    foregrounds: np.ndarray
    cmb: np.ndarray
    noise_seed: int
    response: np.ndarray | None = None
    correlated_noise: CorrelatedNoise | None = None

    @classmethod
    def read(
        cls, region: str, noise_seed: int, files: Mapping, model: SpectralModel
    ) -> "RegionSky":
        """Read a region's part of the map files, see `read_all`."""
        (sky,) = cls.read_all(noise_seed, files, model, [region])
        return sky

    @classmethod
    def read_all(
        cls,
        noise_seed: int,
        files: Mapping,
        model: SpectralModel,
        names: Sequence[str] | None = None,
    ) -> list["RegionSky"]:
        """Read the map files once, for all regions or those of some names.

        `files` has the paths `instrument`, `regions`, `foregrounds` and `cmb`; without the
        last the CMB is zero. The model is the one to be fitted.
        """
        bands = read_instrument(files["instrument"])
        regions = Regions.read(files["regions"])
        foregrounds = read_polarization(files["foregrounds"])
        response = read_response(files["foregrounds"])
        cmb = files.get("cmb")
        cmb = read_polarization(cmb)[0] if cmb else np.zeros((2, len(regions.labels)))
        resolution = Resolution.of(read_resolution(files["foregrounds"]))
        noise, correlated = noise_of(bands, regions.nside, resolution, model)
        seen = bands.bandpasses(FITTED_NODES)

        def part(name):
            pixels = regions.pixels(name)
            return cls(
                region=name,
                nside=regions.nside,
                pixels=pixels,
                bandpasses=seen,
                noise=noise.of_pixels(pixels),
                foregrounds=foregrounds[:, :, pixels],
                cmb=cmb[:, pixels],
                noise_seed=noise_seed,
                response=response,
                correlated_noise=correlated,
            )

        return [part(name) for name in names or regions.names]

    def draw_noise(self, seed: int, realization: int, stream: str = "") -> np.ndarray:
        """Noise (n_bands, 2, n_pixels) in µK_CMB; streams of other names are independent."""
        if self.correlated_noise is not None:
            return self.correlated_noise.draw(seed, realization, stream)[..., self.pixels]
        # The name is part of the seed.
        return self.noise.draw(len(self.pixels), seed, realization, f"{self.region}{stream}")

    def observe(self, realization: int) -> np.ndarray:
        """Frequency maps (n_bands, 2, n_pixels) in µK_CMB of one noise realisation.

        Foregrounds + CMB + noise, or foregrounds alone for `FOREGROUNDS_ONLY`.
        """
        if realization == FOREGROUNDS_ONLY:
            return self.foregrounds
        noise = self.draw_noise(self.noise_seed, realization)
        cmb = self.cmb if self.response is None else self.response @ self.cmb
        return self.foregrounds + cmb + noise

    def halves(self, realization: int) -> np.ndarray:
        """Two splits (2, n_bands, 2, n_pixels) whose mean is the realisation, as `observe` has it.

        Their noise is independent, and √2 times as large; `FOREGROUNDS_ONLY` has none.
        """
        if realization == FOREGROUNDS_ONLY:
            return np.stack([self.foregrounds, self.foregrounds])
        difference = self.draw_noise(self.noise_seed, realization, " halves")
        both = self.observe(realization)
        return np.stack([both + difference, both - difference])


def observe(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Data to fit (1 + n_realizations, n_bands, 2, n_pixels): foregrounds alone come first."""
    return np.stack([sky.observe(number) for number in (FOREGROUNDS_ONLY, *realizations)])


def observe_halves(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Splits of the same data, to fit and to score: array (2, 1 + n_realizations, …)."""
    return np.stack([sky.halves(number) for number in (FOREGROUNDS_ONLY, *realizations)], axis=1)
