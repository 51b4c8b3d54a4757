"""χ² of what the fit leaves in bands and multipoles, where the model holds and where not."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from patchsep.fields.residual_tests import (
    ALL_BANDS,
    CHI2,
    octave_power,
    ranges,
    residual_table,
    residuals,
    white_maps,
    white_moments,
)
from patchsep.fields.systematics import ANY
from patchsep.instrument.instrument import band_labels
from patchsep.instrument.noise import WhiteNoise
from patchsep.lazy import healpy as hp
from patchsep.observation.bands import Bands
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL

NSIDE, N_DRAWS, SEED = 8, 60, 11
PIXELS = np.arange(400)
VALUES = [1.55, 20.0, -3.0]
BAND = 6


def without_noise(dense, n_pixels):
    """Data (n_bands, 2, n_pixels): CMB, dust and synchrotron of one spectrum each."""
    rng = np.random.default_rng(SEED)
    amplitude = np.array([3.0, 30.0, 300.0])[:, None, None]
    maps = amplitude * rng.standard_normal((3, 2, n_pixels))
    return dense.sky(np.array(VALUES)[:, None] * np.ones(n_pixels), maps)


@pytest.fixture(scope="module")
def clean(dense):
    return without_noise(dense, len(PIXELS))


@pytest.fixture(scope="module")
def labels(dense):
    return band_labels(dense.frequency)


def left_of(data, noise, dense, at_once=4096):
    bands = Bands.of(dense.frequency, noise, MODEL)
    # Not those of the sky: what parameters explain is taken out.
    parameters = np.array(VALUES)[:, None] + np.array([[0.003], [0.1], [0.002]])
    return residuals(np.tile(parameters, data.shape[-1]), data, bands, at_once)


def table_of(data, noise, dense, pixels=PIXELS, nside=NSIDE):
    labels = band_labels(dense.frequency)
    return residual_table(*left_of(data, noise, dense), pixels, nside, labels)


@pytest.fixture(scope="module")
def of_draws(clean, dense):
    """Tables of draws of noise, one below the other."""
    noise = WhiteNoise(dense.sigma)
    draws = (noise.draw(len(PIXELS), SEED, number, "") for number in range(N_DRAWS))
    return pd.concat([table_of(clean + drawn, noise, dense) for drawn in draws])


def test_what_is_left_is_that_of_dense_algebra(clean, dense):
    noise = WhiteNoise(dense.sigma)
    data = clean + noise.draw(len(PIXELS), SEED, 0, "")
    left, covariance = left_of(data, noise, dense, at_once=7)
    parameters = np.array(VALUES) + np.array([0.003, 0.1, 0.002])
    matrix = dense.white_mixing(*parameters)
    for pixel in range(3):
        white = data[..., pixel] / dense.sigma[:, None]
        maps = np.linalg.lstsq(matrix, white)[0]
        explained = [np.kron(matrix[:, c], stokes) for c in range(3) for stokes in np.eye(2)]
        explained += [(dense.white_derivative(parameters, k) @ maps).ravel() for k in range(3)]
        basis, _ = np.linalg.qr(np.stack([one / np.linalg.norm(one) for one in explained], axis=-1))
        projector = np.eye(len(basis)) - basis @ basis.T
        np.testing.assert_allclose(left[pixel].ravel(), projector @ white.ravel(), atol=1e-3)
        for band, of_band in enumerate(covariance[pixel]):
            own = slice(2 * band, 2 * band + 2)
            np.testing.assert_allclose(of_band, projector[own, own], atol=1e-4)


def test_maps_are_white_where_the_model_holds(clean, dense):
    noise = WhiteNoise(dense.sigma)
    drawn = [noise.draw(len(PIXELS), SEED, number, "") for number in range(20)]
    maps = [white_maps(*left_of(clean + one, noise, dense))[0] for one in drawn]
    q, u = np.moveaxis(np.stack(maps), 2, 0)
    error = np.sqrt(1 / q[:, 0].size)
    for one, other, expected in ((q, q, 1), (u, u, 1), (q, u, 0)):
        products = np.mean(one * other, axis=(0, 2))
        np.testing.assert_allclose(products, expected, atol=4 * np.sqrt(2) * error)


@pytest.mark.parametrize("pixels", [np.arange(768), np.r_[10:200, 500:600], np.arange(0, 768, 3)])
def test_power_of_white_noise_is_known_exactly(pixels):
    n_draws = 1000
    rng = np.random.default_rng(SEED)
    power = octave_power(rng.standard_normal((n_draws, 2, len(pixels))), pixels, NSIDE)
    mean, variance = white_moments(np.ones(len(pixels), bool), pixels, NSIDE)
    np.testing.assert_array_less(np.abs(power.mean(0) - mean), 4 * np.sqrt(variance / n_draws))
    np.testing.assert_allclose(power.var(axis=0), variance, rtol=0.25)
    if len(pixels) == 768:
        # As many modes of E and B as there are, within the quadrature of HEALPix.
        modes = [2 * ((high + 1) ** 2 - low**2) for low, high in ranges(NSIDE)]
        np.testing.assert_allclose(2 * mean**2 / variance, modes, rtol=1e-3)


def test_pulls_and_probabilities_where_the_model_holds(of_draws, labels):
    single = of_draws.query("with_parameter != @ANY")
    pulls = single["moment"] / single["error"]
    names = [ALL_BANDS, *labels, *(f"{b} ell {x}-{y}" for b in labels for x, y in ranges(NSIDE))]
    assert list(single["with_parameter"][: len(names)]) == names
    for _, own in pulls.groupby(single["with_parameter"]):
        assert abs(own.mean()) < 4 / np.sqrt(N_DRAWS)
    # Bands and multipoles of one draw are nearly independent.
    for is_octave in (True, False):
        own = pulls[single["with_parameter"].str.contains("ell") == is_octave]
        assert own.mean() == pytest.approx(0, abs=3 / np.sqrt(len(own)))
        assert own.std() == pytest.approx(1, abs=0.06)
    for _, own in single["probability"].groupby(single["with_parameter"]):
        assert kstest(own, "uniform").pvalue > 1e-4
    assert np.mean(single["probability"] < 0.05) == pytest.approx(0.05, abs=0.01)
    assert np.mean(single["probability"] < 0.005) == pytest.approx(0.005, abs=0.003)
    least = of_draws.query("with_parameter == @ANY")["probability"]
    assert np.mean(least < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / N_DRAWS)


def most_significant(table):
    single = table[table["with_parameter"] != ANY]
    return single.loc[single["probability"].idxmin()]


def joint(table):
    (row,) = table[table["with_parameter"] == ANY].to_dict("records")
    assert row["parameter"] == CHI2
    return row["probability"]


def test_a_band_with_more_noise_than_is_described_is_named(dense, labels):
    """Noise that is larger by 5 % in one band, and smaller by 5 % in all."""
    pixels = np.arange(hp.nside2npix(32))
    clean, noise = without_noise(dense, len(pixels)), WhiteNoise(dense.sigma)
    drawn = noise.draw(len(pixels), SEED, 1, "")
    more = drawn.copy()
    more[BAND] *= 1.05
    table = table_of(clean + more, noise, dense, pixels, 32)
    row = most_significant(table)
    assert row["with_parameter"] == labels[BAND]
    # What is left of the band has noise of others too.
    assert 0.05 < row["moment"] < 1.05**2 - 1 + 4 * row["error"]
    assert joint(table) < 1e-2
    table = table_of(clean + 0.95 * drawn, noise, dense, pixels, 32)
    row = most_significant(table)
    assert row["with_parameter"] == ALL_BANDS
    assert row["moment"] == pytest.approx(0.95**2 - 1, abs=4 * row["error"])


@pytest.mark.parametrize(("ell", "octave"), [(2, "2-3"), (10, "8-15")])
def test_a_gradient_or_stripes_of_one_band_are_named_with_their_multipoles(
    clean, dense, labels, ell, octave
):
    """Of an rms below that of the noise of a pixel."""
    noise = WhiteNoise(dense.sigma)
    theta, phi = hp.pix2ang(NSIDE, PIXELS)
    stripes = 1.5 * dense.sigma[BAND] * np.sin(theta) ** 2 * np.cos(ell * phi)
    data = clean + noise.draw(len(PIXELS), SEED, 2, "")
    data[BAND, 0] += stripes
    table = table_of(data, noise, dense)
    assert most_significant(table)["with_parameter"] == f"{labels[BAND]} ell {octave}"
    assert joint(table) < 1e-3


def test_a_band_that_sees_part_of_the_pixels_has_its_own_expectation(clean, dense, labels):
    sigma = np.tile(dense.sigma[:, None], len(PIXELS))
    sigma[BAND, :150] = np.inf
    sigma[2] = np.inf
    noise = WhiteNoise(sigma)
    tables = [
        table_of(clean + noise.draw(len(PIXELS), SEED, number, ""), noise, dense)
        for number in range(10)
    ]
    single = pd.concat(tables, ignore_index=True).query("with_parameter != @ANY")
    unseen = single["with_parameter"].str.startswith(labels[2])
    assert single.loc[unseen, ["moment", "error", "probability"]].isna().all(axis=None)
    pulls = (single["moment"] / single["error"])[~unseen]
    own = pulls[single["with_parameter"].str.startswith(labels[BAND])]
    assert abs(own.mean()) < 4 / np.sqrt(len(own))
    assert pulls.std() == pytest.approx(1, abs=0.1)
    assert all(0 < joint(table) <= 1 for table in tables)
