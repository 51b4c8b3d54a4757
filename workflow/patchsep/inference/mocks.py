"""Rehearsals: skies made like the observed one, on which configurations are tried out.

Nothing in them is known from the truth. Their dust and synchrotron are the recovered ones; their
spectral parameters are Gaussian fields with published spectra, around the recovered means and with
as much scatter, on wide and on narrow scales, as explains what the data gain from patches. Where
noise hides what a configuration leaves of the one observed sky, its average over such skies still
tells configurations apart, and what is left of their foregrounds is what to expect in the observed
sky's spectrum.
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


def rehearse(
    model: ForegroundModel,
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
    """Foregrounds of a sky like the observed one.

    Parameters
    ----------
    model : ForegroundModel
        Of these pixels.
    pixels : int array (n_pixels,), RING order
    nside : int
    frequencies : array (n_bands,), GHz
    number, seed : int
        Of the spectral parameters: pixels with the same ones are parts of one sky.
    bounds : dict by parameter
        Parameters stay within, so that a fit can follow them.
    templates : dict of str to array (12 nside²,)
        Maps that some parameters are known from, with an error; see `behind`.
    smoothing : float
        FWHM in degrees of the beam of these maps: what varies below it they do not show.
    errors, coherence :
        Of the templates, see `parameter_templates.prepare_template`.

    Returns
    -------
    array (n_bands, 2, n_pixels), µK_CMB
    """
    errors = errors or {}
    parameters, deviations = model.parameters.copy(), _deviations(nside, seed, number).copy()
    # Errors have random numbers of their own, not those of the deviations.
    stream = [seed, number, len(PARAMETERS)]
    wrong = prepare_templates(templates or {}, nside, 0.0, errors, coherence, stream)
    for name, values in wrong.items():
        one = PARAMETERS.index(name)
        template = templates[name][pixels]
        parameters[one] = behind(template, values[pixels] - template, errors.get(name, 0.0))
        for part in deviations:
            part[one] -= smooth(part[one], smoothing)
    wide, narrow = deviations[..., pixels]
    parameters += model.wide * wide + model.narrow * narrow
    lower, upper = np.array([bounds[name] for name in PARAMETERS]).T[:, :, None]
    return emission(frequencies, np.clip(parameters, lower, upper), model.dust, model.synch)


@lru_cache(maxsize=4)
def _deviations(nside, seed, number):
    """Deviations (2, 3, 12 nside²) as published: their parts on wide and on narrow scales."""
    fields = parameter_fields(nside, seed, number)
    is_wide = np.arange(3 * nside) <= WIDE
    wide = np.stack([hp.smoothing(field, beam_window=is_wide) for field in fields])
    return np.stack([wide, fields - wide])


def behind(template: np.ndarray, error: np.ndarray, rms: float) -> np.ndarray:
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


def rehearsal_skies(
    model: ForegroundModel, sky: RegionSky, skies: int, seed: int, **options
) -> list[RegionSky]:
    """Rehearsals of a region, without CMB: fits do not depend on it.

    Parameters
    ----------
    options :
        See `rehearse`.
    """
    where = sky.pixels, sky.nside, sky.frequencies
    return [
        replace(
            sky,
            foregrounds=rehearse(model, *where, number, seed, **options),
            cmb=np.zeros_like(sky.cmb),
            noise_seed=seed + number,
        )
        for number in range(skies)
    ]


def rehearsals(
    model: ForegroundModel, sky: RegionSky, skies: int, seed: int, **options
) -> np.ndarray:
    """Skies like an observed region, without and with noise: (2, n_skies, n_bands, 2, n_pixels).

    Parameters
    ----------
    options :
        See `rehearse`.
    """
    foregrounds = np.stack(
        [one.foregrounds for one in rehearsal_skies(model, sky, skies, seed, **options)]
    )
    noise = [
        simulate_noise(sky.sigma, len(sky.pixels), seed, number, f"{sky.region} rehearsal")
        for number in range(skies)
    ]
    return np.stack([foregrounds, foregrounds + noise])
