"""Bandpowers of cleaned maps, their covariance and modes, of skies without foregrounds."""

from types import SimpleNamespace

import healpy as hp
import numpy as np
import pytest
from made_up_skies import (
    DECOUPLED,
    LENSING,
    NOISE,
    NSIDE,
    PIXELS,
    PSEUDO,
    THEORY,
    bandpowers_with,
    cmb,
    mocks,
    observed,
)

from patchsep.analysis.bandpowers import Bandpowers, measure_bandpowers, scatter_of_pairs
from patchsep.sky.regions import full_sky
from patchsep.spectra.estimator import Estimator


@pytest.fixture(scope="module")
def skies():
    """Many mock skies without E modes, with splits and without."""
    with_splits = mocks(300, 3, has_splits=True, has_e_modes=False)
    parts = vars(with_splits) | {"difference": with_splits.difference[:0]}
    return SimpleNamespace(splits=with_splits, whole=type(with_splits)(**parts))


@pytest.fixture(scope="module")
def estimator():
    return Estimator.of(PIXELS, NSIDE, **DECOUPLED)


def measured(cleaned, skies, estimator) -> Bandpowers:
    return measure_bandpowers(cleaned.cmb, cleaned.difference, skies, estimator, PIXELS, THEORY)


@pytest.mark.parametrize("has_splits", [False, True])
def test_bandpowers_are_those_of_the_sky_without_its_noise(skies, estimator, has_splits):
    """Of mock skies, whose mean is that of the theory, and whose noise is taken off."""
    own = skies.splits if has_splits else skies.whole
    found = measured(observed(4, 0.0, has_splits, has_e_modes=False), own, estimator)
    error = found.mocks.std(axis=0, ddof=1) / np.sqrt(len(found.mocks))
    np.testing.assert_allclose(found.lensing, LENSING)
    assert np.all(np.abs(found.mocks.mean(axis=0) - LENSING) < 4 * error)
    # The spectrum of the noise is known.
    np.testing.assert_allclose(found.noise, NOISE, atol=4 * error.max())
    assert np.all(np.abs(found.bias) < 4 * error)
    assert not found.residual.any()
    assert np.all(np.abs(found.bb - LENSING) < 5 * found.mocks.std(axis=0))


def test_bandpowers_of_an_observation_are_analysed_as_those_of_a_mock_sky(skies, estimator):
    number = 7
    with_splits = SimpleNamespace(
        cmb=skies.splits.cleaned[number], difference=skies.splits.difference[number]
    )
    found = measured(with_splits, skies.splits, estimator)
    np.testing.assert_allclose(found.bb, found.mocks[number])
    np.testing.assert_allclose(found.difference, found.mock_differences[number])
    alone = measured(SimpleNamespace(cmb=with_splits.cmb, difference=None), skies.whole, estimator)
    np.testing.assert_allclose(alone.bb, alone.mocks[number])
    assert alone.difference is None and alone.mock_differences.shape == (300, 0)


def test_with_splits_bandpowers_are_their_cross_spectrum():
    """By healpy's cross-spectrum of the two, over f_sky."""
    cleaned = observed(5, has_splits=True)
    estimator = Estimator.of(PIXELS, NSIDE, **PSEUDO)
    found = measured(cleaned, mocks(3, 6, has_splits=True), estimator)
    splits = (
        estimator.modes(full_sky(cleaned.cmb + sign * cleaned.difference, PIXELS, NSIDE))[-1]
        for sign in (1, -1)
    )
    cross = hp.alm2cl(*splits) / (len(PIXELS) / hp.nside2npix(NSIDE))
    np.testing.assert_allclose(found.bb, estimator.bins @ cross, rtol=1e-9)


def test_e_modes_that_leak_are_part_of_what_is_expected():
    """As much as skies of E modes alone have of B."""
    estimator = Estimator.of(PIXELS, NSIDE, **PSEUDO)
    found = measured(observed(8), mocks(300, 7), estimator)
    error = found.mocks.std(axis=0, ddof=1) / np.sqrt(300)
    assert np.all(found.bias > 4 * error)
    rng = np.random.default_rng(9)
    leaked = (full_sky(cmb(rng)[0], PIXELS, NSIDE) for _ in range(300))
    spectra = [estimator.spectrum(estimator.modes(one)) for one in leaked]
    np.testing.assert_allclose(found.bias, np.mean(spectra, axis=0), atol=4 * error.max())


