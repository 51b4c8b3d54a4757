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

from .fit import separate
from .foreground_model import WIDE, ForegroundModel
from .lazy import healpy as hp
from .lazy import optimize
from .noise import simulate_noise
from .parameter_fields import parameter_fields
from .parameter_templates import prepare_templates, smooth
from .patches import PARAMETERS, kmeans
from .sky import RegionSky
from .spectral import dust_sed, synch_sed

# Patches between which the data's gain is measured, for scatter on wide scales; between the second
# and one patch a pixel for that on narrow scales.
PILOTS = 1, 50
# Whether a gain (row: on wide scales, on narrow ones, of the others) answers to a scatter (column:
# of beta_dust on wide scales, on narrow ones, of the others). That of the others does not to one of
# beta_dust, which has every pixel.
ANSWERS = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 1]], dtype=bool)
# Skies that the gains are compared with.
N_COMPARED = 4
# Errors of gains follow from scatters and these from errors; five rounds are enough.
N_WEIGHTINGS = 10


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


def study(sky: RegionSky, realization: int, seed: int, **settings) -> ForegroundModel:
    """Model a region's foregrounds by one observation of it.

    Three gains in NLL tell how much their parameters scatter: from more patches of all, by what
    beta_dust and the others vary on wide scales; from a beta_dust of every pixel, by what it varies
    on narrow scales, perhaps from pixel to pixel; and where beta_dust has every pixel, from more
    patches of the others alone. The squares of three scatters, that of the others being the same
    on all scales, are those that explain the gains G_i best: they minimise the sum over i of

        (G_i - G_i0 - sum over j of (G_ij - G_i0) s_j²)² / error_i²

    with G_i0 and G_ij the same on average over skies without scatter, and with a scatter j of 1;
    the errors are those of skies with the scatters found.

    Parameters
    ----------
    sky : RegionSky
        Only its observation is used.
    realization : int
    seed : int
        Of the skies that are compared with.
    settings :
        `bounds`, `start`, `max_iterations`, `tolerance`, `memory` of `fit.separate`.
    """
    n_pixels = len(sky.pixels)
    data = sky.observe(realization)[None]
    few, many = PILOTS
    labels = {n: kmeans(sky.nside, sky.pixels, n, seed) for n in (few, many, n_pixels)}

    def fit(data, beta_dust, others, **components):
        numbers = beta_dust, others, others
        patches = {name: labels[n] for name, n in zip(PARAMETERS, numbers, strict=True)}
        return separate(data, sky.sigma, sky.frequencies, patches, **components, **settings)

    def with_scatter(wide, narrow, others):
        both = [np.repeat([[s], [others], [others]], n_pixels, axis=1) for s in (wide, narrow)]
        return model._replace(wide=both[0], narrow=both[1])

    def gains(data):
        one, more = fit(data, few, few).nll, fit(data, many, many).nll
        every_pixel = fit(data, n_pixels, many).nll
        return np.stack(
            [one - more, more - every_pixel, fit(data, n_pixels, few).nll - every_pixel]
        )

    observed = fit(data, few, few, components=("dust", "synch"))
    free = fit(data, n_pixels, few)
    means = [
        np.average(free.parameters[name][0], weights=free.errors[name][0] ** -2)
        for name in PARAMETERS
    ]
    model = ForegroundModel(
        dust=observed.maps["dust"][0],
        synch=observed.maps["synch"][0],
        parameters=np.stack(
            [np.repeat(observed.parameters[name], n_pixels) for name in PARAMETERS]
        ),
        means=np.repeat(np.array(means)[:, None], n_pixels, axis=1),
        wide=np.zeros((len(PARAMETERS), n_pixels)),
        narrow=np.zeros((len(PARAMETERS), n_pixels)),
    )
    skies = [
        rehearsals(with_scatter(*scatter), sky, N_COMPARED, seed, bounds=settings["bounds"])[1]
        for scatter in [(0, 0, 0), *np.eye(3)]
    ]
    *compared, found = gains(np.concatenate([*skies, data])).T
    compared = np.reshape(compared, (len(skies), N_COMPARED, -1))
    (without, *unit), (variance, *spread) = compared.mean(axis=1), compared.var(axis=1, ddof=1)
    of_unit = np.where(ANSWERS, np.stack(unit, axis=1) - without[:, None], 0.0)
    variance_of_unit = np.where(ANSWERS, np.stack(spread, axis=1), 0.0)
    squares = _explain(found - without, of_unit, variance, variance_of_unit)
    return with_scatter(*np.sqrt(squares))


def _explain(gains, of_unit, variance, variance_of_unit):
    """Squares of scatters (3,) that explain gains (3,) by those of a scatter of 1 (3, 3).

    What a scatter gains varies from sky to sky as its square: a large one explains its gains only
    within some part of them, which must not be made up for by the others.
    """
    squares = np.ones(len(gains))
    for _ in range(N_WEIGHTINGS):
        error = np.sqrt(variance + variance_of_unit @ squares**2)
        # In a region of few pixels the second pilot has them all, and nothing is gained beyond.
        error[error == 0] = 1
        squares, _ = optimize.nnls(of_unit / error[:, None], gains / error)
    return squares


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


@lru_cache(maxsize=N_COMPARED)
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
