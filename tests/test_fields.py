"""Fields: bases that are what they say, exact derivatives, and the maximum that others find."""

import healpy as hp
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import sph_harm_y
from scipy.stats import chi2, norm

from patchsep.fields import fit as fit_module
from patchsep.fields.basis import Basis, Harmonics, Variation
from patchsep.fields.evidence import measure_fields
from patchsep.fields.fit import conjugate_gradients, fit_fields, maximize, recover_cmb, whitened
from patchsep.fields.pixelwise import eliminate
from patchsep.fields.prior import expected_prior, field_spectrum
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.separation.fit import parameter_maps, separate
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = DUST_AND_SYNCHROTRON
# Where beta_dust, temp_dust and beta_synch of these skies are about.
MEANS = np.array([1.54, 20.0, -3.0])
SCATTERS = np.array([0.05, 1.5, 0.1])
# Agreement of what differs in rounding alone.
TO_ROUNDING = 1e-12


def some_pixels(nside, *caps):
    """Pixels of regions one after the other, as a whole sky has them: not sorted as a whole."""
    discs = [hp.query_disc(nside, hp.ang2vec(*cap, lonlat=True), np.radians(30)) for cap in caps]
    return np.concatenate(discs)


@pytest.fixture(scope="module")
def observe(dense):
    """Data of spectral parameters: bright foregrounds, a CMB, and so many times the noise."""

    def observe(parameters, seed, brightness=1.0, noise=1.0):
        rng = np.random.default_rng(seed)
        amplitude = np.array([1.0, 30 * brightness, 300 * brightness])[:, None, None]
        maps = amplitude * rng.standard_normal((3, 2, parameters.shape[-1]))
        white = rng.standard_normal((len(dense.sigma), 2, parameters.shape[-1]))
        return dense.sky(parameters, maps) + noise * dense.sigma[:, None, None] * white

    return observe


@pytest.fixture(scope="module")
def bands(dense):
    return Bands.of(dense.frequency, WhiteNoise(dense.sigma), MODEL)


@pytest.fixture(scope="module")
def fit(dense):
    def fit(data, basis, **limits):
        return fit_fields(data, basis, WhiteNoise(dense.sigma), dense.frequency, MODEL, **limits)

    return fit


def drawn_fields(nside, pixels, rng, slope=-2.5):
    """Parameters (3, n_pixels) that vary as Gaussian fields, and the variations they are of."""
    variations = tuple(
        Variation(mean, offset=scatter, power=field_spectrum(nside, scatter, slope))
        for mean, scatter in zip(MEANS, SCATTERS, strict=True)
    )
    basis = Basis(variations, pixels, nside)
    return basis.means() + basis.maps(rng.standard_normal(basis.size)), basis


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
def at_bounds(observe, dense):
    """Twelve pixels, expected values of their parameters, some beyond the bounds, and the bands."""
    rng = np.random.default_rng(4)
    parameters = MEANS[:, None] + SCATTERS[:, None] * rng.standard_normal((3, 12))
    bands = Bands.of(dense.frequency, WhiteNoise(dense.sigma), TIGHT)
    white = whitened(observe(parameters, seed=5, brightness=0.3), bands)
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


# The maximum that is found


