"""The spectral likelihood against dense generalised least squares in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from patchsep.spectral import (
    component_maps,
    curvature,
    dust_sed,
    negative_log_likelihood,
    synch_sed,
    whiten,
)

N_PIXELS = 5


@pytest.fixture(scope="module")
def parameters():
    """beta_dust, temp_dust, beta_synch of five pixels."""
    rng = np.random.default_rng(0)
    spread = np.array([0.1, 3.0, 0.2])[:, None] * rng.standard_normal((3, N_PIXELS))
    return np.array([1.54, 20.0, -3.0])[:, None] + spread


@pytest.fixture(scope="module")
def maps():
    """CMB, dust, synchrotron amplitudes (3, 2, n_pixels) far above the noise."""
    amplitude = np.array([1.0, 30.0, 100.0])[:, None, None]
    return amplitude * np.random.default_rng(1).standard_normal((3, 2, N_PIXELS))


@pytest.fixture(scope="module")
def clean(dense, parameters, maps):
    return dense.sky(parameters, maps)


@pytest.fixture(scope="module")
def noisy(dense, clean):
    noise = np.random.default_rng(2).standard_normal(clean.shape)
    return clean + 3 * dense.sigma[:, None, None] * noise


@pytest.fixture(scope="module")
def nll(dense):
    """The package's likelihood as a function of parameters and data."""

    def function(parameters, data):
        white = whiten(jnp.asarray(data), dense.sigma)
        return negative_log_likelihood(parameters, white, dense.frequency, dense.sigma)

    return function


def pixel_parameters(parameters):
    """Every single parameter: its index, its pixel, and the parameters of that pixel."""
    for index, pixel in np.ndindex(3, N_PIXELS):
        yield index, pixel, parameters[:, pixel]


def one_pixel_misfit(dense, values, data, pixel):
    return dense.solve(values[:, None], data[..., pixel : pixel + 1])[1]


def central_difference(function, values, index, step):
    shift = step * np.eye(3)[index]
    return (function(values + shift) - function(values - shift)) / (2 * step)


def test_seds_are_the_columns_of_the_mixing_matrix(dense):
    expected = dense.mixing(1.6, 19.0, -2.9)
    found = dust_sed(dense.frequency, 1.6, 19.0), synch_sed(dense.frequency, -2.9)
    np.testing.assert_allclose(np.stack(found, axis=1), expected[:, 1:], rtol=1e-12)


def test_likelihood_is_the_misfit_of_generalised_least_squares(dense, nll, parameters, noisy):
    assert nll(parameters, noisy) == pytest.approx(dense.solve(parameters, noisy)[1], rel=1e-10)


def test_likelihood_is_the_published_one_up_to_the_power_of_the_data(dense, nll, parameters, noisy):
    """NLL + ln L = ½ dᵀN⁻¹d with ln L = ½ (AᵀN⁻¹d)ᵀ (AᵀN⁻¹A)⁻¹ (AᵀN⁻¹d)."""
    inverse_noise, log_likelihood = np.diag(dense.sigma**-2), 0.0
    for pixel, values in enumerate(parameters.T):
        matrix = dense.mixing(*values)
        projected = matrix.T @ inverse_noise @ noisy[..., pixel]
        solved = np.linalg.solve(matrix.T @ inverse_noise @ matrix, projected)
        log_likelihood += np.sum(projected * solved) / 2
    power = np.sum((noisy / dense.sigma[:, None, None]) ** 2) / 2
    assert nll(parameters, noisy) == pytest.approx(power - log_likelihood, rel=1e-8)


def test_likelihood_vanishes_for_the_true_parameters_of_a_noiseless_sky(nll, parameters, clean):
    scale = nll(parameters + np.array([[0.01], [0], [0]]), clean)
    assert nll(parameters, clean) < 1e-12 * scale


def test_likelihood_does_not_see_the_cmb(nll, parameters, noisy):
    cmb = 1000 * np.random.default_rng(3).standard_normal((2, N_PIXELS))
    np.testing.assert_allclose(nll(parameters, noisy + cmb), nll(parameters, noisy), rtol=1e-9)


def test_gradient_is_that_of_the_dense_likelihood(dense, nll, parameters, noisy):
    found = jax.grad(nll)(parameters, noisy)
    for index, pixel, values in pixel_parameters(parameters):
        expected = central_difference(
            lambda v, pixel=pixel: one_pixel_misfit(dense, v, noisy, pixel), values, index, 1e-5
        )
        assert found[index, pixel] == pytest.approx(expected, rel=1e-6)


def test_gradient_is_that_of_its_own_finite_differences(nll, parameters, noisy):
    """Along a random direction through all parameters at once."""
    direction = np.random.default_rng(4).standard_normal(parameters.shape)
    step = 1e-5
    change = nll(parameters + step * direction, noisy) - nll(parameters - step * direction, noisy)
    along = np.sum(jax.grad(nll)(parameters, noisy) * direction)
    np.testing.assert_allclose(along, change / (2 * step), rtol=1e-6)


def test_component_maps_are_generalised_least_squares(dense, parameters, noisy):
    found = component_maps(parameters, noisy, dense.frequency, dense.sigma)
    expected = dense.solve(parameters, noisy)[0]
    for component in range(3):
        scale = np.abs(expected[component]).max()
        np.testing.assert_allclose(found[component], expected[component], atol=1e-10 * scale)


def test_component_maps_of_a_noiseless_sky_are_those_that_went_in(dense, parameters, clean, maps):
    found = component_maps(parameters, clean, dense.frequency, dense.sigma)
    np.testing.assert_allclose(found, maps, atol=1e-10 * np.abs(maps).max())


def package_curvature(dense, parameters, data):
    white = whiten(jnp.asarray(data), dense.sigma)
    return curvature(parameters, white, dense.frequency, dense.sigma)


def test_curvature_is_the_second_derivative_where_nothing_is_left_over(dense, parameters, clean):
    """Gauss-Newton is exact at the truth of a noiseless sky, where the misfit is zero."""
    found = package_curvature(dense, parameters, clean)
    for index, pixel, values in pixel_parameters(parameters):
        step = 1e-3 / np.sqrt(found[index, pixel])
        shift = step * np.eye(3)[index]
        above, middle, below = (
            one_pixel_misfit(dense, values + sign * shift, clean, pixel) for sign in (1, 0, -1)
        )
        second_derivative = (above - 2 * middle + below) / step**2
        assert found[index, pixel] == pytest.approx(second_derivative, rel=1e-5)


def test_curvature_is_the_published_formula_for_noisy_data(dense, parameters, noisy):
    """Σ over Q, U of ‖P⊥ (∂A/∂β) ŝ‖² with dense projectors."""
    found = package_curvature(dense, parameters, noisy)
    solution = dense.solve(parameters, noisy)[0]
    for index, pixel, values in pixel_parameters(parameters):
        basis = np.linalg.qr(dense.white_mixing(*values))[0]
        change = dense.white_derivative(values, index) @ solution[..., pixel]
        outside = change - basis @ (basis.T @ change)
        assert found[index, pixel] == pytest.approx(np.sum(outside**2), rel=1e-6)


def test_computations_are_in_double_precision(nll, parameters, noisy):
    assert nll(parameters, noisy).dtype == jnp.float64
