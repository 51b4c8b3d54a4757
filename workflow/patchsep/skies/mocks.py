"""Mock skies: drawn from the foreground model that was fitted to the one observed sky.

A parametric bootstrap: nothing in them is known from the truth. Their dust and synchrotron are the
recovered ones; their spectral parameters are Gaussian fields with published spectra, around the
recovered means and with as much scatter, on wide and on narrow scales, as explains what the data
gain from patches. Where noise hides what a configuration leaves of the one observed sky, its
average over mock skies still tells configurations apart, and what is left of their foregrounds is
what to expect in the observed sky's spectrum.
"""

from dataclasses import replace
from functools import lru_cache, reduce
from operator import add

import numpy as np

from ..instrument.bandpass import Bandpasses
from ..lazy import healpy as hp
from ..observation.foreground_model import WIDE, ForegroundModel
from ..observation.region_sky import RegionSky
from ..sky.parameter_fields import parameter_deviations
from ..sky.parameter_templates import prepare_templates, smooth
from ..sky.spectral_model import SpectralModel

# Third number of the seed of template errors, beside those that the deviations of the spectral
# parameters have. It happens to be their number; whatever that is, the seed stays.
TEMPLATE_ERRORS = 3


def emission(
    bandpasses: Bandpasses | np.ndarray,
    parameters: np.ndarray,
    amplitudes: dict[str, np.ndarray],
    model: SpectralModel,
) -> np.ndarray:
    """Foregrounds (n_bands, 2, n_pixels) in µK_CMB.

    Parameters
    ----------
    bandpasses : Bandpasses, or array (n_bands,)
        The latter in GHz, of infinitely narrow bands.
    parameters : array (n_parameters, n_pixels)
    amplitudes : dict of str to array (2, n_pixels)
        Of every component, µK_RJ at its reference frequency.
    model : SpectralModel
    """
    bandpasses = Bandpasses.of(bandpasses)
    components = list(zip(model.components, model.of_component(parameters), strict=True))

    def in_band(*band):
        parts = [
            component.in_band(*band, *own) * amplitudes[component.name]
            for component, own in components
        ]
        return reduce(add, parts)

    return np.stack(list(map(in_band, bandpasses.nodes, bandpasses.weights)))


def mock_foregrounds(
    foreground_model: ForegroundModel,
    pixels: np.ndarray,
    nside: int,
    bandpasses: Bandpasses,
    number: int,
    seed: int,
    model: SpectralModel,
    templates: dict[str, np.ndarray] | None = None,
    smoothing: float = 0.0,
    errors: dict[str, float] | None = None,
    coherence: float = 0.0,
) -> np.ndarray:
    """Foregrounds of one mock sky.

    Parameters
    ----------
    foreground_model : ForegroundModel
        Of these pixels.
    pixels : int array (n_pixels,), RING order
    nside : int
    bandpasses : Bandpasses
    number, seed : int
        Of the spectral parameters: pixels with the same ones are parts of one sky.
    model : SpectralModel
        Parameters stay within its bounds, so that a fit can follow them.
    templates : dict of str to array (12 nside²,)
        Maps that some parameters are known from, with an error, see `draw_true_parameter`.
    smoothing : float
        FWHM in degrees of the beam of these maps: what varies below it they do not show.
    errors, coherence :
        Of the templates, see `parameter_templates.prepare_template`.

    Returns
    -------
    array (n_bands, 2, n_pixels), µK_CMB
    """
    errors = errors or {}
    parameters = foreground_model.parameters.copy()
    deviations = _deviations(nside, seed, number, model).copy()
    # Errors have random numbers of their own, not those of the deviations.
    stream = [seed, number, TEMPLATE_ERRORS]
    wrong = prepare_templates(templates or {}, nside, 0.0, errors, coherence, stream, model)
    for name, values in wrong.items():
        one = model.names.index(name)
        template = templates[name][pixels]
        error = values[pixels] - template
        parameters[one] = draw_true_parameter(template, error, errors.get(name, 0.0))
        for part in deviations:
            part[one] -= smooth(part[one], smoothing)
    wide, narrow = deviations[..., pixels]
    parameters += foreground_model.wide * wide + foreground_model.narrow * narrow
    lower, upper = np.array([parameter.bounds for parameter in model.parameters]).T[:, :, None]
    parameters = np.clip(parameters, lower, upper)
    return emission(bandpasses, parameters, foreground_model.amplitudes, model)


@lru_cache(maxsize=4)
def _deviations(nside, seed, number, model):
    """Deviations as published, on wide and on narrow scales: (2, n_parameters, 12 nside²)."""
    fields = parameter_deviations(nside, seed, number, model)
    is_wide = np.arange(3 * nside) <= WIDE
    wide = np.stack([hp.smoothing(field, beam_window=is_wide) for field in fields])
    return np.stack([wide, fields - wide])


def draw_true_parameter(template: np.ndarray, error: np.ndarray, rms: float) -> np.ndarray:
    """A parameter that a template with an error may have come from.

    Of two independent Gaussian fields whose sum is known: its mean given the sum, and an error as
    large as is then left (Wiener filter, one weight for all scales). Without a weight the sky would
    vary as the template's error does, and with another error on top.

    Parameters
    ----------
    template, error : arrays (n_pixels,)
    rms : float
        Of the error.

    Returns
    -------
    array (n_pixels,)
        In the template's unit.
    """
    variance = template.var()
    weight = max(1 - rms**2 / variance, 0.0) if variance > 0 else 0.0
    return template.mean() + weight * (template - template.mean()) + np.sqrt(weight) * error


def mock_skies(
    foreground_model: ForegroundModel,
    sky: RegionSky,
    skies: int,
    seed: int,
    model: SpectralModel,
    **options,
) -> list[RegionSky]:
    """Mock skies of a region, without CMB: fits do not depend on it.

    Parameters
    ----------
    foreground_model : ForegroundModel
        Of the region.
    sky : RegionSky
        Its pixels, bands and noise.
    skies, seed : int
        How many, and of their spectral parameters and noise.
    model, options :
        See `mock_foregrounds`.
    """
    where = sky.pixels, sky.nside, sky.bandpasses
    return [
        replace(
            sky,
            foregrounds=mock_foregrounds(foreground_model, *where, number, seed, model, **options),
            cmb=np.zeros_like(sky.cmb),
            noise_seed=seed + number,
        )
        for number in range(skies)
    ]


def mock_data(
    foreground_model: ForegroundModel,
    sky: RegionSky,
    skies: int,
    seed: int,
    model: SpectralModel,
    **options,
) -> np.ndarray:
    """Data of mock skies, without and with noise: (2, n_skies, n_bands, 2, n_pixels).

    Parameters are those of `mock_skies`.
    """
    drawn = mock_skies(foreground_model, sky, skies, seed, model, **options)
    foregrounds = np.stack([one.foregrounds for one in drawn])
    # Part of the seed, whatever the thing is called.
    noise = [sky.draw_noise(seed, number, " rehearsal") for number in range(skies)]
    return np.stack([foregrounds, foregrounds + noise])