class BruteForce:
    """The posterior written out again: spherical harmonics in a matrix, generalised least squares.

    Unknowns are two fields, of beta_dust and temp_dust, a value of beta_synch, and what beta_dust
    has in every pixel beside its field.
    """

    def __init__(self, data, dense, pixels, nside, powers, offsets, remainder):
        theta, phi = hp.pix2ang(nside, pixels)
        self.data, self.dense, self.remainder = data, dense, remainder
        columns = []
        for power, offset in zip(powers, offsets, strict=True):
            own = [np.full(len(pixels), offset)]
            for ell in range(1, len(power)):
                for m in range(ell + 1):
                    y = sph_harm_y(ell, m, theta, phi) * np.sqrt(power[ell] * (2 if m else 1))
                    own += [y.real, y.imag] if m else [y.real]
            columns.append(np.stack(own, axis=1))
        self.columns = columns
        self.ends = np.cumsum([one.shape[1] for one in columns])

    def parameters(self, unknowns):
        x = np.split(unknowns, self.ends)
        maps = [mean + a @ b for mean, a, b in zip(MEANS, self.columns, x[:3], strict=True)]
        maps[0] = maps[0] + self.remainder * x[3]
        return np.stack(maps)

    def mixing(self, beta_dust, temp_dust, beta_synch):
        nu = self.dense.frequency
        photon = 0.04799243073366221 * np.array([*nu, 160.0]) / temp_dust[:, None]
        x = 0.04799243073366221 * nu / 2.7255
        unit = np.expm1(x) ** 2 / (x**2 * np.exp(x)) / self.dense.sigma
        thermal = np.expm1(photon[:, -1:]) / np.expm1(photon[:, :-1])
        dust = (nu / 160) ** (beta_dust[:, None] + 1) * thermal
        synch = (nu / 20) ** beta_synch[:, None]
        cmb = np.broadcast_to(1 / self.dense.sigma, dust.shape)
        return np.stack([cmb, dust * unit, synch * unit], axis=-1)

    def value_and_slope(self, unknowns):
        parameters = self.parameters(unknowns)
        matrix = self.mixing(*parameters)
        white = np.moveaxis(self.data / self.dense.sigma[:, None, None], -1, 0)
        normal = np.swapaxes(matrix, 1, 2) @ matrix
        maps = np.linalg.solve(normal, np.swapaxes(matrix, 1, 2) @ white)
        left = white - matrix @ maps
        slopes = []
        for k in range(3):
            shift = 1e-5 * np.eye(3)[k][:, None]
            change = self.mixing(*(parameters + shift)) - self.mixing(*(parameters - shift))
            slopes.append(-np.sum((change @ maps) * left, axis=(1, 2)) / 2e-5)
        by_field = [a.T @ s for a, s in zip(self.columns, slopes, strict=True)]
        by_unknown = np.concatenate([*by_field, self.remainder * slopes[0]])
        value = 0.5 * np.sum(left**2) + 0.5 * unknowns @ unknowns
        return value, by_unknown + unknowns


def test_the_maximum_is_that_of_the_posterior_written_out_by_hand(observe, dense, bands):
    nside, rng, remainder = 8, np.random.default_rng(7), 0.05
    pixels = np.concatenate([some_pixels(nside, (20, 60))[:8], some_pixels(nside, (200, -30))[:8]])
    powers = [field_spectrum(nside, scatter, -2.0)[:5] for scatter in SCATTERS[:2]] + [np.zeros(1)]
    variations = (
        Variation(MEANS[0], offset=0.1, power=powers[0], remainder=remainder),
        Variation(MEANS[1], offset=2.0, power=powers[1]),
        Variation(MEANS[2], offset=0.1),
    )
    basis = Basis(variations, pixels, nside)
    parameters = basis.means() + basis.maps(rng.standard_normal(basis.size))
    parameters[0] += remainder * rng.standard_normal(len(pixels))
    data = observe(parameters, seed=8, brightness=0.3)
    found = maximize(whitened(data, bands), bands, basis, tolerance=1e-8)

    brute = BruteForce(data, dense, pixels, nside, powers, [0.1, 2.0, 0.1], remainder)
    n_unknowns = int(brute.ends[-1]) + len(pixels)
    best = minimize(
        brute.value_and_slope,
        np.zeros(n_unknowns),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-6, "maxiter": 2000},
    )
    by_hand = brute.parameters(best.x)
    assert np.std(by_hand[0] - MEANS[0]) > 0.01  # The data do say something.
    atol = 1e-4 * SCATTERS[:, None]
    assert np.all(np.abs(np.asarray(found.at.parameters) - by_hand) < atol)
    # The values are equal, too, prior and all.
    own = (found.at.parameters - basis.means() - basis.maps(found.coefficients))[0] / remainder
    nll = float(recover_cmb(found.at.parameters, data, bands).nll)
    total = nll + 0.5 * np.sum(found.coefficients**2) + 0.5 * np.sum(own**2)
    assert total == pytest.approx(best.fun, rel=1e-9)


