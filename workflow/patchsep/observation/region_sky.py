"""One region, the bands that observe it, and simulated observations of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..files.maps import read_polarization, read_resolution, read_response
from ..instrument.bandpass import FITTED_NODES, Bandpasses
from ..instrument.beam import Resolution
from ..instrument.instrument import Instrument, read_instrument
from ..instrument.noise import FOREGROUNDS_ONLY, WhiteNoise
from ..sky.regions import Regions
from ..sky.spectral_model import SpectralModel
from .correlated_noise import CorrelatedNoise, noise_of

# Stream of the noise that one split has more than the other.
HALVES = " halves"


@dataclass(frozen=True, kw_only=True)
class ObservedRegion:
    """One region, and what is known of the bands that observe it.

    Attributes
    ----------
    region : str
    nside : int
    pixels : int array (n_pixels,), RING order
    bandpasses : Bandpasses
    noise : WhiteNoise
        As the likelihood takes it.
    correlated_noise : CorrelatedNoise, or None
        Of the whole sky, of which the noise is drawn where it is not white.
    """

    region: str
    nside: int
    pixels: np.ndarray
    bandpasses: Bandpasses
    noise: WhiteNoise
    correlated_noise: CorrelatedNoise | None = None

    @classmethod
    def of_instrument(
        cls,
        instrument: Instrument,
        regions: Regions,
        resolution: Resolution | None,
        model: SpectralModel,
        names: Sequence[str] | None = None,
    ) -> list["ObservedRegion"]:
        """All regions, or those of some names, observed by an instrument; for the model's fit.

        Raises
        ------
        UnusableMap
            See `WhiteNoise.of`.
        """
        noise, correlated = noise_of(instrument, regions.nside, resolution, model)
        bandpasses = instrument.bandpasses(FITTED_NODES)
        return [
            ObservedRegion(
                region=name,
                nside=regions.nside,
                pixels=(pixels := regions.pixels(name)),
                bandpasses=bandpasses,
                noise=noise.of_pixels(pixels),
                correlated_noise=correlated,
            )
            for name in names or regions.names
        ]

    def draw_noise(self, seed: int, realization: int, stream: str = "") -> np.ndarray:
        """Noise (n_bands, 2, n_pixels) in µK_CMB; streams of other names are independent."""
        if self.correlated_noise is not None:
            return self.correlated_noise.draw(seed, realization, stream)[..., self.pixels]
        # The name is part of the seed.
        return self.noise.draw(len(self.pixels), seed, realization, f"{self.region}{stream}")


@dataclass(frozen=True, kw_only=True)
class RegionSky(ObservedRegion):
    """Foregrounds, CMB and noise of one simulated region.

    Attributes
    ----------
    foregrounds : array (n_bands, 2, n_pixels), µK_CMB
    cmb : array (2, n_pixels), µK_CMB
    noise_seed : int
    response : array (n_bands, 2, 2), or None
        What bands make of the CMB's Q, U where they are not as described; foregrounds have it.
    """

    foregrounds: np.ndarray
    cmb: np.ndarray
    noise_seed: int
    response: np.ndarray | None = None

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
        regions = Regions.read(files["regions"])
        foregrounds = read_polarization(files["foregrounds"])
        response = read_response(files["foregrounds"])
        cmb = files.get("cmb")
        cmb = read_polarization(cmb)[0] if cmb else np.zeros((2, len(regions.labels)))
        resolution = Resolution.of(read_resolution(files["foregrounds"]))
        observed = ObservedRegion.of_instrument(
            read_instrument(files["instrument"]), regions, resolution, model, names
        )
        return [
            cls(
                **{field.name: getattr(one, field.name) for field in fields(one)},
                foregrounds=foregrounds[:, :, one.pixels],
                cmb=cmb[:, one.pixels],
                noise_seed=noise_seed,
                response=response,
            )
            for one in observed
        ]

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
        difference = self.draw_noise(self.noise_seed, realization, HALVES)
        both = self.observe(realization)
        return np.stack([both + difference, both - difference])


def observe(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Data to fit (1 + n_realizations, n_bands, 2, n_pixels): foregrounds alone come first."""
    return np.stack([sky.observe(number) for number in (FOREGROUNDS_ONLY, *realizations)])


def observe_halves(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Splits of the same data, to fit and to score: array (2, 1 + n_realizations, …)."""
    return np.stack([sky.halves(number) for number in (FOREGROUNDS_ONLY, *realizations)], axis=1)
