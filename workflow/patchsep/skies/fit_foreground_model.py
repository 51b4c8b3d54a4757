"""The fit of a foreground model to one observation."""

from dataclasses import replace

import numpy as np

from ..lazy import optimize
from ..observation.foreground_model import ForegroundModel
from ..observation.region_sky import RegionSky
from ..separation.fit import separate
from ..separation.patches import kmeans
from ..sky.spectral_model import SpectralModel
from .mocks import mock_data

# Patches between which the data's gain is measured, for scatter on wide scales; between the second
# and one patch a pixel for that on narrow scales.
PILOTS = 1, 50
# Whether a gain (row: on wide scales, on narrow ones, of the others) answers to a scatter (column:
# of beta_dust on wide scales, on narrow ones, of the others). That of the others does not to one of
# beta_dust, which has every pixel.
ANSWERS = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 1]], dtype=bool)
# Skies that the gains are compared with.
N_COMPARED = 4
# Errors of gains follow from scatters and these from errors; so many rounds are enough.
N_WEIGHTINGS = 10


def fit_foreground_model(
    sky: RegionSky, realization: int, seed: int, model: SpectralModel, **settings
) -> ForegroundModel:
    """Fit a model of a region's foregrounds to one observation of it.

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
    model : SpectralModel
        Its first parameter is the one that may have a patch of every pixel.
    settings :
        `max_iterations`, `tolerance` and `memory` of `fit.separate`.
    """
    n_parameters, n_pixels = len(model.parameters), len(sky.pixels)
    data = sky.observe(realization)[None]
    few, many = PILOTS
    labels = {n: kmeans(sky.nside, sky.pixels, n, seed) for n in (few, many, n_pixels)}

    def fit(data, beta_dust, others, **components):
        numbers = beta_dust, *[others] * (n_parameters - 1)
        patches = {name: labels[n] for name, n in zip(model.names, numbers, strict=True)}
        return separate(data, sky.noise, sky.bandpasses, patches, model, **components, **settings)

    def with_scatter(wide, narrow, others):
        both = [
            np.repeat([[s], *[[others]] * (n_parameters - 1)], n_pixels, axis=1)
            for s in (wide, narrow)
        ]
        return replace(without_scatter, wide=both[0], narrow=both[1])

    def gains(data):
        one, more = fit(data, few, few).nll, fit(data, many, many).nll
        every_pixel = fit(data, n_pixels, many).nll
        return np.stack(
            [one - more, more - every_pixel, fit(data, n_pixels, few).nll - every_pixel]
        )

    observed = fit(data, few, few, components=model.component_names)
    without_scatter = ForegroundModel(
        names=model.names,
        amplitudes={name: observed.maps[name][0] for name in model.component_names},
        parameters=np.stack(
            [np.repeat(observed.parameters[name], n_pixels) for name in model.names]
        ),
        wide=np.zeros((n_parameters, n_pixels)),
        narrow=np.zeros((n_parameters, n_pixels)),
    )
    skies = [
        mock_data(with_scatter(*scatter), sky, N_COMPARED, seed, model)[1]
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