def test_patches_values_and_free_pixels_are_fitted_as_fits_of_patches_do(observe, dense, fit):
    nside, rng = 16, np.random.default_rng(9)
    pixels = some_pixels(nside, (0, 60), (50, -40))
    labels = {
        "beta_dust": np.arange(len(pixels)),
        "temp_dust": rng.integers(6, size=len(pixels)),
        "beta_synch": np.zeros(len(pixels), dtype=int),
    }
    temperatures = np.array([17.0, 18.0, 19.0, 20.0, 21.0, 22.0])
    parameters = np.stack(
        [
            MEANS[0] + 0.05 * rng.standard_normal(len(pixels)),
            temperatures[labels["temp_dust"]],
            np.full(len(pixels), -3.05),
        ]
    )
    data = np.stack([observe(parameters, seed=seed, brightness=3.0) for seed in (10, 11)])
    literature = {"mean": 0.0, "mean_error": 1e4, "scatter": 1.0, "slope": -2.0}
    kinds = {"beta_dust": "pixels", "temp_dust": "patches", "beta_synch": "value"}
    priors = [
        expected_prior(kind, nside, literature | {"mean": mean}, 32, labels=labels[name])
        for (name, kind), mean in zip(kinds.items(), MEANS, strict=True)
    ]
    basis = Basis(tuple(prior.variation() for prior in priors), pixels, nside)
    fields = fit(data, basis, tolerance=1e-6)
    patches = separate(
        data, WhiteNoise(dense.sigma), dense.frequency, labels, MODEL, tolerance=1e-6
    )
    assert fields.converged.all()
    assert patches.converged.all()
    for number in range(len(data)):
        values = {name: array[number] for name, array in patches.parameters.items()}
        errors = {name: array[number] for name, array in patches.errors.items()}
        off = fields.parameters[number] - parameter_maps(values, labels)
        assert np.max(np.abs(off) / parameter_maps(errors, labels)) < 1e-4
    np.testing.assert_allclose(fields.cmb, patches.cmb, atol=1e-4)
    np.testing.assert_allclose(fields.nll, patches.nll, rtol=1e-9)


@pytest.fixture(scope="module")
def known(observe):
    """A sky of nside 16 whose parameters are fields of known spectra."""
    pixels = some_pixels(16, (10, 50), (220, -60))
    parameters, basis = drawn_fields(16, pixels, np.random.default_rng(12))
    data = np.stack([observe(parameters, seed=seed, brightness=0.3) for seed in (13, 14)])
    return parameters, basis, data


@pytest.fixture(scope="module")
def found(known, fit):
    _, basis, data = known
    return fit(data, basis)


@pytest.fixture(scope="module")
def of_free_pixels(known, dense):
    """The same sky fitted without fields: every pixel with parameters of its own."""
    _, basis, data = known
    free = {name: np.arange(len(basis.pixels)) for name in MODEL.names}
    return separate(data, WhiteNoise(dense.sigma), dense.frequency, free, MODEL)


def test_fields_are_recovered_better_than_free_pixels(known, found, of_free_pixels):
    """And to less than they vary, where pixels alone tell hardly more than noise."""
    parameters, _, _ = known
    assert found.converged.all()
    pixels = np.stack([of_free_pixels.parameters[name] for name in MODEL.names], axis=1)
    rms, rms_free = (
        np.sqrt(np.mean((fitted - parameters) ** 2, axis=(0, 2)))
        for fitted in (found.parameters, pixels)
    )
    assert np.all(rms < 0.5 * rms_free)
    assert np.all(rms < 0.8 * parameters.std(axis=1))


