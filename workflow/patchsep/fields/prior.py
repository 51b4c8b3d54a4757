"""What is known of the fields before any data, and how the data change it.

The power spectrum that is expected of a parameter, from the literature or from the stated error of
a template, is multiplied by a factor in every octave of multipoles. The logarithms of these factors
are Gaussian before any data: a common amplitude and a slope are hardly known, and single octaves
deviate a little from both. What the data do not tell stays as expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..lazy import healpy as hp
from ..separation.patches import kmeans
from ..sky.harmonics import analyze, gaussian_scalar, synthesize
from ..sky.spectral_model import SpectralModel
from .basis import Variation

# Strategy of methods whose spectral parameters are fields.
FIELDS = "fields"
# How a spectral parameter may vary over the sky, by the word in the configuration.
KINDS = ("value", "patches", "field", "pixels", "field_and_pixels")
# Those of them that have a field.
WITH_FIELD = ("field", "field_and_pixels")
# Those with a value of every pixel.
OF_PIXELS = ("pixels", "field_and_pixels")
# Where a parameter varies most from pixel to pixel, and the data constrain it best.
DEFAULT_KINDS = {"beta_dust": "field_and_pixels"}
# Part of the variance of a template's error on the scales that are fitted.
COVERED = 0.99
# Multipole about which spectra tilt.
PIVOT = 10.0


def kinds_of(model: SpectralModel, is_smoothed: bool = False) -> dict[str, str]:
    """How the parameters of a model vary, unless a method says otherwise.

    Where maps `is_smoothed` to a resolution, pixels have no values of their own.
    """
    return {
        name: "field" if is_smoothed else DEFAULT_KINDS.get(name, "field") for name in model.names
    }


def literature_of(settings: Mapping, name: str) -> dict[str, float]:
    """What settings `fields` say of one parameter, as `expected_prior` takes it."""
    return {key: settings[key][name] for key in ("mean", "mean_error", "scatter", "slope")}


def octaves(lmax: int) -> np.ndarray:
    """Number (lmax + 1,) of the octave of every multipole: [1], [2, 3], [4 … 7]; ell = 0 has 0."""
    return np.floor(np.log2(np.maximum(np.arange(lmax + 1), 1))).astype(int)


def field_spectrum(nside: int, scatter: float, slope: float) -> np.ndarray:
    """C_ell ∝ ell^slope (3 nside,), from the dipole on, of a field with this rms."""
    ell = np.arange(3 * nside)
    shape = np.where(ell > 0, np.maximum(ell, 1.0) ** slope, 0.0)
    return scatter**2 * shape / variance_of(shape)


def error_spectrum(nside: int, rms: float, coherence: float) -> np.ndarray:
    """C_ell (3 nside,) of a template's error: white noise under a beam of this FWHM in degrees."""
    beam = hp.gauss_beam(np.radians(coherence), lmax=3 * nside - 1) ** 2
    beam[0] = 0.0
    return rms**2 * beam / variance_of(beam)


def variance_of(power: np.ndarray) -> float:
    """Variance of a field with a power spectrum (lmax + 1,), without its monopole."""
    return float(np.sum((2 * np.arange(len(power)) + 1)[1:] * power[1:]) / (4 * np.pi))


def _covered(power: np.ndarray) -> int:
    """Multipole up to which a field has nearly all of its variance."""
    variance = np.cumsum((2 * np.arange(len(power)) + 1) * power)
    return int(np.searchsorted(variance, COVERED * variance[-1]))


@dataclass(frozen=True)
class Freedom:
    """How far the data may change expected spectra: standard deviations before any data.

    Attributes
    ----------
    amplitude : float
        Of the logarithm of a field's rms.
    slope : float
        Of the slope of its spectrum.
    octave : float
        Of the logarithm of the power of single octaves.
    """

    amplitude: float
    slope: float
    octave: float

    def covariance(self, n_octaves: int) -> np.ndarray:
        """Of the logarithms of the factors of octaves."""
        first = 2.0 ** np.arange(n_octaves)
        tilt = np.log(np.sqrt(first * (2 * first - 1)) / PIVOT)
        return (
            (2 * self.amplitude) ** 2
            + self.slope**2 * np.outer(tilt, tilt)
            + self.octave**2 * np.eye(n_octaves)
        )


