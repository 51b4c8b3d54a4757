"""Fits of fields: the maximum that others find, recovered skies, and input that is refused."""

import healpy as hp
import numpy as np
import pytest
from bright_fields import MEANS, SCATTERS, observe, some_pixels
from scipy.optimize import minimize
from scipy.special import sph_harm_y

from patchsep.fields import fit as fit_module
from patchsep.fields.basis import Basis, Variation
from patchsep.fields.evidence import measure_fields
from patchsep.fields.fit import fit_fields, maximize, recover_cmb, whitened
from patchsep.fields.prior import expected_prior, field_spectrum
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.separation.fit import parameter_maps, separate
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = DUST_AND_SYNCHROTRON


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


def test_the_maximum_is_that_of_the_posterior_written_out_by_hand(dense, bands):
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
    data = observe(dense, parameters, seed=8, brightness=0.3)
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


def test_patches_values_and_free_pixels_are_fitted_as_fits_of_patches_do(dense, fit):
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
    data = np.stack([observe(dense, parameters, seed=seed, brightness=3.0) for seed in (10, 11)])
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
def known(dense):
    """A sky of nside 16 whose parameters are fields of known spectra."""
    pixels = some_pixels(16, (10, 50), (220, -60))
    parameters, basis = drawn_fields(16, pixels, np.random.default_rng(12))
    data = np.stack([observe(dense, parameters, seed=seed, brightness=0.3) for seed in (13, 14)])
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
