"""Prediction: parameters to first order in noise against fits to the same noise."""

import numpy as np
import pytest

from patchsep.fit import BOUNDS, separate
from patchsep.patches import PARAMETERS
from patchsep.prediction import propagate

TRIES = 4


@pytest.fixture(scope="module")
def alone(bright_sky):
    """The fit to the sky without noise."""
    return fitted(bright_sky, bright_sky.data[None], tolerance=1e-4)


def fitted(sky, data, tolerance, **options):
    return separate(data, sky.sigma, sky.frequencies, sky.patches, tolerance=tolerance, **options)


def propagated(sky, fit, data, **options):
    """Predicted parameters and CMB, from the first row of a fit without noise."""
    parameters = {name: values[0] for name, values in fit.parameters.items()}
    known = sky.sigma, sky.frequencies
    return propagate(parameters, sky.patches, sky.data, data, *known, **options)


def noise(sky, scale):
    rng = np.random.default_rng(5)
    return scale * sky.sigma[:, None, None] * rng.standard_normal((TRIES, *sky.data.shape))


def off(found, expected, reference):
    """Scatter of what is found around what is expected, in units of that of the latter."""
    return np.std(found - expected) / np.std(expected - reference)


def test_little_noise_does_what_a_fit_makes_of_it(bright_sky, alone):
    data = bright_sky.data + noise(bright_sky, 0.01)
    fits = fitted(bright_sky, data, tolerance=1e-5)
    parameters, cmb = propagated(bright_sky, alone, data)
    assert off(cmb, fits.cmb, alone.cmb) < 0.01
    for name in PARAMETERS:
        assert off(parameters[name], fits.parameters[name], alone.parameters[name]) < 0.02


def test_a_prior_holds_noise_back_as_it_does_in_a_fit(bright_sky):
    """It is as wide as what noise of this kind does to temp_dust without it."""
    sky, data = bright_sky, bright_sky.data + noise(bright_sky, 0.1)
    free = fitted(sky, data, tolerance=1e-4).parameters["temp_dust"]
    prior = {"temp_dust": (20.0, free.std(axis=0).mean())}
    around = fitted(sky, sky.data[None], tolerance=1e-5, prior=prior)
    expected = fitted(sky, data, tolerance=1e-5, prior=prior).cmb
    _, cmb = propagated(sky, around, data, prior=prior)
    _, without = propagated(sky, around, data)
    assert off(cmb, expected, around.cmb) < 0.02
    assert off(without, expected, around.cmb) > 0.1


def test_noise_leaves_what_fits_leave_of_it(bright_sky, alone):
    """The very noise: realisation by realisation, and in the sum over all."""
    data = bright_sky.data + noise(bright_sky, 1.0)
    expected = fitted(bright_sky, data, tolerance=1e-3).cmb - alone.cmb
    found = propagated(bright_sky, alone, data)[1] - alone.cmb
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.std(found) == pytest.approx(np.std(expected), rel=0.02)


def test_a_cmb_is_recovered_as_it_is(bright_sky, alone):
    added = np.random.default_rng(6).standard_normal((2, bright_sky.data.shape[-1]))
    _, cmb = propagated(bright_sky, alone, bright_sky.data[None] + added)
    np.testing.assert_allclose(cmb[0] - alone.cmb[0], added, atol=1e-4)


def test_no_parameter_leaves_its_bounds(bright_sky, alone):
    """Dust temperatures that are true at their bound: noise moves them to one side only."""
    sky, data = bright_sky, bright_sky.data + noise(bright_sky, 0.1)
    cold = alone.parameters["temp_dust"].min()
    bounds = BOUNDS | {"temp_dust": (cold - 1e-6, 40.0)}
    fits = fitted(sky, data, tolerance=1e-5, bounds=bounds)
    parameters, cmb = propagated(sky, alone, data, bounds=bounds)
    with_bounds = off(cmb, fits.cmb, alone.cmb)
    assert with_bounds < 0.02
    at_bound, predicted = (values["temp_dust"] < cold for values in (fits.parameters, parameters))
    assert 0 < at_bound.sum() < at_bound.size
    np.testing.assert_array_equal(predicted, at_bound)
    assert parameters["temp_dust"].min() >= cold - 1e-6
    _, unbounded = propagated(sky, alone, data)
    assert off(unbounded, fits.cmb, alone.cmb) > 3 * with_bounds


def test_a_patch_without_signal_does_no_harm(bright_sky):
    """Nothing constrains its parameters but their bounds, and nothing is gained by them."""
    sky, dark = bright_sky, np.zeros_like(bright_sky.data)
    middle = {
        name: np.full(values.shape, sum(BOUNDS[name]) / 2) for name, values in sky.truth.items()
    }
    data = noise(sky, 1.0)
    parameters, cmb = propagate(middle, sky.patches, dark, data, sky.sigma, sky.frequencies)
    for name in PARAMETERS:
        assert np.isfinite(parameters[name]).all()
    assert np.std(cmb) == pytest.approx(np.std(fitted(sky, data, tolerance=1e-3).cmb), rel=0.5)
