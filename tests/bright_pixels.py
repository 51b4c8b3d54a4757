"""Bright pixels of known amplitudes and spectra, for tests of what one fit tells."""

import numpy as np

from patchsep.instrument.bandpass import Transmission, bandpasses
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL

N_PIXELS = 200
VALUES = [1.55, 20.0, -3.0]
PARAMETERS = np.tile(np.array(VALUES)[:, None], N_PIXELS)
# CMB, dust and synchrotron.
MAPS = np.array([3.0, 30.0, 300.0])[:, None, None] * np.random.default_rng(1).standard_normal(
    (3, 2, N_PIXELS)
)


def wide(instrument):
    """Its bands, 25 % wide."""
    hats = [Transmission.top_hat(centre, 0.25) for centre in instrument.frequency]
    return bandpasses(instrument.frequency, hats, 3)


def sky_of(bands, maps=MAPS):
    """Data (n_bands, 2, n_pixels) without noise."""
    columns = [np.ones(len(bands))]
    for one, own in zip(MODEL.components, MODEL.of_component(VALUES), strict=True):
        columns.append(one.in_bands(bands, *own))
    return np.einsum("cb,csp->bsp", np.array(columns), maps)
