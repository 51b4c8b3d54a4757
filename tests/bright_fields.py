"""Bright skies of Gaussian amplitudes, for tests of parameters that vary as fields."""

import healpy as hp
import numpy as np

# Where beta_dust, temp_dust and beta_synch of these skies are about.
MEANS = np.array([1.54, 20.0, -3.0])
SCATTERS = np.array([0.05, 1.5, 0.1])


def some_pixels(nside, *caps):
    """Pixels of regions one after the other, as a whole sky has them: not sorted as a whole."""
    discs = [hp.query_disc(nside, hp.ang2vec(*cap, lonlat=True), np.radians(30)) for cap in caps]
    return np.concatenate(discs)


def observe(dense, parameters, seed, brightness=1.0):
    """Data of spectral parameters: bright foregrounds, a CMB, and noise."""
    rng = np.random.default_rng(seed)
    amplitude = np.array([1.0, 30 * brightness, 300 * brightness])[:, None, None]
    maps = amplitude * rng.standard_normal((3, 2, parameters.shape[-1]))
    white = rng.standard_normal((len(dense.sigma), 2, parameters.shape[-1]))
    return dense.sky(parameters, maps) + dense.sigma[:, None, None] * white
