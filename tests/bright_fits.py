"""Fits to the bright sky with noise, for tests of what they find and what must not matter."""

import numpy as np

from patchsep.separation.fit import separate


def fit(sky, data, **changes):
    """`separate` with the settings of the sky and some `changes`."""
    names = ("noise", "bandpasses", "patches", "model")
    settings = {name: getattr(sky, name) for name in names}
    return separate(data, **settings | changes)


def noise(sky, n_realizations, seed=0):
    rng = np.random.default_rng(seed)
    return sky.noise.sigma[:, None, None] * rng.standard_normal((n_realizations, *sky.data.shape))
