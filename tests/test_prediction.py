"""Prediction: noise to first order against fits of the same noise."""

import numpy as np
import pytest

from patchsep.fit import parameter_maps, separate
from patchsep.patches import PARAMETERS
from patchsep.prediction import propagate


@pytest.fixture(scope="module")
def alone(bright_sky):
    """Parameters of the pixels of the sky without noise, and its CMB."""
    fit = fitted(bright_sky, bright_sky.data[None], tolerance=1e-4)
    return parameter_maps(fit.parameters, bright_sky.patches)[0], fit.cmb[0]


def fitted(sky, data, tolerance, **options):
    return separate(data, sky.sigma, sky.frequencies, sky.patches, tolerance=tolerance, **options)


def propagated(sky, parameters, changes, **options):
    known = sky.sigma, sky.frequencies
    return propagate(parameters, sky.patches, sky.data, changes, *known, **options)


def noise(sky, n_realizations, scale):
    rng = np.random.default_rng(5)
    return scale * sky.sigma[:, None, None] * rng.standard_normal((n_realizations, *sky.data.shape))


def test_little_noise_does_what_a_fit_makes_of_it(bright_sky, alone):
    parameters, cmb = alone
    changes = noise(bright_sky, 4, 0.01)
    expected = fitted(bright_sky, bright_sky.data + changes, tolerance=1e-5).cmb - cmb
    found = propagated(bright_sky, parameters, changes)
    assert np.std(found - expected) < 0.01 * np.std(expected)


def test_a_prior_holds_noise_back_as_it_does_in_a_fit(bright_sky, alone):
    """It is as wide as what noise of this kind does to temp_dust without it."""
    sky, changes = bright_sky, noise(bright_sky, 4, 0.1)
    free = fitted(sky, sky.data + changes, tolerance=1e-4).parameters["temp_dust"]
    prior = {"temp_dust": (20.0, free.std(axis=0).mean())}
    around = fitted(sky, sky.data[None], tolerance=1e-5, prior=prior)
    expected = fitted(sky, sky.data + changes, tolerance=1e-5, prior=prior).cmb - around.cmb
    parameters = parameter_maps(around.parameters, sky.patches)[0]
    found = propagated(sky, parameters, changes, prior=prior)
    without = propagated(sky, parameters, changes)
    assert np.std(found - expected) < 0.02 * np.std(expected)
    assert np.std(without - expected) > 0.1 * np.std(expected)


def test_noise_leaves_what_fits_leave_of_it(bright_sky, alone):
    """The very noise: realisation by realisation, and in the sum over all."""
    parameters, cmb = alone
    changes = noise(bright_sky, 4, 1.0)
    expected = fitted(bright_sky, bright_sky.data + changes, tolerance=1e-3).cmb - cmb
    found = propagated(bright_sky, parameters, changes)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.std(found) == pytest.approx(np.std(expected), rel=0.02)


def test_a_cmb_is_recovered_as_it_is(bright_sky, alone):
    added = np.random.default_rng(6).standard_normal((2, bright_sky.data.shape[-1]))
    changes = np.broadcast_to(added, (1, *bright_sky.data.shape))
    found = propagated(bright_sky, alone[0], changes)[0]
    np.testing.assert_allclose(found, added, atol=1e-9)


def test_a_parameter_at_its_bound_stays_there(bright_sky, alone):
    """All but beta_dust: then noise does what it does where the others are known."""
    sky, (parameters, cmb) = bright_sky, alone
    changes = noise(sky, 4, 0.01)
    known = {
        name: (value[0] - 1e-12, 40.0 if name == "temp_dust" else 0.0)
        for name, value in zip(PARAMETERS[1:], parameters[1:])
    }
    flat = np.stack([parameters[0], *np.repeat(parameters[1:, :1], cmb.shape[-1], axis=1)])
    found = propagate(
        flat,
        sky.patches,
        sky.data,
        changes,
        sky.sigma,
        sky.frequencies,
        {"beta_dust": (0.5, 3.0)} | known,
    )
    narrow = {name: (low, low + 2e-9) for name, (low, _) in known.items()}
    settings = {
        "bounds": {"beta_dust": (0.5, 3.0)} | narrow,
        "start": {"beta_dust": 1.54} | {name: low + 1e-9 for name, (low, _) in narrow.items()},
        "tolerance": 1e-5,
    }
    fits = separate(
        np.concatenate([sky.data[None], sky.data + changes]),
        sky.sigma,
        sky.frequencies,
        sky.patches,
        **settings,
    )
    expected = fits.cmb[1:] - fits.cmb[0]
    assert np.std(found - expected) < 0.02 * np.std(expected)


def test_a_patch_without_signal_does_no_harm(bright_sky):
    """Nothing constrains its parameters but their bounds, and nothing is gained by them."""
    sky = bright_sky
    dark = np.zeros_like(sky.data)
    middle = np.repeat([[1.75], [25.0], [-3.75]], sky.data.shape[-1], axis=1)
    changes = noise(sky, 4, 1.0)
    found = propagate(middle, sky.patches, dark, changes, sky.sigma, sky.frequencies)
    assert np.isfinite(found).all()
    assert np.std(found) < 1.5 * np.std(fitted(sky, changes, tolerance=1e-3).cmb)
