"""Rehearsals: skies like an observed one, of which only the observations are looked at."""

from dataclasses import replace

import numpy as np
import pytest

from patchsep.fit import BOUNDS, START
from patchsep.rehearsal import emission, parameter_fields, rehearse
from patchsep.sky import RegionSky

NSIDE, PIXELS = 16, np.arange(400, 1000)
SETTINGS = {"bounds": BOUNDS, "start": START, "max_iterations": 200, "tolerance": 1e-3}
MEANS = np.array([[1.6], [19.0], [-3.1]])


def sky_with(dense, scatter):
    """A region whose spectral parameters have so many times the published scatter."""
    rng = np.random.default_rng(0)
    maps = np.array([0, 10, 100])[:, None, None] * rng.standard_normal((3, 2, len(PIXELS)))
    parameters = MEANS + scatter * parameter_fields(NSIDE, 77, 0)[:, PIXELS]
    return RegionSky(
        region="hi",
        nside=NSIDE,
        pixels=PIXELS,
        frequencies=dense.frequency,
        sigma=dense.sigma,
        foregrounds=dense.sky(parameters, maps),
        cmb=rng.standard_normal((2, len(PIXELS))),
        noise_seed=3,
    )


@pytest.mark.parametrize("scatter", [0.0, 0.5, 1.5])
def test_the_scatter_of_the_parameters_is_found(dense, scatter):
    """Skies of few pixels have more or less of it than the average sky."""
    _, found = rehearse(sky_with(dense, scatter), [0, 1], 1, 5, **SETTINGS)
    assert found == pytest.approx(scatter, rel=0.25, abs=0.1)


def test_a_rehearsal_looks_like_the_observed_sky(dense):
    """Recovered with noise, but much brighter than that."""
    sky = sky_with(dense, 1.0)
    foregrounds, _ = rehearse(sky, [0, 1], 2, 5, **SETTINGS)
    for one in foregrounds:
        for band, observed in zip(one, sky.foregrounds, strict=True):
            assert np.corrcoef(band.ravel(), observed.ravel())[0, 1] > 0.9
    assert not np.array_equal(*foregrounds)


def test_nothing_but_observations_is_looked_at(dense):
    """The same data with the foregrounds' power counted as CMB give the same rehearsal."""
    sky = sky_with(dense, 1.0)
    shift = np.random.default_rng(1).standard_normal(sky.cmb.shape)
    other = replace(sky, foregrounds=sky.foregrounds + shift, cmb=sky.cmb - shift)
    one, another = (rehearse(s, [0, 1], 1, 5, **SETTINGS)[0] for s in (sky, other))
    # As far as fits converge; the shift is of 1 µK.
    np.testing.assert_allclose(one, another, atol=1e-4)


def test_the_same_seed_makes_the_same_sky_again(dense):
    sky = sky_with(dense, 1.0)
    one, again, other = (rehearse(sky, [0, 1], 1, seed, **SETTINGS)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_emission_is_that_of_the_dense_model(dense):
    rng = np.random.default_rng(2)
    parameters = MEANS + np.array([[0.1], [1.0], [0.1]]) * rng.standard_normal((3, 20))
    maps = rng.standard_normal((3, 2, 20))
    maps[0] = 0
    np.testing.assert_allclose(
        emission(dense.frequency, parameters, *maps[1:]), dense.sky(parameters, maps), rtol=1e-9
    )


def test_parameters_stay_within_the_bounds_of_the_fit(dense):
    """A rehearsal that no fit could follow would judge its configurations by that."""
    mean = dict(zip(BOUNDS, MEANS[:, 0], strict=True))
    bounds = {name: (value - 1e-4, value + 1e-4) for name, value in mean.items()}
    foregrounds, scatter = rehearse(
        sky_with(dense, 3.0), [0, 1], 1, 5, **SETTINGS | {"bounds": bounds, "start": mean}
    )
    assert scatter > 1
    # Dust outshines synchrotron in the highest bands.
    ratio = foregrounds[0, -1] / foregrounds[0, -2]
    bright = np.abs(foregrounds[0, -2]) > np.median(np.abs(foregrounds[0, -2]))
    assert ratio[bright].std() < 1e-3 * ratio[bright].mean()