@dataclass(frozen=True)
class FieldPrior:
    """What is known of one parameter.

    Attributes
    ----------
    kind : str
        Of `KINDS`.
    mean : float, or array (n_pixels,)
        A number, or a template.
    offset : float
        Standard deviation of a number that is added everywhere.
    expected : array (3 nside,)
        Power spectrum that is expected, in the parameter's unit squared.
    lmax : int
        Highest multipole that is fitted.
    log_factors : array (n_octaves,)
        Logarithms of the factors by which the data change it, up to `lmax`; beyond, the last holds.
    remainder : float
        Standard deviation of what pixels add: infinite where nothing is known of it.
    labels : int array (n_pixels,), or None
        Patches.
    """

    kind: str
    mean: float | np.ndarray
    offset: float
    expected: np.ndarray
    lmax: int
    log_factors: np.ndarray
    remainder: float = 0.0
    labels: np.ndarray | None = None

    @property
    def nside(self) -> int:
        """Of the pixels that the parameter is fitted on."""
        return len(self.expected) // 3

    @property
    def has_field(self) -> bool:
        return self.kind in WITH_FIELD

    @cached_property
    def power(self) -> np.ndarray:
        """Power spectrum (3 nside,) as the data tell it."""
        number = np.minimum(octaves(len(self.expected) - 1), len(self.log_factors) - 1)
        return self.expected * np.exp(self.log_factors[number])

    @property
    def scatter(self) -> float:
        """Rms of the field on all scales."""
        return float(np.sqrt(variance_of(self.power)))

    def scaled(self, factor: float) -> "FieldPrior":
        """The same with so many times the rms in all octaves."""
        return replace(self, log_factors=self.log_factors + 2 * np.log(factor))

    def variation(self) -> Variation:
        """As a fit takes it."""
        if self.kind == "pixels" or np.isinf(self.remainder):
            return Variation(self.mean, remainder=np.inf)
        if self.kind == "patches":
            return Variation(self.mean, labels=self.labels)
        power = self.power[: self.lmax + 1] if self.has_field else None
        return Variation(self.mean, self.offset, power, None, self.remainder)

    def draw(
        self, mean: float | np.ndarray, pixels: np.ndarray, nside: int, rng: np.random.Generator
    ) -> np.ndarray:
        """A map (n_pixels,) of the parameter on a sky like the one observed, on all scales.

        Parameters
        ----------
        mean : float, or array (n_pixels,)
            What the field is added to.
        pixels : int array (n_pixels,), RING order
        nside : int
        rng : Generator
        """
        return mean + gaussian_scalar(self.power, nside, rng)[pixels]


def expected_prior(
    kind: str,
    nside: int,
    literature: Mapping,
    lmax: int,
    template: np.ndarray | None = None,
    pixels: np.ndarray | None = None,
    error: float = 0.0,
    coherence: float = 0.0,
    labels: np.ndarray | None = None,
) -> FieldPrior:
    """What is known of a parameter before any data.

    Parameters
    ----------
    kind : str
    nside : int
    literature : dict
        `mean`, its error `mean_error`, `scatter` and `slope` of published maps.
    lmax : int
        Highest multipole that is fitted; the error of a template is fitted on all its scales.
    template : array (12 nside²,), optional
        Map of the parameter, of the whole sky. With the literature's spectrum C and that of the
        template's error N the mean is its Wiener filter, C / (C + N) of it, and C N / (C + N) is
        left unknown: a useless template is of no account.
    pixels : int array (n_pixels,), optional
        Where the template is used.
    error : float
        Rms of the template's error; one that is said to be exact has a tenth of the published
        scatter, so that the data can tell if it is not.
    coherence : float
        FWHM in degrees of the beam that its error has.
    labels : int array (n_pixels,), optional
        Of `patches`.
    """
    scatter, slope = literature["scatter"], literature["slope"]
    expected = field_spectrum(nside, scatter, slope)
    mean, highest = literature["mean"], min(lmax, 3 * nside - 1)
    if template is not None:
        exact = field_spectrum(nside, scatter / 10, slope)
        noise = error_spectrum(nside, error, coherence) if error > 0 else exact
        both = np.where(expected + noise > 0, expected + noise, 1.0)
        average = template.mean()
        alm = analyze((template - average)[None], 0, 3 * nside - 1)[0]
        weighted = hp.almxfl(alm, expected / both)[None]
        mean = average + synthesize(weighted, 0, nside)[0][pixels]
        expected = expected * noise / both
        highest = max(highest, _covered(expected))
    return FieldPrior(
        kind=kind,
        mean=mean,
        offset=literature["mean_error"],
        expected=expected,
        lmax=highest,
        log_factors=np.zeros(octaves(highest)[-1] + 1),
        remainder=np.inf if kind in ("pixels", "field_and_pixels") else 0.0,
        labels=labels,
    )


def literature_priors(kinds: Mapping[str, str], nside: int, settings: Mapping) -> list[FieldPrior]:
    """What settings `fields` say of parameters of these kinds, fitted on pixels of this nside."""
    return [
        expected_prior(kind, nside, literature_of(settings, name), settings["lmax"])
        for name, kind in kinds.items()
    ]


def prior_of(
    name: str,
    pixels: np.ndarray,
    nside: int,
    templates: Mapping[str, np.ndarray],
    options: Mapping,
    seed: int,
) -> FieldPrior:
    """What the settings of a method say of one parameter.

    Parameters
    ----------
    name : str
    pixels : int array (n_pixels,)
    nside : int
    templates : mapping of str to array (12 nside²,)
        Maps of parameters.
    options : mapping
        The settings `fields`, and of the method `kinds`, `n_patches`, `errors` and `coherence`.
    seed : int
        Of patches.
    """
    kind = options["kinds"][name]
    return expected_prior(
        kind,
        nside,
        literature_of(options, name),
        options["lmax"],
        template=templates.get(name),
        pixels=pixels,
        error=options["errors"].get(name, 0.0),
        coherence=options["coherence"],
        labels=kmeans(nside, pixels, options["n_patches"][name], seed)
        if kind == "patches"
        else None,
    )
