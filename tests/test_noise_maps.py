"""Noise of every pixel, Q and U alike or not, and wide bands, against a dense computation."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.constants import h, k
from scipy.integrate import simpson

from patchsep.fields.basis import Basis
from patchsep.fields.fit import fit_fields
from patchsep.fields.moments import moment_scores
from patchsep.fields.prior import expected_prior
from patchsep.fields.systematics import Departures, systematic_scores
from patchsep.instrument.bandpass import Bandpasses, Transmission, bandpasses
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands, cmb_noise, whiten
from patchsep.separation.fit import parameter_maps, separate
from patchsep.separation.likelihood import expand, mixing, pairs, recover
from patchsep.separation.propagation import propagate
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON, spectral_model

pytestmark = pytest.mark.usefixtures("double_precision")

FREQUENCIES = np.array([20.0, 30, 40, 60, 80, 100, 140, 200, 280, 400])
WIDTH = 0.3
# Three foregrounds beside the CMB, of five parameters.
MODEL = spectral_model(
    {
        "dust": {"spectrum": "modified_black_body"},
        "synch": {"spectrum": "curved_power_law"},
        "spin": {"spectrum": "spinning_dust", "fixed": {"width_spin": 0.6}},
    }
)
TRUTH = {
    "beta_dust": 1.6,
    "temp_dust": 19.0,
    "beta_synch": -3.1,
    "curvature_synch": -0.06,
    "peak_spin": 24.0,
}
N_PIXELS = 12


def wide_bands(n_nodes):
    hats = [Transmission.top_hat(centre, WIDTH) for centre in FREQUENCIES]
    return bandpasses(FREQUENCIES, hats, n_nodes)


BANDS = wide_bands(8)


def dense_mixing(beta_dust, temp_dust, beta_synch, curvature, peak):
    """A (n_bands, 4) of one pixel: formulae in flux, by Simpson's rule on a fine grid."""
    columns = []
    for centre in FREQUENCIES:
        nu = centre * np.linspace(1 - WIDTH / 2, 1 + WIDTH / 2, 401)

        def planck(nu, kelvin):
            return nu**3 / np.expm1(h * nu * 1e9 / (k * kelvin))

        def dust(nu):
            return nu**beta_dust * planck(nu, temp_dust)

        def synch(nu):
            return nu**2 * (nu / 20) ** (beta_synch + curvature * np.log(nu / 20))

        def spin(nu):
            return np.exp(-0.5 * (np.log(nu / peak) / 0.6) ** 2)

        x = h * nu * 1e9 / (k * 2.7255)
        cmb = simpson(nu**2 * x**2 * np.exp(x) / np.expm1(x) ** 2, x=nu)
        columns.append(
            [1.0]
            + [
                simpson(flux(nu), x=nu) / flux(reference) * reference**2 / cmb
                for flux, reference in ((dust, 160.0), (synch, 20.0), (spin, 30.0))
            ]
        )
    return np.array(columns)


@pytest.fixture(scope="module", params=[(), (2,)], ids=["alike", "unlike"])
def stokes(request):
    """Axis of what noise has of Q and U: none where they are alike."""
    return request.param


def scattered(rng, sigma, low, high, *shape):
    """Noise of bands, times numbers of this shape beside that of bands."""
    return (sigma * rng.uniform(low, high, (len(sigma), *shape)).T).T


@pytest.fixture(scope="module")
def pixels(stokes):
    """Parameters, data and the noise of every band in every pixel, no two bands alike."""
    rng = np.random.default_rng(3)
    truth = np.array(list(TRUTH.values()))
    parameters = truth[:, None] * (1 + 0.02 * rng.standard_normal((len(truth), N_PIXELS)))
    maps = np.array([3.0, 30.0, 300.0, 100.0])[:, None, None] * rng.standard_normal(
        (4, 2, N_PIXELS)
    )
    sigma = scattered(rng, np.full(len(FREQUENCIES), 0.3), 0.5, 2.0, *stokes, N_PIXELS)
    clean = np.stack([dense_mixing(*p) @ maps[..., n] for n, p in enumerate(parameters.T)], axis=-1)
    data = clean + WhiteNoise(sigma).by_pixel * rng.standard_normal(clean.shape)
    return parameters, maps, sigma, clean, data


def dense_misfit(values, data, sigma):
    """Half the misfit of generalised least squares in one pixel, and the maps (4, 2)."""
    mixing, misfit, maps = dense_mixing(*values), 0.0, []
    for seen, level in zip(data.T, np.broadcast_to(sigma.T, data.T.shape), strict=True):
        matrix = mixing / level[:, None]
        maps.append(np.linalg.lstsq(matrix, seen / level)[0])
        misfit += np.sum((seen / level - matrix @ maps[-1]) ** 2) / 2
    return misfit, np.stack(maps, axis=-1)


