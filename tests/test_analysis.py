"""From cleaned maps and mock skies to bandpowers, r, and what drives it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_skies import (
    NSIDE,
    PARTS,
    PIXELS,
    analysis_of,
    bandpowers_with,
    mocks,
    observed,
)

from patchsep.analysis.influence import influence
from patchsep.analysis.tensor_ratio import estimate_r_of_bandpowers, r_of_mocks
from patchsep.inference.r_likelihood import estimate_r, log_likelihood
from patchsep.sky.regions import COMBINED

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

    def draw(r, size):
        first, other = (rng.chisquare(n, (size, 3)) / n for _ in range(2))
        return (1 + r * tensor) * ((1 + k) * first - k * other)

    known = bandpowers_with(
        np.diag(draw(0.0, 100_000).var(axis=0)),
        estimator=SimpleNamespace(used=lambda n_modes: n_modes > 0),
        lensing=np.ones(3),
        tensor=tensor,
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
