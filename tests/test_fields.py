"""Fields: bases that are what they say, exact derivatives, and linear systems."""

import healpy as hp
import jax.numpy as jnp
import numpy as np
import pytest
from bright_fields import MEANS, SCATTERS, observe, some_pixels
from scipy.stats import chi2, norm

from patchsep.fields.basis import Basis, Harmonics, Variation
from patchsep.fields.fit import conjugate_gradients, whitened
from patchsep.fields.pixelwise import eliminate
from patchsep.fields.prior import field_spectrum
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = DUST_AND_SYNCHROTRON
# Agreement of what differs in rounding alone.
TO_ROUNDING = 1e-12


# What coefficients stand for


@pytest.mark.parametrize("caps", [[(0, 80), (40, -50)], [(0, 0)], None], ids=["two", "one", "all"])
def test_transpose_is_that_of_the_maps_to_rounding(caps):
    """Of a field, patches and a value side by side, on part of the sky and on all of it."""
    nside, rng = 8, np.random.default_rng(1)
    pixels = some_pixels(nside, *caps) if caps else rng.permutation(hp.nside2npix(nside))
    variations = (
        Variation(1.5, offset=0.2, power=rng.random(20), remainder=0.1),
        Variation(20.0, labels=rng.integers(7, size=len(pixels))),
        Variation(-3.0, offset=0.3),
    )
    basis = Basis(variations, pixels, nside)
    assert basis.size == 20**2 + basis.parts[1].size + 1
    for _ in range(5):
        coefficients = rng.standard_normal(basis.size)
        maps = rng.standard_normal((3, len(pixels)))
        one = np.sum(basis.maps(coefficients) * maps)
        assert one == pytest.approx(coefficients @ basis.transpose(maps), rel=1e-10)
    # Every single coefficient, too: the diagonal of S Sᵀ told two ways.
    weights = rng.random((3, len(pixels)))
    unit = np.eye(basis.size)[:: basis.size // 40]
    by_maps = [np.sum(weights * basis.maps(one)) for one in unit]
    np.testing.assert_allclose(by_maps, unit @ basis.transpose(weights), atol=1e-11)


def test_a_pixels_value_does_not_depend_on_which_other_pixels_are_observed():
    nside, rng = 8, np.random.default_rng(2)
    part, everywhere = some_pixels(nside, (0, 70), (90, -20)), np.arange(hp.nside2npix(nside))
    power = field_spectrum(nside, 1.0, -2.0)
    fields = [Harmonics(power, pixels, nside) for pixels in (part, everywhere)]
    coefficients = rng.standard_normal(fields[0].size)
    of_part, of_all = (field.maps(coefficients) for field in fields)
    np.testing.assert_allclose(of_part, of_all[part], atol=TO_ROUNDING)


def test_a_field_of_unit_coefficients_has_the_power_asked_for():
    nside, n_skies, offset = 16, 60, 0.3
    ell = np.arange(33)
    power = 1 / (ell + 1.0) ** 1.5
    everywhere = np.arange(hp.nside2npix(nside))
    basis = Basis((Variation(0.0, offset=offset, power=power),), everywhere, nside)
    rng = np.random.default_rng(3)
    maps = [basis.maps(rng.standard_normal(basis.size))[0] for _ in range(n_skies)]
    found = np.mean([hp.anafast(one, lmax=32, iter=3, pol=False) for one in maps], axis=0)
    power[0] = 4 * np.pi * offset**2
    freedom = n_skies * (2 * ell + 1)
    lower, upper = (chi2.ppf(norm.cdf(sign * 4), freedom) / freedom for sign in (-1, 1))
    # The quadrature of HEALPix is good to some thousandths.
    assert np.all(found / power > lower * 0.99)
    assert np.all(found / power < upper * 1.01)


def test_templates_take_the_place_of_means():
    pixels = some_pixels(8, (0, 30))
    template = np.linspace(18, 22, len(pixels))
    variations = Variation(1.5, offset=0.1), Variation(template, offset=1.0)
    basis = Basis(variations, pixels, 8)
    np.testing.assert_array_equal(basis.means()[1], template)
    np.testing.assert_array_equal(basis.means()[0], np.full(len(pixels), 1.5))


# What is eliminated pixel by pixel

REMAINDERS = {
    "none": {},
    "infinite": {0: np.inf},
    "finite": {0: 0.05},
    "both": {0: np.inf, 2: 0.1},
}
# Bounds that some parameters of these pixels are at.
TIGHT = MODEL.with_limits(
    {name: (m - s, m + s) for name, m, s in zip(MODEL.names, MEANS, SCATTERS, strict=True)}
)


@pytest.fixture(scope="module")
def at_bounds(dense):
    """Twelve pixels, expected values of their parameters, some beyond the bounds, and the bands."""
    rng = np.random.default_rng(4)
    parameters = MEANS[:, None] + SCATTERS[:, None] * rng.standard_normal((3, 12))
    bands = Bands.of(dense.frequency, WhiteNoise(dense.sigma), TIGHT)
    white = whitened(observe(dense, parameters, seed=5, brightness=0.3), bands)
    return parameters + SCATTERS[:, None] * rng.standard_normal((3, 12)), white, bands


def eliminated(maps, white, bands, remainders):
    precision = jnp.array([1 / remainders[k] ** 2 if k in remainders else 0.0 for k in range(3)])
    start = jnp.broadcast_to(jnp.array(MEANS)[:, None], maps.shape)
    return eliminate(jnp.asarray(maps), start, white, bands, precision, tuple(remainders), 1e-10)


@pytest.mark.parametrize("remainders", REMAINDERS.values(), ids=REMAINDERS)
def test_derivatives_by_maps_are_those_of_finite_differences(at_bounds, remainders):
    """At bounds, too: of maps that are beyond them, and of pixels' own values held at them."""
    maps, white, bands = at_bounds
    at = eliminated(maps, white, bands, remainders)
    assert at.asked < 1e-9
    lower, upper = np.array([one.bounds for one in TIGHT.parameters]).T[:, :, None]
    held = (at.parameters <= lower) | (at.parameters >= upper)
    assert 0 < held.sum() == at.at_bounds < held.size
    assert all(0 < held[k].sum() < 12 for k in remainders)

    gradient, curvature = np.asarray(at.gradient), np.asarray(at.curvature)[1]
    scale = np.sqrt(np.max(np.abs(np.asarray(at.own_curvature)), axis=1))
    step = 1e-4
    for k in range(3):
        shift = step / scale[k] * np.eye(3)[k][:, None]
        above, below = (
            eliminated(m, white, bands, remainders) for m in (maps + shift, maps - shift)
        )
        changes = np.asarray(above.gradient - below.gradient) / (2 * shift[k, 0])
        for m in range(3):
            atol = 1e-5 * scale[k] * scale[m]
            np.testing.assert_allclose(curvature[k, m], changes[m], atol=atol, err_msg=f"{k} {m}")
    # The value is a sum over pixels: along random directions it tells all of their slopes, to
    # rounding of a sum of some millions.
    rng = np.random.default_rng(6)
    for _ in range(4):
        direction = rng.standard_normal((3, 12)) / scale[:, None]
        above, below = (
            float(eliminated(maps + sign * step * direction, white, bands, remainders).value)
            for sign in (1, -1)
        )
        slope = (above - below) / (2 * step)
        assert slope == pytest.approx(np.sum(gradient * direction), abs=1e-4, rel=1e-4)


def test_values_of_which_nothing_is_known_do_not_depend_on_the_map(at_bounds):
    maps, white, bands = at_bounds
    first = eliminated(maps, white, bands, {0: np.inf})
    second = eliminated(maps + np.array([[0.3], [0], [0]]), white, bands, {0: np.inf})
    np.testing.assert_allclose(first.parameters, second.parameters, rtol=1e-10)
    assert np.all(first.gradient[0] == 0)
    assert np.all(first.curvature[:, 0] == 0)


# Linear systems


def test_conjugate_gradients_solve_as_dense_algebra_does():
    rng = np.random.default_rng(15)
    root = rng.standard_normal((40, 40))
    matrix, right = root @ root.T + np.diag(np.logspace(0, 4, 40)), rng.standard_normal(40)
    solution, steps, positive = conjugate_gradients(
        lambda x: matrix @ x, right, lambda x: x / np.diag(matrix), 1e-12
    )
    assert positive
    assert 0 < steps <= 100
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-8, atol=1e-12)


def test_conjugate_gradients_report_negative_curvature_and_still_go_down():
    rng = np.random.default_rng(16)
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    matrix = turn @ np.diag(np.linspace(-1, 5, 20)) @ turn.T
    right = rng.standard_normal(20)
    direction, _, positive = conjugate_gradients(lambda x: matrix @ x, right, np.copy, 1e-12)
    assert not positive
    assert right @ direction > 0
    # At the first step, too, where no solution is there yet.
    direction, steps, positive = conjugate_gradients(lambda x: -x, right, np.copy, 1e-12)
    assert not positive
    assert steps == 0
    assert right @ direction > 0


def test_conjugate_gradients_of_nothing_are_nothing():
    solution, steps, positive = conjugate_gradients(lambda x: x, np.zeros(3), np.copy, 1e-3)
    assert positive
    assert steps == 0
    assert not solution.any()
