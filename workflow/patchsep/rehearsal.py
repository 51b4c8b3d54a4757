"""Rehearsals: skies made like the observed one, on which configurations are tried out.

Nothing in them is known from the truth. Their dust and synchrotron are the recovered ones; their
spectral parameters are Gaussian fields with published spectra, around the recovered means and with
as much scatter as explains what the data gain from patches. Where noise hides what a configuration
leaves of the one observed sky, its average over such skies still tells configurations apart.
"""

import numpy as np

from .fit import Separation, separate
from .foregrounds import PARAMETER_FIELDS, parameter_field
from .noise import simulate_noise
from .patches import PARAMETERS, kmeans
from .sky import RegionSky
from .spectral import dust_sed, synch_sed

# Patches of every parameter from which the scatter is measured: few, so that noise gains little.
PILOT = 50
# Realisations that the measurement is averaged over.
MOST_REALIZATIONS = 6


def parameter_fields(nside: int, seed: int, number: int) -> np.ndarray:
    """Deviations (3, 12 nside²) of the spectral parameters from their means, as published."""
    streams = np.random.default_rng([seed, number]).spawn(len(PARAMETERS))
    return np.stack(
        [
            parameter_field(nside, rng, **PARAMETER_FIELDS[name] | {"mean": 0.0})
            for name, rng in zip(PARAMETERS, streams, strict=True)
        ]
    )


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
    sky: RegionSky, realizations: list[int], skies: int, seed: int, **settings
) -> tuple[np.ndarray, float]:
    """Foregrounds of skies like an observed region.

    Parameters
    ----------
    sky : RegionSky
        Only its observations are used.
    realizations : list of int
        Observations; at most the first `MOST_REALIZATIONS` are used.
    skies : int
        How many to make.
    seed : int
        Of the spectral parameters; those of different regions are parts of one sky.
    settings :
        `bounds`, `start`, `max_iterations`, `tolerance`, `memory` of `fit.separate`.

    Returns
    -------
    foregrounds : array (skies, n_bands, 2, n_pixels), µK_CMB
    scatter : float
        Of the spectral parameters, in units of that of `foregrounds.PARAMETER_FIELDS`: its square
        is (G - G_0) / (G_1 - G_0), G being what patches gain in NLL over a single one, on average
        over the observations, and over skies with that scatter of 0 and 1.
    """
    realizations = realizations[:MOST_REALIZATIONS]
    n_pixels = len(sky.pixels)
    numbers = range(max(skies, len(realizations)))
    fields = [parameter_fields(sky.nside, seed, number)[:, sky.pixels] for number in numbers]
    data = np.stack([sky.observe(number) for number in realizations])
    single = dict.fromkeys(PARAMETERS, np.zeros(n_pixels, dtype=int))
    pilot = dict.fromkeys(PARAMETERS, kmeans(sky.nside, sky.pixels, PILOT, seed))

    def fit(data, patches, **components) -> Separation:
        return separate(data, sky.sigma, sky.frequencies, patches, **components, **settings)

    def gain(data):
        return np.mean(fit(data, single).nll - fit(data, pilot).nll)

    observed = fit(data, single, components=("dust", "synch"))
    means = np.stack([observed.parameters[name][:, 0] for name in PARAMETERS], axis=1)

    def galaxy(number, scatter):
        recovered = number % len(realizations)
        return emission(
            sky.frequencies,
            _within(means[recovered][:, None] + scatter * fields[number], settings["bounds"]),
            observed.maps["dust"][recovered],
            observed.maps["synch"][recovered],
        )

    noise = [
        simulate_noise(sky.sigma, n_pixels, seed, number, f"{sky.region} rehearsal")
        for number in realizations
    ]
    uniform, varied = (
        gain(np.stack([galaxy(i, scatter) + noise[i] for i in range(len(realizations))]))
        for scatter in (0, 1)
    )
    scatter = float(np.sqrt(max(gain(data) - uniform, 0) / max(varied - uniform, 1)))
    return np.stack([galaxy(number, scatter) for number in range(skies)]), scatter


def _within(parameters, bounds):
    """Parameters (3, n_pixels) that the fit can reach."""
    lower, upper = np.array([bounds[name] for name in PARAMETERS]).T
    return np.clip(parameters, lower[:, None], upper[:, None])
