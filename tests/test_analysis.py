"""From cleaned maps and mock skies to bandpowers, r, and what drives it."""

from dataclasses import replace
from types import SimpleNamespace

import healpy as hp
import numpy as np
import pytest
from made_up_skies import (
    DECOUPLED,
    LENSING,
    NOISE,
    NSIDE,
    PARTS,
    PIXELS,
    PSEUDO,
    THEORY,
    analysis_of,
    cmb,
    mocks,
    observed,
)

from patchsep.analysis.bandpowers import Bandpowers, measure_bandpowers, scatter_of_pairs
from patchsep.analysis.influence import influence
from patchsep.analysis.tensor_ratio import estimate_r_of_bandpowers, r_of_mocks
from patchsep.inference.r_likelihood import estimate_r, log_likelihood
from patchsep.sky.regions import COMBINED, full_sky
from patchsep.spectra.estimator import Estimator

# Bandpowers of enough modes that their likelihood is Gaussian.
N_BINS, N_MODES = 8, 2000.0
FLAT = np.ones(N_BINS)
NEIGHBOURS = np.eye(N_BINS) + 0.4 * (np.eye(N_BINS, k=1) + np.eye(N_BINS, k=-1))


# The likelihood of correlated bandpowers


def test_the_likelihood_of_bins_without_correlation_is_as_published():
    rng = np.random.default_rng(1)
    observed, tensor, floor, n_modes = rng.uniform(0.5, 2, (4, 6))
    r = np.linspace(-0.1, 3, 20)
    plain, correlated = (
        log_likelihood(r, observed, tensor, floor, 9 * n_modes, correlation)
        for correlation in (None, np.eye(6))
    )
    np.testing.assert_allclose(correlated - correlated[0], plain - plain[0], atol=1e-9)


def test_r_of_correlated_bandpowers_scatters_as_its_likelihood_is_wide():
    rng, root = np.random.default_rng(2), np.linalg.cholesky(NEIGHBOURS)
    found, widths, uncorrelated = [], [], []
    for _ in range(200):
        observed = 2 * (1 + np.sqrt(2 / N_MODES) * root @ rng.standard_normal(N_BINS))
        estimates = [
            estimate_r(observed, FLAT, FLAT, N_MODES * FLAT, 101, correlation=correlation)
            for correlation in (NEIGHBOURS, None)
        ]
        found.append(estimates[0].r_hat)
        width, plain = ((one.sigma_minus + one.sigma_plus) / 2 for one in estimates)
        widths.append(width)
        uncorrelated.append(plain)
    scatter, error = np.std(found), 1 / np.sqrt(2 * 200)
    assert scatter / np.mean(widths) == pytest.approx(1, abs=4 * error)
    # What it would be to leave the correlation out.
    assert scatter / np.mean(uncorrelated) > 1 + 4 * error
    assert np.mean(found) == pytest.approx(1, abs=4 * scatter / np.sqrt(200))


