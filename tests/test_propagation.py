"""Prediction: parameters to first order in noise against fits to the same noise."""

import numpy as np
import pytest

from patchsep.separation.fit import separate
from patchsep.separation.propagation import propagate

TRIES = 4


def fitted(sky, data, **options):
    """Fits to the sky without noise, and to every row of the data."""
    both = np.concatenate([sky.data[None], data])
    known = {"model": sky.model, "tolerance": 1e-5}
    return separate(both, sky.noise, sky.bandpasses, sky.patches, **known | options)


def propagated(sky, fits, data, **options):
    """Predicted parameters and CMB, from the fit to the sky without noise."""
    parameters = {name: values[0] for name, values in fits.parameters.items()}
    known = {"noise": sky.noise, "bandpasses": sky.bandpasses, "model": sky.model}
    return propagate(parameters, sky.patches, sky.data, data, **known | options)


def noise(sky, scale):
    rng = np.random.default_rng(5)
    return scale * sky.noise.sigma[:, None, None] * rng.standard_normal((TRIES, *sky.data.shape))


def off(found, fits):
    """Scatter of what is found around what fits find, in units of what noise does to these."""
    return np.std(found - fits[1:]) / np.std(fits[1:] - fits[0])


def test_little_noise_does_what_a_fit_makes_of_it(bright_sky):
    data = bright_sky.data + noise(bright_sky, 0.01)
    fits = fitted(bright_sky, data)
    parameters, cmb = propagated(bright_sky, fits, data)
    assert off(cmb, fits.cmb) < 0.01
    for name in bright_sky.model.names:
        assert off(parameters[name], fits.parameters[name]) < 0.02


def test_noise_leaves_what_fits_leave_of_it(bright_sky):
    """The very noise: realisation by realisation, and in the sum over all."""
    data = bright_sky.data + noise(bright_sky, 1.0)
    fits = fitted(bright_sky, data)
    expected = fits.cmb[1:] - fits.cmb[0]
    found = propagated(bright_sky, fits, data)[1] - fits.cmb[0]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.std(found) == pytest.approx(np.std(expected), rel=0.02)


def test_noise_warms_dust_as_it_does_in_fits(bright_sky):
    """Of opposite noises one makes dust warmer by more than the other makes it colder."""
    one = noise(bright_sky, 100.0)
    data = bright_sky.data + np.concatenate([one, -one])
    fits = fitted(bright_sky, data)
    without, fitted_to_noise = np.split(fits.parameters["temp_dust"], [1])
    warmer = fitted_to_noise.mean() - without.mean()
    assert warmer > 0.1
    found = propagated(bright_sky, fits, data)[0]["temp_dust"]
    assert found.mean() - without.mean() == pytest.approx(warmer, rel=0.2)


def test_a_cmb_is_recovered_as_it_is(bright_sky):
    added = np.random.default_rng(6).standard_normal((TRIES, 2, bright_sky.data.shape[-1]))
    data = bright_sky.data + added[:, None]
    fits = fitted(bright_sky, data)
    _, cmb = propagated(bright_sky, fits, data)
    np.testing.assert_allclose(cmb - fits.cmb[0], added, atol=1e-5)


def test_no_parameter_leaves_its_bounds(bright_sky):
    """Dust temperatures that are true at their bound: noise moves them to one side only."""
    sky, data = bright_sky, bright_sky.data + noise(bright_sky, 0.1)
    cold = sky.truth["temp_dust"].min()
    model = sky.model.with_limits({"temp_dust": (cold - 1e-6, 40.0)})
    fits = fitted(sky, data, model=model)
    parameters, cmb = propagated(sky, fits, data, model=model)
    with_bounds = off(cmb, fits.cmb)
    assert with_bounds < 0.02
    at_bound = fits.parameters["temp_dust"][1:] < cold
    assert 0 < at_bound.sum() < at_bound.size
    np.testing.assert_array_equal(parameters["temp_dust"] < cold, at_bound)
    assert parameters["temp_dust"].min() >= cold - 1e-6
    _, unbounded = propagated(sky, fits, data)
    assert off(unbounded, fits.cmb) > 3 * with_bounds


def test_a_patch_without_signal_does_no_harm(bright_sky):
    """Nothing constrains its parameters but their bounds, and nothing is gained by them."""
    sky, data = bright_sky, noise(bright_sky, 1.0)
    middle = {
        name: np.full(values.shape, sum(sky.model.bounds[name]) / 2)
        for name, values in sky.truth.items()
    }
    known = sky.noise, sky.bandpasses, sky.model
    parameters, cmb = propagate(middle, sky.patches, np.zeros_like(sky.data), data, *known)
    for name in sky.model.names:
        assert np.isfinite(parameters[name]).all()
    assert np.std(cmb) == pytest.approx(np.std(fitted(sky, data).cmb[1:]), rel=0.5)
