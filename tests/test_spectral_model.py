"""Spectral models: a parameter or a component more needs nothing but its description."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands, whiten
from patchsep.separation.fit import separate
from patchsep.separation.likelihood import expand, mixing, pairs, recover, second_moments
from patchsep.separation.propagation import propagate
from patchsep.sky.components import Parameter, PowerLaw
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON, SpectralModel, component

pytestmark = pytest.mark.usefixtures("double_precision")

DUST, SYNCHROTRON = DUST_AND_SYNCHROTRON.components


def parameter(name, bounds, start, reach):
    return Parameter(name, name, bounds, start, reach, start, 0.2, 0.1, -2.0, pysm=name)


CURVED = component("synch", "curved_power_law")
# A fourth parameter; a third foreground, flatter than synchrotron and dust; a single one, of two
# parameters and of one.
FOUR_PARAMETERS = SpectralModel((DUST, CURVED))
THREE_FOREGROUNDS = SpectralModel(
    (DUST, SYNCHROTRON, PowerLaw("flat", 30.0, (parameter("beta_flat", (-2.0, 0.5), 0.0, 0.3),)))
)
DUST_ALONE = SpectralModel((DUST,))
SYNCHROTRON_ALONE = SpectralModel((SYNCHROTRON,))
MODELS = {
    "four parameters": FOUR_PARAMETERS,
    "three foregrounds": THREE_FOREGROUNDS,
    "dust alone": DUST_ALONE,
    "synchrotron alone": SYNCHROTRON_ALONE,
}
TRUTH = {
    "beta_dust": 1.6,
    "temp_dust": 19.0,
    "beta_synch": -3.1,
    "curvature_synch": 0.1,
    "beta_flat": -0.4,
}
N_PIXELS = 6


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return request.param


def columns(model, frequencies, values):
    """A (n_bands, 1 + n_components) of one pixel."""
    seds = [
        np.asarray(component.sed(frequencies, *own))
        for component, own in zip(model.components, model.of_component(values))
    ]
    return np.stack([np.ones(len(frequencies)), *seds], axis=-1)


def misfit(model, frequencies, sigma, values, data):
    """Half the misfit of generalised least squares in one pixel, data (n_bands, 2)."""
    white = columns(model, frequencies, values) / sigma[:, None]
    seen = data / sigma[:, None]
    return np.sum((seen - white @ np.linalg.lstsq(white, seen)[0]) ** 2) / 2


@pytest.fixture
def sky(model, dense):
    """Parameters of every pixel, component maps, and data without noise."""
    rng = np.random.default_rng(7)
    truth = np.array([TRUTH[name] for name in model.names])
    parameters = truth[:, None] * (1 + 0.02 * rng.standard_normal((len(truth), N_PIXELS)))
    amplitude = np.array([1.0, 30.0, 100.0, 40.0])[: 1 + len(model.components)]
    maps = amplitude[:, None, None] * rng.standard_normal((len(amplitude), 2, N_PIXELS))
    data = np.stack(
        [
            columns(model, dense.frequency, values) @ maps[..., pixel]
            for pixel, values in enumerate(parameters.T)
        ],
        axis=-1,
    )
    return parameters, maps, data


@pytest.mark.parametrize("statistics", ["maps", "moments"])
def test_derivatives_are_those_of_the_dense_likelihood(model, dense, sky, statistics):
    """Central differences of generalised least squares, pixel by pixel."""
    parameters, _, data = sky
    data = data + 3 * dense.sigma[:, None, None] * np.random.default_rng(8).standard_normal(
        data.shape
    )
    bands = Bands.of(dense.frequency, WhiteNoise(dense.sigma), model)
    white = whiten(jnp.asarray(data), bands)
    seen = white if statistics == "maps" else second_moments(white[..., None])
    found = jax.jit(expand)(parameters, seen, bands)
    steps = np.array([1e-4 * one.reach for one in model.parameters])
    for pixel, values in enumerate(parameters.T):

        def value(shift, pixel=pixel, values=values):
            at = values + np.asarray(shift) * steps
            return misfit(model, dense.frequency, dense.sigma, at, data[..., pixel])

        unit = np.eye(len(steps))
        for k, entry in enumerate(found.gradient):
            expected = (value(unit[k]) - value(-unit[k])) / (2 * steps[k])
            assert entry[pixel] == pytest.approx(expected, rel=1e-4)
        scale = np.sqrt([entry[pixel] for entry in diagonal(found.gauss_newton, len(steps))])
        for entry, (k, m) in zip(found.hessian, pairs(len(steps)), strict=True):
            # In steps of a hundred times: second differences lose twice the digits.
            one, other = 100 * unit[k], 100 * unit[m]
            expected = (
                value(one + other) - value(one - other) - value(other - one) + value(-one - other)
            ) / (4e4 * steps[k] * steps[m])
            assert entry[pixel] == pytest.approx(expected, abs=2e-3 * scale[k] * scale[m])


def diagonal(matrix, n):
    return [entry for entry, (k, m) in zip(matrix, pairs(n), strict=True) if k == m]


def test_maps_of_a_noiseless_sky_are_those_that_went_in(model, dense, sky):
    parameters, maps, data = sky
    bands = Bands.of(dense.frequency, WhiteNoise(dense.sigma), model)
    recovered = recover(mixing(parameters, bands), data, bands)
    found = np.stack([recovered.cmb, *recovered.components])
    np.testing.assert_allclose(found, maps, atol=1e-7 * np.abs(maps).max())


def test_known_values_are_recovered(model, dense):
    """Patches of every parameter that overlap, far above the noise."""
    pixel, rng = np.arange(48), np.random.default_rng(9)
    patches = {
        name: labels
        for name, labels in zip(model.names, (pixel // 12, pixel // 8 % 2, pixel % 3, pixel // 24))
    }
    truth = {
        name: TRUTH[name] * (1 + 0.03 * np.arange(labels.max() + 1))
        for name, labels in patches.items()
    }
    amplitude = np.array([1.0, 300.0, 3000.0, 500.0])[: 1 + len(model.components)]
    maps = amplitude[:, None, None] * rng.standard_normal((len(amplitude), 2, 48))
    values = np.stack([truth[name][labels] for name, labels in patches.items()])
    data = np.stack(
        [columns(model, dense.frequency, v) @ maps[..., p] for p, v in enumerate(values.T)],
        axis=-1,
    )
    noise = WhiteNoise(dense.sigma)
    noisy = data + np.stack([noise.draw(48, 1, n, "hi") for n in range(20)])
    fits = separate(np.concatenate([data[None], noisy]), noise, dense.frequency, patches, model)
    assert fits.converged.all()
    for name in model.names:
        np.testing.assert_allclose(fits.parameters[name][0], truth[name], rtol=1e-4)
        # Errors are with all others fixed: the scatter is no less.
        scatter = fits.parameters[name][1:].std(axis=0, ddof=1)
        assert np.all(scatter > 0.5 * fits.errors[name][0])
        mean = fits.parameters[name][1:].mean(axis=0)
        assert np.all(np.abs(mean - truth[name]) < 5 * scatter / np.sqrt(20))
    np.testing.assert_allclose(fits.cmb[0], maps[0], atol=0.02)
    # Propagated to first order they are where fits find them.
    start = {name: values[0] for name, values in fits.parameters.items()}
    _, cmb = propagate(start, patches, data, noisy, noise, dense.frequency, model)
    assert np.std(cmb - fits.cmb[1:]) < 0.05 * np.std(fits.cmb[1:] - fits.cmb[0])


def test_limits_are_those_given_and_the_models_own():
    model = DUST_AND_SYNCHROTRON.with_limits({"beta_dust": [1, 2]}, {"temp_dust": 21.0})
    assert model.bounds == DUST_AND_SYNCHROTRON.bounds | {"beta_dust": (1, 2)}
    assert model.start == DUST_AND_SYNCHROTRON.start | {"temp_dust": 21.0}
    # Equal by value: what was compiled for one model serves its like.
    again = DUST_AND_SYNCHROTRON.with_limits({"beta_dust": [1, 2]}, {"temp_dust": 21.0})
    assert again == model and hash(again) == hash(model) and model != DUST_AND_SYNCHROTRON


def test_labels_have_units():
    assert [one.label for one in DUST_AND_SYNCHROTRON.parameters] == [
        r"$\beta_\mathrm{d}$",
        r"$T_\mathrm{d}$ [K]",
        r"$\beta_\mathrm{s}$",
    ]


def test_a_peer_that_knows_one_model_refuses_others(dense):
    patches = dict.fromkeys(FOUR_PARAMETERS.names, np.zeros(4, int))
    data = np.ones((1, len(dense.frequency), 2, 4))
    known = data, WhiteNoise(dense.sigma), dense.frequency, patches, FOUR_PARAMETERS
    with pytest.raises(ValueError, match="dust and synchrotron only"):
        separate(*known, optimizer="furax_active_set")
