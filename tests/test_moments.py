"""Score tests of second moments: against dense algebra, their distribution, known mixtures."""

import jax
import numpy as np
import pytest
from scipy.stats import kstest

from patchsep.fields.moments import moment_names, moment_scores, moment_table, of_pixels
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL

N_PIXELS = 48
# What tells small moments from noise.
BRIGHTER = 30
NAMES = [
    ("beta_dust", "beta_dust"),
    ("beta_dust", "temp_dust"),
    ("temp_dust", "temp_dust"),
    ("beta_synch", "beta_synch"),
]


@pytest.fixture(scope="module")
def sky():
    """Parameters (3, n_pixels), and component maps (3, 2, n_pixels) far above the noise."""
    rng = np.random.default_rng(5)
    parameters = np.array([[1.55], [20.0], [-3.0]]) + np.array(
        [[0.02], [1.0], [0.05]]
    ) * rng.standard_normal((3, N_PIXELS))
    amplitude = np.array([1.0, 100.0, 1000.0])[:, None, None]
    return parameters, amplitude * rng.standard_normal((3, 2, N_PIXELS))


@pytest.fixture(scope="module")
def bands(dense):
    return Bands.of(dense.frequency, WhiteNoise(dense.sigma), MODEL)


def noise_of(dense, seed):
    rng = np.random.default_rng(seed)
    return dense.sigma[:, None, None] * rng.standard_normal((len(dense.sigma), 2, N_PIXELS))


def derivative(dense, parameters, order, step):
    """A derivative of the whitened A of one pixel along pairs of parameters, by differences."""
    total = 0.0
    for signs in np.ndindex(*(2,) * len(order)):
        shift = np.zeros(3)
        for sign, index in zip(signs, order, strict=True):
            shift[index] += (1 - 2 * sign) * step[index]
        total = total + (-1) ** sum(signs) * dense.white_mixing(*parameters + shift)
    return total / np.prod([2 * step[index] for index in order])


def dense_score(dense, parameters, data):
    """Score and information of one pixel by least squares over all of its 2 n_bands data."""
    step = np.array([1e-3, 3e-2, 1e-3])
    matrix = dense.white_mixing(*parameters)
    white = data / dense.sigma[:, None]
    maps = np.linalg.lstsq(matrix, white)[0]
    stokes = np.eye(2)
    nuisance = [np.kron(matrix[:, c], stokes[s]) for c in range(3) for s in range(2)]
    nuisance += [(derivative(dense, parameters, (k,), step) @ maps).ravel() for k in range(3)]
    moments = np.stack(
        [
            (derivative(dense, parameters, (k, m), step) @ maps).ravel() * (0.5 if k == m else 1.0)
            for k, m in ((0, 0), (0, 1), (1, 1), (2, 2))
        ],
        axis=-1,
    )
    nuisance = np.stack(nuisance, axis=-1)
    # Scaled, as some derivatives are a thousand times others.
    nuisance = nuisance / np.linalg.norm(nuisance, axis=0)
    left = moments - nuisance @ np.linalg.lstsq(nuisance, moments)[0]
    return left.T @ white.ravel(), left.T @ left


def test_names_are_those_of_pairs_within_a_component():
    assert moment_names(MODEL) == NAMES


def test_scores_are_those_of_dense_algebra(dense, bands, sky):
    parameters, maps = sky
    data = dense.sky(parameters, maps) + noise_of(dense, 1)
    # Not where the likelihood is largest: what parameters explain is taken out everywhere.
    parameters = parameters + np.array([[0.003], [0.1], [0.002]])
    score, information = moment_scores(parameters, data, bands, at_once=7)
    assert score.shape == (N_PIXELS, 4) and information.shape == (N_PIXELS, 4, 4)
    for pixel in range(8):
        expected, matrix = dense_score(dense, parameters[:, pixel], data[..., pixel])
        scale = np.sqrt(np.diag(matrix))
        np.testing.assert_allclose(
            information[pixel] / np.outer(scale, scale),
            matrix / np.outer(scale, scale),
            atol=1e-4,
        )
        np.testing.assert_allclose(score[pixel] / scale, expected / scale, atol=1e-2)


def test_probabilities_are_flat_where_the_model_holds(dense, bands, sky):
    parameters, maps = sky
    truth, found = dense.sky(parameters, maps), []
    for seed in range(200):
        table = moment_table(
            *moment_scores(parameters, truth + noise_of(dense, seed), bands), MODEL
        )
        found.append(table["probability"].to_numpy())
    for probabilities in np.array(found).T:
        assert kstest(probabilities, "uniform").pvalue > 1e-3


def test_the_curvature_of_synchrotron_is_found(dense, bands, sky):
    parameters, maps = sky[0], BRIGHTER * sky[1]
    curvature = -0.02
    data = dense.sky(parameters, maps) + noise_of(dense, 3)
    log = np.log(dense.frequency / 20)[:, None]
    synch = dense.mixing(*parameters)[..., 2].T
    curved = synch * np.exp(curvature * log**2)
    data = data + (curved - synch)[:, None] * maps[2]
    table = moment_table(*moment_scores(parameters, data, bands), MODEL)
    table = table.set_index(["parameter", "with_parameter"])
    row = table.loc[("beta_synch", "beta_synch")]
    # To second order in ln ν.
    assert row["moment"] == pytest.approx(2 * curvature, rel=0.1)
    assert row["probability"] < 1e-6 and table.loc[("all", "all"), "probability"] < 1e-6
    assert row["chi2"] == pytest.approx((row["moment"] / row["error"]) ** 2)


def test_the_scatter_of_two_layers_of_dust_is_found(dense, bands, sky):
    parameters, maps = sky[0], BRIGHTER * sky[1]
    off = 0.1
    above, below = (dense.sky(parameters + np.array([[s * off], [0], [0]]), maps) for s in (1, -1))
    data = (above + below) / 2 + noise_of(dense, 4)
    table = moment_table(*moment_scores(parameters, data, bands), MODEL)
    row = table.iloc[0]
    assert row["moment"] == pytest.approx(off**2, rel=0.1)
    assert row["probability"] < 1e-6


def test_a_pixel_without_signal_has_finite_scores(dense, bands, sky):
    parameters, maps = sky
    data = dense.sky(parameters, maps) + noise_of(dense, 6)
    data[..., 0] = 0.0
    score, information = moment_scores(parameters, data, bands)
    assert np.isfinite(score).all() and np.isfinite(information).all()
    np.testing.assert_array_equal(score[0], 0.0)


@pytest.mark.parametrize("n_pixels", [5, 10, 13])
def test_all_batches_are_of_one_size(bands, n_pixels):
    """A smaller last one would run beside the others: decompositions in both never ended."""
    calls = []

    def of_pixel(own, white, bands):
        calls.append(white)
        return own.sum() + white.sum()

    parameters = np.arange(3.0 * n_pixels).reshape(3, n_pixels)
    white = np.arange(2.0 * len(bands.cmb) * n_pixels).reshape(len(bands.cmb), 2, n_pixels)
    found = jax.jit(lambda *of: of_pixels(of_pixel, *of, 5, bands))(parameters, white)
    assert len(calls) == 1
    np.testing.assert_allclose(found, parameters.sum(0) + white.sum((0, 1)), rtol=1e-6)
