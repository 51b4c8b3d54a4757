"""The spectral likelihood against dense generalised least squares in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands, whiten
from patchsep.separation.likelihood import expand, mixing, pairs, recover, second_moments
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("double_precision")

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
def bands(dense):
    return Bands.of(dense.frequency, WhiteNoise(dense.sigma), DUST_AND_SYNCHROTRON)


@pytest.fixture(scope="module")
def nll(bands):
    """The package's likelihood as a function of parameters and data."""
    return lambda parameters, data: recover(mixing(parameters, bands), data, bands).nll


@pytest.fixture(scope="module")
def gradient(nll, parameters, noisy):
    """Its automatic derivatives (3, n_pixels)."""
    return jax.jit(jax.grad(nll))(parameters, noisy)


@pytest.fixture(scope="module", params=["maps", "moments"])
def expansion(request, bands):
    """`expand` of data, from the maps themselves and from their second moments."""

    def function(parameters, data):
        white = whiten(jnp.asarray(data), bands)
        return jax.jit(expand)(
            parameters,
            white if request.param == "maps" else second_moments(white[..., None]),
            bands,
        )

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
    dust, synch = DUST_AND_SYNCHROTRON.components
    found = dust.sed(dense.frequency, 1.6, 19.0), synch.sed(dense.frequency, -2.9)
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


def test_gradient_is_that_of_the_dense_likelihood(dense, gradient, parameters, noisy):
    for index, pixel, values in pixel_parameters(parameters):
        expected = central_difference(
            lambda v, pixel=pixel: one_pixel_misfit(dense, v, noisy, pixel), values, index, 1e-5
        )
        assert gradient[index, pixel] == pytest.approx(expected, rel=1e-6)


def test_gradient_is_that_of_its_own_finite_differences(nll, gradient, parameters, noisy):
    """Along a random direction through all parameters at once."""
    direction = np.random.default_rng(4).standard_normal(parameters.shape)
    step = 1e-5
    change = nll(parameters + step * direction, noisy) - nll(parameters - step * direction, noisy)
    along = np.sum(gradient * direction)
    np.testing.assert_allclose(along, change / (2 * step), rtol=1e-6)


def test_component_maps_are_generalised_least_squares(dense, bands, parameters, noisy):
    recovered = recover(mixing(parameters, bands), noisy, bands)
    found = recovered.cmb, *recovered.components
    for component, expected in zip(found, dense.solve(parameters, noisy)[0], strict=True):
        np.testing.assert_allclose(component, expected, atol=1e-10 * np.abs(expected).max())


def test_component_maps_of_a_noiseless_sky_are_those_that_went_in(bands, parameters, clean, maps):
    recovered = recover(mixing(parameters, bands), clean, bands)
    found = np.stack([recovered.cmb, *recovered.components])
    np.testing.assert_allclose(found, maps, atol=1e-10 * np.abs(maps).max())


def test_value_is_the_likelihood_less_the_power_of_the_data(
    expansion, bands, nll, parameters, noisy
):
    power = np.sum(np.square(whiten(jnp.asarray(noisy), bands))) / 2
    assert jnp.sum(expansion(parameters, noisy).value) + power == pytest.approx(
        float(nll(parameters, noisy)), abs=1e-9 * power
    )


def test_derivatives_are_those_of_automatic_differentiation(
    expansion, nll, gradient, parameters, noisy
):
    """jax.grad and jax.hessian of the residual's sum of squares, another formula."""
    found = expansion(parameters, noisy)
    np.testing.assert_allclose(
        jnp.stack(found.gradient), gradient, rtol=1e-7, atol=1e-9 * np.abs(gradient).max()
    )
    hessian = jax.jit(jax.hessian(nll))(parameters, noisy)  # (3, n_pixels, 3, n_pixels)
    for entry, (k, m) in zip(found.hessian, pairs(3), strict=True):
        expected = np.diagonal(hessian[k, :, m])
        np.testing.assert_allclose(entry, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


def test_moments_of_several_pixels_add_up(bands, noisy):
    """Pixels with equal parameters expand as one, with the sum of their moments."""
    white = whiten(jnp.asarray(noisy), bands)
    shared = np.tile(np.array([[1.6], [19.0], [-2.9]]), N_PIXELS)
    apart = jax.jit(expand)(shared, white, bands)
    together = jax.jit(expand)(shared[:, :1], second_moments(white)[None], bands)
    for one, many in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(one[0], np.sum(many), rtol=1e-8)


def test_gauss_newton_is_the_hessian_where_nothing_is_left_over(expansion, parameters, clean):
    """At the truth of a noiseless sky, where the misfit is zero."""
    found = expansion(parameters, clean)
    for exact, approximate in zip(found.hessian, found.gauss_newton, strict=True):
        np.testing.assert_allclose(exact, approximate, rtol=1e-6, atol=1e-7 * np.abs(exact).max())


def test_gauss_newton_is_the_published_formula_for_noisy_data(dense, expansion, parameters, noisy):
    """Σ over Q, U of (P⊥ (∂A/∂β_k) ŝ) · (P⊥ (∂A/∂β_l) ŝ) with dense projectors."""
    found = expansion(parameters, noisy).gauss_newton
    solution = dense.solve(parameters, noisy)[0]
    for pixel, values in enumerate(parameters.T):
        basis = np.linalg.qr(dense.white_mixing(*values))[0]
        change = np.stack(
            [dense.white_derivative(values, k) @ solution[..., pixel] for k in range(3)]
        )
        outside = change - basis @ (basis.T @ change)
        for entry, (k, m) in zip(found, pairs(3), strict=True):
            expected = np.sum(outside[k] * outside[m])
            scale = np.linalg.norm(outside[k]) * np.linalg.norm(outside[m])
            assert entry[pixel] == pytest.approx(expected, abs=1e-6 * scale)


def test_computations_are_in_double_precision(nll, parameters, noisy):
    assert nll(parameters, noisy).dtype == jnp.float64