def test_value_gradient_and_curvature_are_those_of_the_dense_likelihood(pixels, stokes):
    parameters, _, sigma, _, data = pixels
    bands = Bands.of(BANDS, WhiteNoise(sigma), MODEL)
    assert bands.is_by_pixel and bands.is_by_stokes == bool(stokes)
    white = whiten(jnp.asarray(data), bands)
    found = expand(parameters, white, bands)
    steps = np.array([1e-3 * one.reach for one in MODEL.parameters])
    for pixel in range(0, N_PIXELS, 4):
        values = parameters[:, pixel]

        def value(*moves, values=values, pixel=pixel):
            at = values.copy()
            for place, size in moves:
                at[place] += size * steps[place]
            return dense_misfit(at, data[..., pixel], sigma[..., pixel])[0]

        half = 0.5 * np.sum(np.asarray(white)[..., pixel] ** 2)
        assert found.value[pixel] + half == pytest.approx(value(), rel=1e-7)
        scale = [
            np.sqrt(entry[pixel])
            for entry, (a, b) in zip(found.gauss_newton, pairs(5), strict=True)
            if a == b
        ]
        for place, entry in enumerate(found.gradient):
            expected = (value((place, 1)) - value((place, -1))) / (2 * steps[place])
            assert entry[pixel] == pytest.approx(expected, rel=1e-4, abs=1e-3 * scale[place])
        for entry, (a, b) in zip(found.hessian, pairs(5), strict=True):
            corners = [
                signs[0] * signs[1] * value((a, 10 * signs[0]), (b, 10 * signs[1]))
                for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            expected = sum(corners) / (400 * steps[a] * steps[b])
            assert entry[pixel] == pytest.approx(expected, abs=5e-3 * scale[a] * scale[b])


def test_fitted_maps_are_those_of_the_dense_likelihood(pixels):
    parameters, _, sigma, _, data = pixels
    bands = Bands.of(BANDS, WhiteNoise(sigma), MODEL)
    found = recover(mixing(parameters, bands), data, bands)
    recovered = np.stack([found.cmb, *found.components])
    misfit = 0.0
    for pixel, values in enumerate(parameters.T):
        value, maps = dense_misfit(values, data[..., pixel], sigma[..., pixel])
        misfit += value
        np.testing.assert_allclose(recovered[..., pixel], maps, rtol=1e-6, atol=1e-5)
    assert found.nll == pytest.approx(misfit, rel=1e-7)


# Fits of regions, of dust and synchrotron

SKY_PIXELS = 300


@pytest.fixture(scope="module")
def region(dense):
    """A bright region with noise that hits have made, its clean data and its patches."""
    rng = np.random.default_rng(4)
    maps = np.array([1.0, 100.0, 1000.0])[:, None, None] * rng.standard_normal((3, 2, SKY_PIXELS))
    pixel = np.arange(SKY_PIXELS)
    patches = {"beta_dust": pixel // 50, "temp_dust": pixel // 150, "beta_synch": pixel % 2}
    truth = {"beta_dust": 1.6 + 0.02 * np.arange(6), "temp_dust": np.array([18.0, 21.0])}
    truth["beta_synch"] = np.array([-3.1, -2.9])
    parameters = parameter_maps(truth, patches)
    hits = rng.uniform(0.2, 5.0, SKY_PIXELS)
    return patches, truth, maps, dense.sky(parameters, maps), hits


def test_noise_that_is_proportional_gives_what_scaled_data_do(region, dense):
    """Data over the relative noise of their pixels, under uniform noise."""
    patches, _, _, clean, hits = region
    relative = hits**-0.5
    noise = WhiteNoise(dense.sigma[:, None] * relative)
    data = (clean + noise.draw(SKY_PIXELS, 0, 0, ""))[None]
    found = separate(data, noise, dense.frequency, patches)
    scaled = separate(data / relative, WhiteNoise(dense.sigma), dense.frequency, patches)
    for name in patches:
        np.testing.assert_allclose(found.parameters[name], scaled.parameters[name], rtol=1e-8)
        np.testing.assert_allclose(found.errors[name], scaled.errors[name], rtol=1e-6)
    np.testing.assert_allclose(found.cmb, scaled.cmb * relative, atol=1e-8)
    assert found.nll == pytest.approx(scaled.nll)


def nearly(sigma, rng, stokes):
    """Noise (n_bands, n_pixels) that is as good as the same, but for the way that it takes."""
    level = np.stack([sigma] * 2, axis=1) if stokes else sigma
    return WhiteNoise(level * (1 + 1e-5 * rng.standard_normal(level.shape)))


def test_noise_that_is_nearly_proportional_is_as_good_as_proportional(region, dense, stokes):
    """The ways of the likelihood agree: of pixels' ratios, Q's and U's own or not, or one ratio."""
    patches, _, _, clean, hits = region
    sigma = dense.sigma[:, None] * hits**-0.5
    noises = WhiteNoise(sigma), nearly(sigma, np.random.default_rng(5), stokes)
    data = (clean + noises[0].draw(SKY_PIXELS, 0, 0, ""))[None]
    one, other = (separate(data, noise, dense.frequency, patches) for noise in noises)
    bands = Bands.of(dense.frequency, noises[1], DUST_AND_SYNCHROTRON)
    assert bands.is_by_pixel and bands.is_by_stokes == bool(stokes)
    assert one.converged.all() and other.converged.all()
    for name in patches:
        off = (one.parameters[name] - other.parameters[name]) / one.errors[name]
        assert np.abs(off).max() < 5e-3


def test_parameters_and_errors_are_right_where_bands_have_hits_of_their_own(region, dense, stokes):
    """Pulls of 40 realisations: hits scatter by a factor of five in every band."""
    patches, truth, maps, clean, _ = region
    rng = np.random.default_rng(6)
    noise = WhiteNoise(scattered(rng, dense.sigma, 0.4, 2.0, *stokes, SKY_PIXELS))
    data = np.stack([clean + noise.draw(SKY_PIXELS, 1, number, "") for number in range(40)])
    fits = separate(data, noise, dense.frequency, patches)
    assert fits.converged.all()
    for name, values in truth.items():
        scatter = fits.parameters[name].std(axis=0, ddof=1)
        mean = fits.parameters[name].mean(axis=0)
        assert np.all(np.abs(mean - values) < 4 * scatter / np.sqrt(40))
        # Errors are with all others fixed: the scatter is no less.
        assert np.all(scatter > 0.7 * fits.errors[name].mean(axis=0))
    expected = cmb_noise(dense.frequency, noise, DUST_AND_SYNCHROTRON)
    measured = np.std(fits.cmb - maps[0], axis=0)
    assert np.median(measured / expected) == pytest.approx(1, abs=0.1)
    # Propagated to first order they are where fits find them.
    start = {name: values.mean(axis=0) for name, values in fits.parameters.items()}
    _, cmb = propagate(
        start, patches, clean, data[:5], noise, dense.frequency, DUST_AND_SYNCHROTRON
    )
    assert np.std(cmb - fits.cmb[:5]) < 0.05 * np.std(fits.cmb - maps[0])


def test_ignoring_what_hits_do_costs_what_theory_says(region, dense):
    """Weights of uniform noise are not the best ones: the CMB is noisier than with hits known."""
    patches, _, maps, clean, _ = region
    rng = np.random.default_rng(7)
    noise = WhiteNoise(scattered(rng, dense.sigma, 0.3, 3.0, SKY_PIXELS))
    data = np.stack([clean + noise.draw(SKY_PIXELS, 2, number, "") for number in range(10)])
    known, ignored = (
        separate(data, level, dense.frequency, patches).cmb - maps[0]
        for level in (noise, WhiteNoise(dense.sigma))
    )
    assert np.std(known) < 0.9 * np.std(ignored)


def test_fields_and_score_tests_take_noise_of_every_pixel(dense, stokes):
    """The same in all ways of the likelihood, of a field of nside 4."""
    nside, pixels = 4, np.arange(192)
    rng = np.random.default_rng(8)
    maps = np.array([1.0, 100.0, 1000.0])[:, None, None] * rng.standard_normal((3, 2, 192))
    parameters = np.tile([[1.6], [19.0], [-3.1]], 192)
    sigma = dense.sigma[:, None] * rng.uniform(0.4, 2.0, 192)
    data = dense.sky(parameters, maps) + WhiteNoise(sigma).draw(192, 3, 0, "")
    priors = [
        expected_prior(
            "field",
            nside,
            {key: getattr(one, key) for key in ("mean", "mean_error", "scatter", "slope")},
            3 * nside - 1,
        )
        for one in DUST_AND_SYNCHROTRON.parameters
    ]
    basis = Basis(tuple(prior.variation() for prior in priors), pixels, nside)
    fits, scores = [], []
    for noise in (WhiteNoise(sigma), nearly(sigma, rng, stokes)):
        fits.append(fit_fields(data[None], basis, noise, dense.frequency, DUST_AND_SYNCHROTRON))
        bands = Bands.of(dense.frequency, noise, DUST_AND_SYNCHROTRON)
        departures = Departures.of(Bandpasses.narrow(dense.frequency), noise, DUST_AND_SYNCHROTRON)
        at = fits[0].parameters[0], data
        scores.append((moment_scores(*at, bands)[0], systematic_scores(*at, departures)[0]))
    assert fits[0].converged.all() and fits[1].converged.all()
    np.testing.assert_allclose(fits[0].parameters, fits[1].parameters, rtol=1e-4)
    np.testing.assert_allclose(fits[0].cmb, fits[1].cmb, atol=1e-2 * dense.sigma.min())
    for one, other in zip(*scores, strict=True):
        assert np.all(np.abs(one - other) < 1e-2 * np.abs(one).max(axis=0))
