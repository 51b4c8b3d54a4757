"""All regions of a sky as one, as fields need it: its bands, noise, and what fits take of it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..fields.basis import Basis
from ..fields.evidence import MeasuredFields, measure_fields
from ..fields.fit import FieldFits, Means, fit_fields
from ..fields.nuisance import Nuisance
from ..fields.prior import FieldPrior, Freedom, prior_of
from ..fields.samples import posterior_samples
from ..instrument.bandpass import Bandpasses
from ..instrument.larger_pixels import LargerPixels
from ..instrument.noise import FOREGROUNDS_ONLY, WhiteNoise
from ..lazy import healpy as hp
from ..observation.bands import Bands
from ..observation.observation import Observation
from ..observation.region_sky import RegionSky
from ..sky.regions import COMBINED
from ..sky.spectral_model import SpectralModel, spectral_model
from .cleaned_sky import CleanedSky

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WholeSky:
    """All regions as one sky.

    Attributes
    ----------
    regions : list of RegionSky
    model : SpectralModel
    nuisance : Nuisance, or None
        Errors of the bands, for which bandpasses and data are corrected.
    """

    regions: list[RegionSky]
    model: SpectralModel
    nuisance: Nuisance | None = None

    @cached_property
    def pixels(self) -> np.ndarray:
        """Of all regions, one after the other: int array (n_pixels,)."""
        return np.concatenate([sky.pixels for sky in self.regions])

    @property
    def nside(self) -> int:
        return self.regions[0].nside

    @property
    def bandpasses(self) -> Bandpasses:
        """As they are known: described, or corrected."""
        described = self.regions[0].bandpasses
        return self.nuisance.miscalibration.shift(described) if self.nuisance else described

    @cached_property
    def noise(self) -> WhiteNoise:
        """Of all pixels."""
        levels = [sky.noise.sigma for sky in self.regions]
        noise = WhiteNoise(np.concatenate(levels, axis=-1) if levels[0].ndim > 1 else levels[0])
        factor = self.nuisance.miscalibration.noise_factor if self.nuisance else 1.0
        return noise.scaled(factor)

    @cached_property
    def bands(self) -> Bands:
        return Bands.of(self.bandpasses, self.noise, self.model)

    @cached_property
    def cmb(self) -> np.ndarray:
        return np.concatenate([sky.cmb for sky in self.regions], axis=-1)

    def observe(self, realizations: Sequence[int]) -> np.ndarray:
        """As `region_sky.observe`, of all pixels: foregrounds alone come first."""
        numbers = [FOREGROUNDS_ONLY, *realizations]
        data = np.stack(
            [
                np.concatenate([sky.observe(number) for sky in self.regions], axis=-1)
                for number in numbers
            ]
        )
        return self.nuisance.miscalibration.correct(data) if self.nuisance else data

    def with_noise(self, foregrounds: np.ndarray, seed: int) -> np.ndarray:
        """Foregrounds (n_skies, n_bands, 2, n_pixels) of mock skies, each with noise of its own."""
        noise = [self.draw_noise(seed, number, "mock sky") for number in range(len(foregrounds))]
        return foregrounds + noise

    def draw_noise(self, seed: int, number: int, stream: str) -> np.ndarray:
        """Noise (n_bands, 2, n_pixels) in µK_CMB, of maps that are corrected."""
        correlated = self.regions[0].correlated_noise
        if correlated is None:
            return self.noise.draw(len(self.pixels), seed, number, stream)
        noise = correlated.draw(seed, number, stream)[..., self.pixels]
        return self.nuisance.miscalibration.correct(noise) if self.nuisance else noise

    def larger(self, nside: int) -> LargerPixels:
        """The pixels of at most this nside, on which spectral parameters are fitted."""
        return LargerPixels(self.pixels, self.nside, min(nside, self.nside))

    def means(self, priors: Sequence[FieldPrior]) -> Means:
        """What parameters of these priors are fitted to."""
        return Means.of(self.larger(priors[0].nside), self.bandpasses, self.noise, self.model)

    def basis(self, priors: Sequence[FieldPrior]) -> Basis:
        larger = self.larger(priors[0].nside)
        return Basis(tuple(prior.variation() for prior in priors), larger.pixels, larger.nside)

    def fit_fields(
        self, data: Sequence[np.ndarray], priors: Sequence[FieldPrior], **limits
    ) -> FieldFits:
        """See `fit.fit_fields`; of data (n_realizations, n_bands, 2, n_pixels)."""
        return fit_fields(
            data,
            self.basis(priors),
            self.noise,
            self.bandpasses,
            self.model,
            self.larger(priors[0].nside),
            **limits,
        )

    def parameters_of(self, measured: MeasuredFields) -> np.ndarray:
        """Those of the observation (n_parameters, n_pixels) that fields were measured on."""
        larger = self.larger(measured.priors[0].nside)
        return larger.spread(np.asarray(measured.maximum.at.parameters))

    def samples(
        self,
        observation: np.ndarray,
        measured: MeasuredFields,
        n_samples: int,
        seed: int,
        **limits,
    ) -> tuple[np.ndarray, np.ndarray]:
        """CMB (n_samples, 2, n_pixels) in µK and parameters, see `samples.posterior_samples`.

        A warning tells how many did not converge.
        """
        parameters, cmb, converged = posterior_samples(
            observation,
            self.basis(measured.priors),
            self.noise,
            self.bands,
            measured.maximum,
            n_samples,
            seed,
            self.means(measured.priors),
            **limits,
        )
        if not converged.all():
            log.warning("%d of %d samples did not converge", (~converged).sum(), n_samples)
        return cmb, parameters

    def parts(self) -> dict[str, slice]:
        """Where the pixels of every region are among all."""
        ends = np.cumsum([0, *(len(sky.pixels) for sky in self.regions)])
        return {sky.region: slice(*ends[k : k + 2]) for k, sky in enumerate(self.regions)}

    def by_region(self, cleaned: CleanedSky) -> Iterator[tuple[str, CleanedSky]]:
        """Regions and their parts of the whole sky's maps, and last `combined`, all of them."""
        for region, part in self.parts().items():
            yield region, cleaned.part(part)
        # As selected configurations of all regions side by side are named.
        together = " + ".join([cleaned.configuration] * len(self.regions))
        yield COMBINED, replace(cleaned, configuration=together)


