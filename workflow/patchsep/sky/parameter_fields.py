"""Gaussian fields of the spectral parameters, alike to what is published of them."""

import numpy as np

from .harmonics import gaussian_scalar, power_law

# Mean, scatter and slope of C_ell of the spectral parameters: those of PySM's d1 and s1
# maps on GAL060 (which go back to Planck 2015 X, arXiv:1502.01588, and Miville-Deschênes
# et al. 2008, arXiv:0802.3345); slopes of the two dust maps are fitted to ell = 4 … 100.
# s1's beta_synch has no structure below 5°; its slope is what S-PASS suggests, -2.6
# (arXiv:1802.01145).
PARAMETER_FIELDS = {
    "beta_dust": dict(mean=1.54, scatter=0.029, slope=-2.0),
    "temp_dust": dict(mean=22.1, scatter=1.56, slope=-2.3),
    "beta_synch": dict(mean=-3.0, scatter=0.047, slope=-2.6),
}


def parameter_field(nside: int, rng, mean: float, scatter: float, slope: float) -> np.ndarray:
    """Gaussian map (n_pixels,) of given mean and scatter with C_ell ∝ ell^slope."""
    field = gaussian_scalar(power_law(nside, slope), nside, rng)
    return mean + scatter * (field - field.mean()) / field.std()


def parameter_fields(nside: int, seed: int, number: int) -> np.ndarray:
    """Deviations (3, 12 nside²) of the spectral parameters from their means, as published."""
    streams = np.random.default_rng([seed, number]).spawn(len(PARAMETER_FIELDS))
    return np.stack(
        [
            parameter_field(nside, rng, **published | {"mean": 0.0})
            for published, rng in zip(PARAMETER_FIELDS.values(), streams, strict=True)
        ]
    )
