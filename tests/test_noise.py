"""Noise: its size, its independence, and that every realisation can be drawn again."""

import numpy as np
import pytest

from patchsep.instrument.noise import WhiteNoise

SIGMA = np.array([0.1, 1.0, 20.0])
N_PIXELS = 20_000
BASE = dict(seed=3, realization=1, region="hi")


def draw(**changes):
    return WhiteNoise(SIGMA).draw(N_PIXELS, **BASE | changes)


def test_noise_has_the_rms_of_each_band_in_q_and_in_u():
    rms = draw().std(axis=-1)
    # The standard deviation of an rms over n pixels is sigma / √2n.
    np.testing.assert_allclose(rms / SIGMA[:, None], 1, atol=4 / np.sqrt(2 * N_PIXELS))


def test_bands_and_stokes_parameters_are_uncorrelated():
    correlation = np.corrcoef(draw().reshape(-1, N_PIXELS))
    assert np.all(np.abs(correlation - np.eye(len(correlation))) < 4 / np.sqrt(N_PIXELS))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"realization": 2},
        {"region": "mid"},
        {"region": "hi_north"},
        {"seed": 1, "realization": 3},
    ],
    ids=str,
)
def test_another_seed_realization_or_region_is_uncorrelated(change):
    first, second = draw().ravel(), draw(**change).ravel()
    assert np.abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)


def test_a_realization_is_the_same_whatever_was_drawn_before():
    alone = draw()
    np.random.seed(0)  # noqa: NPY002 (the global state must not matter)
    for realization in (0, 5):
        draw(realization=realization)
    np.testing.assert_array_equal(draw(), alone)
