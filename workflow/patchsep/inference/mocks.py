"""Mock skies: drawn from the foreground model that was fitted to the one observed sky.

A parametric bootstrap: nothing in them is known from the truth. Their dust and synchrotron are the
recovered ones; their spectral parameters are Gaussian fields with published spectra, around the
recovered means and with as much scatter, on wide and on narrow scales, as explains what the data
gain from patches. Where noise hides what a configuration leaves of the one observed sky, its
average over mock skies still tells configurations apart, and what is left of their foregrounds is
what to expect in the observed sky's spectrum.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ..instrument.noise import simulate_noise
from ..lazy import healpy as hp
from ..observation.region_sky import RegionSky
from ..sky.parameter_fields import parameter_fields
from ..sky.parameter_templates import prepare_templates, smooth
from ..sky.spectral_model import PARAMETERS, dust_sed, synch_sed
from .foreground_model import WIDE, ForegroundModel

# Third number of the seed of template errors, beside those that the deviations of the spectral
# parameters have. It happens to be their number; whatever that is, the seed stays.
TEMPLATE_ERRORS = 3


def emission(
    frequencies: np.ndarray, parameters: np.ndarray, dust: np.ndarray, synch: np.ndarray
) -> np.ndarray:
    """Foregrounds (n_bands, 2, n_pixels) in µK_CMB.

    Parameters
    ----------
    frequencies : array (n_bands,), GHz
    parameters : array (3, n_pixels)
    dust, synch : arrays (2, n_pixels)
        µK_RJ at the reference frequencies of `spectral`.
    """
    beta_dust, temp_dust, beta_synch = parameters
    return np.stack(
        [
            np.asarray(dust_sed(frequency, beta_dust, temp_dust)) * dust
            + np.asarray(synch_sed(frequency, beta_synch)) * synch
            for frequency in frequencies
        ]
    )


def mock_foregrounds(
    foreground_model: ForegroundModel,
    pixels: np.ndarray,
    nside: int,
    frequencies: np.ndarray,
    number: int,
    seed: int,
    bounds: dict[str, tuple[float, float]],
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
    frequencies : array (n_bands,), GHz
    number, seed : int
        Of the spectral parameters: pixels with the same ones are parts of one sky.
    bounds : dict by parameter
        Parameters stay within, so that a fit can follow them.
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
    deviations = _deviations(nside, seed, number).copy()
    # Errors have random numbers of their own, not those of the deviations.
    stream = [seed, number, TEMPLATE_ERRORS]
    wrong = prepare_templates(templates or {}, nside, 0.0, errors, coherence, stream)
    for name, values in wrong.items():
        one = PARAMETERS.index(name)
        template = templates[name][pixels]
        error = values[pixels] - template
        parameters[one] = draw_true_parameter(template, error, errors.get(name, 0.0))
        for part in deviations:
            part[one] -= smooth(part[one], smoothing)
    wide, narrow = deviations[..., pixels]
    parameters += foreground_model.wide * wide + foreground_model.narrow * narrow
    lower, upper = np.array([bounds[name] for name in PARAMETERS]).T[:, :, None]
    parameters = np.clip(parameters, lower, upper)
    return emission(frequencies, parameters, foreground_model.dust, foreground_model.synch)


@lru_cache(maxsize=4)
def _deviations(nside, seed, number):
    """Deviations (2, 3, 12 nside²) as published: their parts on wide and on narrow scales."""
    fields = parameter_fields(nside, seed, number)
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
    foreground_model: ForegroundModel, sky: RegionSky, skies: int, seed: int, **options
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
    options :
        See `mock_foregrounds`.
    """
    where = sky.pixels, sky.nside, sky.frequencies
    return [
        replace(
            sky,
            foregrounds=mock_foregrounds(foreground_model, *where, number, seed, **options),
            cmb=np.zeros_like(sky.cmb),
            noise_seed=seed + number,
        )
        for number in range(skies)
    ]


def mock_data(
    foreground_model: ForegroundModel, sky: RegionSky, skies: int, seed: int, **options
) -> np.ndarray:
    """Data of mock skies, without and with noise: (2, n_skies, n_bands, 2, n_pixels).

    Parameters are those of `mock_skies`.
    """
    foregrounds = np.stack(
        [one.foregrounds for one in mock_skies(foreground_model, sky, skies, seed, **options)]
    )
    # Part of the seed, whatever the thing is called.
    name = f"{sky.region} rehearsal"
    noise = [
        simulate_noise(sky.sigma, len(sky.pixels), seed, number, name) for number in range(skies)
    ]
    return np.stack([foregrounds, foregrounds + noise])