def test_free_values_of_all_parameters_of_faint_pixels_are_found(known, of_free_pixels, fit):
    """Dust's two are hardly told apart there, and some end at bounds."""
    _, basis, data = known
    free = Basis(tuple(Variation(m, remainder=np.inf) for m in MEANS), basis.pixels, basis.nside)
    found = fit(data, free)
    assert found.converged.all()
    assert np.all(of_free_pixels.n_at_bounds > 0)
    np.testing.assert_array_equal(found.n_at_bounds, of_free_pixels.n_at_bounds)
    np.testing.assert_allclose(found.nll, of_free_pixels.nll, rtol=1e-7)
    noise = of_free_pixels.cmb.std()
    assert np.max(np.abs(found.cmb - of_free_pixels.cmb)) < 0.01 * noise


def test_the_same_fit_twice_is_the_same_bit_for_bit(known, found, fit):
    _, basis, data = known
    again = fit(data, basis)
    for name in ("cmb", "parameters", "nll", "iterations", "gradients", "gradient"):
        assert getattr(again, name).tobytes() == getattr(found, name).tobytes(), name


def test_realizations_are_fitted_independently(known, found, fit):
    _, basis, data = known
    alone = fit(data[1:], basis)
    assert alone.parameters[0].tobytes() == found.parameters[1].tobytes()


def test_a_fit_that_ran_out_of_iterations_is_marked(known, fit):
    _, basis, data = known
    stopped = fit(data, basis, max_iterations=1)
    assert not stopped.converged.any()
    assert np.all(stopped.iterations == 1)
    assert np.all(stopped.gradient >= 1e-3)


def test_unusable_input_is_refused(known, fit):
    _, basis, data = known
    for wrong in (data[:, :-1], data[:, :, :1], data[..., :-1], data[0]):
        with pytest.raises(ValueError, match="has shape"):
            fit(wrong, basis)
    for value, message in (
        (np.nan, "data set 1 is not finite in 1 pixels, the first 7: mask"),
        (np.inf, "data set 1 is not finite"),
        (hp.UNSEEN, "data set 1 is more than 1e.09 times the noise in 1 pixels, the first 7"),
    ):
        broken = data.copy()
        broken[1, 3, 0, 7] = value
        with pytest.raises(ValueError, match=message):
            fit(broken, basis)
    with pytest.raises(ValueError, match="data set 0 is a masked array"):
        fit([masked(one) for one in data], basis)
    with pytest.raises(ValueError, match="2 priors for 3 parameters"):
        fit(data, Basis(basis.variations[:2], basis.pixels, basis.nside))


@pytest.mark.parametrize(
    "frequency, sigma, message",
    [
        (1e9, 1.0, "frequencies must be in GHz"),
        (1e-3, 1.0, "frequencies must be in GHz"),
        (1.0, 0.0, "sigma must be in µK_CMB"),
        (1.0, np.inf, "sigma must be in µK_CMB"),
    ],
)
def test_bands_that_are_not_meant_are_refused(known, dense, frequency, sigma, message):
    _, basis, data = known
    noise, frequencies = WhiteNoise(sigma * dense.sigma), frequency * dense.frequency
    with pytest.raises(ValueError, match=message):
        fit_fields(data, basis, noise, frequencies, MODEL)


def test_spectra_are_not_measured_on_what_is_unseen(known, bands):
    _, basis, data = known
    broken = data[0].copy()
    broken[2, 1, 7] = hp.UNSEEN
    for observation, message in ((broken, "mask what is UNSEEN"), (masked(data[0]), "is a masked")):
        with pytest.raises(ValueError, match=message):
            measure_fields(observation, [], basis.pixels, basis.nside, bands, None, 3.0, 0)


def masked(values):
    return np.ma.masked_less(values, 0)


def test_what_is_not_finite_is_not_converged(known, fit, monkeypatch):
    def lost(*arguments):
        recovery = recover_cmb(*arguments)
        return recovery._replace(cmb=(recovery.cmb[0], np.full(recovery.cmb[1].shape, np.nan)))

    _, basis, data = known
    monkeypatch.setattr(fit_module, "recover_cmb", lost)
    found = fit(data[:1], basis)
    assert np.all(found.gradient < 1e-3)
    assert not found.converged.any()


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
