"""Gaussian fields of the spectral parameters, alike to what is published of them."""

import numpy as np

from .harmonics import gaussian_scalar, power_law
from .spectral_model import Parameter, SpectralModel


def gaussian_field(nside: int, rng, mean: float, scatter: float, slope: float) -> np.ndarray:
    """Gaussian map (n_pixels,) of given mean and scatter with C_ell ∝ ell^slope."""
    field = gaussian_scalar(power_law(nside, slope), nside, rng)
    return mean + scatter * (field - field.mean()) / field.std()


def parameter_field(nside: int, rng, parameter: Parameter) -> np.ndarray:
    """Gaussian map (n_pixels,) with the mean, scatter and slope of a parameter's published map."""
    return gaussian_field(nside, rng, parameter.mean, parameter.scatter, parameter.slope)


def parameter_deviations(nside: int, seed: int, number: int, model: SpectralModel) -> np.ndarray:
    """Deviations (n_parameters, 12 nside²) of parameters from their means, as published."""
    streams = np.random.default_rng([seed, number]).spawn(len(model.parameters))
    return np.stack(
        [
            gaussian_field(nside, rng, 0.0, parameter.scatter, parameter.slope)
            for parameter, rng in zip(model.parameters, streams, strict=True)
        ]
    )