# Bandpowers of skies without foregrounds


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
    nothing = np.zeros(n_bins)
    found = Bandpowers(
        estimator=None,
        bb=level + rng.standard_normal(n_bins),
        noise=nothing,
        bias=level + rng.standard_normal((8, n_bins)).mean(axis=0),
        residual=nothing,
        lensing=nothing,
        tensor=nothing,
        mocks=None,
        scatter=np.eye(n_bins),
        difference=None,
        mock_differences=None,
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


# r


@pytest.fixture(scope="module")
def analysis():
    return analysis_of(observed(10, r=2e-3, has_splits=True), mocks(60, 11, has_splits=True))


def test_r_of_mock_skies_is_unbiased_and_scatters_as_the_likelihood_is_wide(analysis):
    found = r_of_mocks(analysis.bandpowers[COMBINED], 0.5)
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(0, abs=4 * found.std() / np.sqrt(len(found)))
    estimate = analysis.estimate(COMBINED)
    width = (estimate.sigma_minus + estimate.sigma_plus) / 2
    assert found.std() == pytest.approx(width, rel=0.5)


def test_tables_have_every_region_and_range(analysis):
    r = analysis.r_table()
    assert list(r["region"]) == ["north", "south", *3 * [COMBINED]]
    np.testing.assert_array_equal(r["ell_low"], [np.nan, np.nan, np.nan, 2, 12])
    assert r["converged"].all() and not r["n_unconverged_mocks"].any()
    curves = analysis.curves()
    peaks = curves.loc[curves.groupby("region", sort=False)["likelihood"].idxmax()]
    np.testing.assert_allclose(peaks["r"], r["r_hat"][:3])


def test_ranges_end_where_the_maps_do(analysis):
    """3 nside, whatever is asked for; one that has no bin is left out."""
    asked = replace(analysis, multipole_ranges=[[2, 12], [12, 3071], [30, 3071]])
    assert asked.ranges == [(2, 12), (12, 3 * NSIDE)]
    assert "12 to 24" in set(asked.influence()["name"])


def test_bandpowers_below_zero_have_an_r():
    """r has no step where the offset sets in, and the table says which bandpower has one."""
    skies = mocks(60, 11, has_splits=True)
    bandpowers = analysis_of(observed(10, has_splits=True), skies).bandpowers[COMBINED]
    low = np.flatnonzero(bandpowers.used)[0]
    x = np.array([0.5, 0.2, 0.101, 0.1, 0.099, 0.0, -0.3])

    def with_low(x):
        bb = bandpowers.bb.copy()
        bb[low] = x * bandpowers.floor[low] - bandpowers.noise[low]
        return replace(bandpowers, bb=bb)

    found = [estimate_r_of_bandpowers(with_low(one), 0.5) for one in x]
    r, width = np.transpose([(one.r_hat, one.sigma_minus + one.sigma_plus) for one in found])
    assert np.all(np.diff(r) < 0)
    assert np.all(np.abs(np.diff(r))[2:4] < 0.05 * width[3])
    np.testing.assert_allclose(width[4:], width[3], rtol=0.5)
    offsets = np.array([with_low(one).table()["offset"] for one in x])
    np.testing.assert_array_equal(offsets[:, low] > 0, x < 0.1)
    others = np.arange(len(bandpowers.bb)) != low
    assert not offsets[:, others & bandpowers.used].any()


def test_intervals_of_spectra_that_fall_below_zero_hold_r():
    """Of bandpowers (1 + k) A - k B of two chi squares, as where coupling is undone."""
    rng, n_skies, k = np.random.default_rng(15), 400, np.array([0.6, 0.2, 0.1])
    tensor, n = np.array([300.0, 30.0, 10.0]), np.array([12, 40, 150])
    floor, nothing = np.ones(3), np.zeros(3)

    def draw(r, size):
        first, other = (rng.chisquare(n, (size, 3)) / n for _ in range(2))
        return (1 + r * tensor) * ((1 + k) * first - k * other)

    known = Bandpowers(
        estimator=SimpleNamespace(used=lambda n_modes: n_modes > 0),
        bb=nothing,
        noise=nothing,
        bias=nothing,
        residual=nothing,
        lensing=floor,
        tensor=tensor,
        mocks=None,
        scatter=np.diag(draw(0.0, 100_000).var(axis=0)),
        difference=None,
        mock_differences=None,
        n_averaged=10**6,
    )
    for r in (0.0, 3e-3):
        drawn = draw(r, n_skies)
        assert (drawn <= 0).any()
        found = [estimate_r_of_bandpowers(known, 0.5, bb, n_points=401) for bb in drawn]
        for content in (0.68, 0.95):
            ends = np.array([one.interval(content) for one in found])
            held = np.mean((ends[:, 0] <= r) & (r <= ends[:, 1]))
            error = np.sqrt(content * (1 - content) / n_skies)
            # These are more peaked than the chi squared of their variance: 68 % is too wide.
            assert held > content - 4 * error
            assert content < 0.9 or held < content + 4 * error
        r_hat = np.array([one.r_hat for one in found])
        assert r_hat.mean() == pytest.approx(r, abs=4 * r_hat.std() / np.sqrt(n_skies))


def test_a_sky_without_r_has_tables_that_say_so():
    """A spectrum that is far below 0 together with its noise has none."""
    cleaned = observed(12, has_splits=True, excess=20.0)
    found = analysis_of(cleaned, mocks(10, 13, has_splits=True))
    assert found.r_table()["r_hat"].isna().all()
    curves, moved = found.curves(), found.influence()
    assert list(curves.columns) == ["region", "r", "likelihood"] and not len(curves)
    assert not len(moved)
    assert len(found.null_tests())


def test_a_bin_of_which_nothing_is_expected_has_no_r(analysis):
    bandpowers = analysis.bandpowers[COMBINED]
    below = np.where(bandpowers.used, -2 * bandpowers.lensing - bandpowers.noise, 0)
    assert estimate_r_of_bandpowers(replace(bandpowers, bias=below), 0.5) is None


# What drives r


def gaussian_bins(r_hat, n_modes):
    """Bandpowers of independent bins, of which each alone has an r; r weighs them by n_modes."""
    return SimpleNamespace(
        bb=1 + np.asarray(r_hat),
        noise=0 * FLAT,
        floor=FLAT,
        offset=lambda bb: 0 * bb,
        residual=0 * FLAT,
        tensor=FLAT,
        n_modes=n_modes,
        used=FLAT > 0,
        correlation=np.eye(N_BINS),
        estimator=SimpleNamespace(ell=np.arange(N_BINS)),
    )


def test_influence_of_independent_bins_is_that_of_their_weighted_mean():
    """Of a part of weight W, whose own mean is r_W, W / ΣW (r - r_W) to first order."""
    rng = np.random.default_rng(14)
    r_b, w_b = 1e-3 * rng.standard_normal(N_BINS), 1e6 * rng.uniform(1, 3, N_BINS)
    ranges = [(0, 2), (2, 5), (5, 8)]
    table = influence(gaussian_bins(r_b, w_b), 0.5, ranges, {}).set_index("name")
    r = np.average(r_b, weights=w_b)
    for low, high in ranges:
        inside = np.arange(low, high)
        own, part = np.average(r_b[inside], weights=w_b[inside]), w_b[inside].sum() / w_b.sum()
        row = table.loc[f"{low} to {high}"]
        first_order = part * (r - own)
        # A difference of 5 % of the weight, not a derivative.
        assert row["shift"] == pytest.approx(first_order, rel=0.06, abs=1e-6)
        assert row["left_out"] == pytest.approx(first_order / (1 - part), rel=0.02, abs=1e-6)
    assert table["sigma"].iloc[0] == pytest.approx(np.sqrt(2 / w_b.sum()), rel=0.02)
    assert abs(table["shift"].sum()) < 0.06 * table["shift"].abs().sum()


@pytest.fixture(scope="module")
def moved(analysis):
    return analysis.influence().set_index(["kind", "name"])


def test_without_all_other_regions_r_is_that_of_the_region(analysis, moved):
    together = analysis.estimate(COMBINED).r_hat
    # Derivatives of weights reach a little beyond their edge, into the other region.
    tolerance = 0.05 * moved["sigma"].iloc[0]
    alone = {region: analysis.estimate(region).r_hat for region in PARTS}
    assert abs(alone["north"] - alone["south"]) > 4 * tolerance
    for left_out, other in (("north", "south"), ("south", "north")):
        moved_to = together + moved.loc[("region", left_out), "left_out"]
        assert moved_to == pytest.approx(alone[other], abs=tolerance)


def test_influence_of_a_region_is_what_less_weight_changes(analysis, moved):
    factor = np.ones(len(PIXELS))
    factor[PARTS["north"]] = 0.99
    less = estimate_r_of_bandpowers(analysis.bandpowers_of(slice(None), factor), 0.5).r_hat
    exact = (less - analysis.estimate(COMBINED).r_hat) / 0.01
    assert moved.loc[("region", "north"), "shift"] == pytest.approx(exact, rel=0.1)
    assert np.isfinite(moved["shift"]).all()


def test_bins_of_no_weight_are_left_out(analysis):
    bandpowers = analysis.bandpowers[COMBINED]
    kept = np.arange(len(bandpowers.bb)) > 1
    changed = np.where(kept, bandpowers.bb, -1.0)
    found = estimate_r_of_bandpowers(bandpowers, 0.5, bb=changed, weights=kept.astype(float))
    assert found.r_hat == analysis.estimate(COMBINED, weights=kept.astype(float)).r_hat
    assert estimate_r_of_bandpowers(bandpowers, 0.5, bb=changed) is None