class OneVariance:
    """An estimator whose bins have so many modes of variance one."""

    def __init__(self, n_modes):
        self.n_modes = n_modes

    def spectrum(self, modes, others=None):
        product = modes * (modes if others is None else others)
        return product.reshape(-1, self.n_modes).mean(axis=1)


@pytest.mark.parametrize(("n_modes", "error", "of_spectra"), [(10, 0.09, 0.18), (200, 0.04, 0.14)])
def test_pairs_of_skies_tell_their_scatter_better_than_skies_do(n_modes, error, of_spectra):
    rng, n_bins = np.random.default_rng(10), 500
    skies, one = rng.standard_normal((100, n_bins * n_modes)), OneVariance(n_modes)
    found = np.diag(scatter_of_pairs(skies, one)) * n_modes / 2
    assert found.mean() == pytest.approx(1, abs=4 * error / np.sqrt(n_bins))
    assert found.std() < 1.1 * error
    by_spectra = np.var([one.spectrum(sky) for sky in skies], axis=0, ddof=1) * n_modes / 2
    assert by_spectra.std() > 0.9 * of_spectra


def test_pairs_tell_the_correlation_of_bins():
    rng = np.random.default_rng(11)
    first, other = rng.standard_normal((2, 100, 1000))
    skies = np.concatenate([first, (first + other) / np.sqrt(2)], axis=1)
    scatter = scatter_of_pairs(skies, OneVariance(1000))
    np.testing.assert_allclose(scatter * 500, [[1, 0.5], [0.5, 1]], atol=0.15)
    assert scatter[0, 1] == scatter[1, 0]


def test_errors_allow_for_the_mean_of_few_skies():
    """Where the scatter is known, and what is expected is a mean of eight draws."""
    rng, n_bins, level = np.random.default_rng(10), 4000, 50.0
    found = bandpowers_with(
        np.eye(n_bins),
        bb=level + rng.standard_normal(n_bins),
        bias=level + rng.standard_normal((8, n_bins)).mean(axis=0),
        n_averaged=8,
    )
    pulls = (found.bb - found.floor) / np.sqrt(2 * found.floor**2 / found.n_modes)
    assert np.mean(pulls**2) == pytest.approx(1, abs=4 * np.std(pulls**2) / np.sqrt(n_bins))


def test_modes_and_covariance_are_those_of_gaussian_skies(skies, estimator):
    found = measured(observed(4, has_e_modes=False), skies.whole, estimator)
    expected = estimator.n_modes(THEORY["bb_lensing"].to_numpy(), 300, seed=9)
    # By their scatter they are known to √(2 / 300) in a bin, by that of pairs better.
    error = np.sqrt(2 / 300)
    mean = np.log(found.n_modes / expected).mean()
    assert mean == pytest.approx(0, abs=4 * np.sqrt(2) * error / np.sqrt(len(expected)))
    assert np.all(np.abs(np.log(found.n_modes / expected)) < 4 * error)
    covariance = found.covariance
    assert covariance.shape == 2 * (len(found.bb),)
    np.testing.assert_allclose(np.diag(covariance), found.table()["error"] ** 2)
    ratio = np.diag(covariance) / (2 * found.floor**2 / found.n_modes)
    assert np.all(np.abs(np.log(ratio)) < 4 * error)
    # Of Gaussian skies the estimator leaves little correlation beyond neighbours.
    far = np.abs(np.subtract.outer(*2 * [np.arange(len(found.bb))])) > 1
    assert not found.correlation[far].any()
    assert np.abs(np.corrcoef(found.mocks, rowvar=False)[far]).max() < 4 / np.sqrt(300)


def test_correlation_by_few_mock_skies_is_that_of_some_bandpowers(estimator):
    """Its neighbours alone may be more than bandpowers can have: no eigenvalue is below 0."""
    for seed in range(20):
        found = measured(observed(4), mocks(4, 100 + seed), estimator)
        assert np.linalg.eigvalsh(found.correlation).min() > 0