def observed_sky(files: Mapping, components: Mapping) -> tuple[Observation, WholeSky]:
    """An observation, and its regions as one sky with the model to be fitted.

    Parameters
    ----------
    files : mapping
        What `Observation.of_files` reads.
    components : mapping
        What `spectral_model` takes.
    """
    model = spectral_model(**components)
    observation = Observation.of_files(files, model)
    return observation, WholeSky(observation.regions, model)


def priors_of(
    sky: WholeSky, templates: Mapping[str, np.ndarray], options: Mapping, seed: int
) -> list[FieldPrior]:
    """What the settings of a method say of every parameter of a sky.

    Parameters
    ----------
    sky : WholeSky
    templates : mapping of str to array (12 nside²,)
        Maps of parameters.
    options : mapping
        What `prior_of` takes, and `nside`, of the pixels that parameters are fitted on at most.
    seed : int
        Of patches.
    """
    larger = sky.larger(options["nside"])
    degraded = {name: hp.ud_grade(one, larger.nside) for name, one in templates.items()}
    return [
        prior_of(name, larger.pixels, larger.nside, degraded, options, seed)
        for name in sky.model.names
    ]


def measure_sky(
    sky: WholeSky,
    observation: np.ndarray,
    priors: Sequence[FieldPrior],
    options: Mapping,
    **limits,
) -> MeasuredFields:
    """Measure the fields of a sky on one observation (n_bands, 2, n_pixels) in µK_CMB.

    For `options` see `priors_of`; `limits` are those of `evidence.measure_fields`.
    """
    means = sky.means(priors)
    return measure_fields(
        means.larger.mean(observation),
        priors,
        means.larger.pixels,
        means.larger.nside,
        means.bands,
        Freedom(**options["freedom"]),
        options["remainder"],
        options["seed"],
        **limits,
    )
