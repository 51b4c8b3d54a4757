"""Rehearsals: skies made like the observed one, on which configurations are tried out.

Nothing in them is known from the truth. Their dust and synchrotron are the recovered ones; their
spectral parameters are Gaussian fields with published spectra, around the recovered means and with
as much scatter as explains what the data gain from patches. Where noise hides what a configuration
leaves of the one observed sky, its average over such skies still tells configurations apart, and
what is left of their foregrounds is what to expect in the observed sky's spectrum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import read_maps
from .fit import separate
from .noise import simulate_noise
from .parameter_fields import PARAMETER_FIELDS, parameter_fields
from .parameter_templates import prepare_templates, smooth
from .patches import PARAMETERS, kmeans
from .sky import RegionSky
from .spectral import dust_sed, synch_sed

# Patches between which the data's gain is measured. Few: with many, parameters that vary from pixel
# to pixel would pass for a scatter on all scales.
PILOTS = 1, 50
# Skies that the gain is compared with.
N_COMPARED = 4
# Part of the published scatter that a prior has at least, where data show none.
LEAST_SCATTER = 0.01


class ForegroundModel(NamedTuple):
    """What one observation of a region tells of its foregrounds; maps, as files keep them.

    Attributes
    ----------
    dust, synch : arrays (2, n_pixels), µK_RJ
        Recovered with one patch of every parameter, at the reference frequencies of `spectral`.
    parameters : array (3, n_pixels)
        That fit's beta_dust, temp_dust (K), beta_synch.
    means : array (3, n_pixels)
        Their means over the region, by a fit with a beta_dust of every pixel. With one patch
        variations of beta_dust change what is fitted for the others.
    scatter : array (3, n_pixels)
        Of the spectral parameters, in units of that of `parameter_fields.PARAMETER_FIELDS`.
    """

    dust: np.ndarray
    synch: np.ndarray
    parameters: np.ndarray
    means: np.ndarray
    scatter: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """The maps by the names of `COLUMNS`."""
        return dict(zip(COLUMNS, np.vstack(self), strict=True))

    @classmethod
    def from_columns(cls, maps: Mapping[str, np.ndarray], pixels: np.ndarray) -> "ForegroundModel":
        """The model of some pixels, of maps of the whole sky."""
        values = np.stack([maps[name][pixels] for name in COLUMNS])
        return cls(values[:2], values[2:4], *values[4:].reshape(3, len(PARAMETERS), -1))


COLUMNS = (
    *("DUST_Q", "DUST_U", "SYNCH_Q", "SYNCH_U"),
    *(f"{kind}{name.upper()}" for kind in ("", "MEAN_", "SCATTER_") for name in PARAMETERS),
)
UNITS = ["uK_RJ"] * 4 + 2 * ["", "K", ""] + [""] * 3


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

    The square of their scatter is (G - G_0) / (G_1 - G_0), G being what the second of `PILOTS`
    gains in NLL over the first, and G_0, G_1 the same on average over skies with a scatter of 0
    and 1. That of beta_dust is measured with patches of all parameters. That of the others, in
    which the data see less, with a beta_dust of every pixel: else they would be taken to vary
    where only beta_dust does; they vary as much in the skies that beta_dust is measured with. With
    a beta_dust of every pixel noise hides much; so the others vary at most as much as explains the
    gain from patches of all parameters without any scatter of beta_dust.

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

    def with_scatter(beta_dust, others):
        scatter = np.repeat([[beta_dust], [others], [others]], n_pixels, axis=1)
        return model._replace(scatter=scatter)

    def measured(uniform, varied, less, more):
        skies = [
            rehearsals(one, sky, N_COMPARED, seed, bounds=settings["bounds"])[1]
            for one in (uniform, varied)
        ]
        skies = np.concatenate([*skies, data])
        gain = fit(skies, *less).nll - fit(skies, *more).nll
        low, high = gain[:-1].reshape(2, N_COMPARED).mean(axis=1)
        return np.sqrt(max(gain[-1] - low, 0) / max(high - low, 1))

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
        scatter=np.zeros((len(PARAMETERS), n_pixels)),
    )
    of_all = (few, few), (many, many)
    others = min(
        measured(with_scatter(0, 0), with_scatter(1, 1), (n_pixels, few), (n_pixels, many)),
        measured(with_scatter(0, 0), with_scatter(0, 1), *of_all),
    )
    beta_dust = measured(with_scatter(0, others), with_scatter(1, others), *of_all)
    return with_scatter(beta_dust, others)


def shrinkage_prior(
    model: ForegroundModel, parameters: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Prior of patches' parameters, from data alone: the mean and scatter of a region's model.

    Shrinkage towards a common mean whose scatter the data tell is empirical Bayes (Efron & Morris
    1973). The scatter is that of pixels; patches of many pixels have somewhat less.

    Parameters
    ----------
    model : ForegroundModel
    parameters : sequence of str
        Those to be shrunk.

    Returns
    -------
    dict by parameter
        Mean and standard deviation, as `fit.separate` has it.
    """
    prior = {}
    for name in parameters:
        number = PARAMETERS.index(name)
        scatter = max(model.scatter[number].mean(), LEAST_SCATTER)
        mean = float(model.means[number].mean())
        prior[name] = mean, float(scatter * PARAMETER_FIELDS[name]["scatter"])
    return prior


def read_prior(
    path: str | Path, pixels: np.ndarray, parameters: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """`shrinkage_prior` of the model that a file has; without parameters there is no file."""
    if not parameters:
        return {}
    return shrinkage_prior(ForegroundModel.from_columns(read_maps(path), pixels), parameters)


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
    deviations = parameter_fields(nside, seed, number)
    parameters = model.parameters + model.scatter * deviations[:, pixels]
    # Errors have random numbers of their own, not those of the deviations.
    stream = [seed, number, len(PARAMETERS)]
    wrong = prepare_templates(templates or {}, nside, 0.0, errors, coherence, stream)
    for name, values in wrong.items():
        one = PARAMETERS.index(name)
        unseen = deviations[one] - smooth(deviations[one], smoothing)
        template = templates[name][pixels]
        parameters[one] = behind(template, values[pixels] - template, errors.get(name, 0.0))
        parameters[one] += model.scatter[one] * unseen[pixels]
    lower, upper = np.array([bounds[name] for name in PARAMETERS]).T[:, :, None]
    return emission(frequencies, np.clip(parameters, lower, upper), model.dust, model.synch)


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
