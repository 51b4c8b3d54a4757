"""Null tests: flat probabilities where nothing is wrong, and low ones of what is."""

from types import SimpleNamespace

import numpy as np
import pytest
from made_up_skies import analysis_of, mocks, observed
from scipy import stats

from patchsep.analysis.null_tests import (
    BANDPOWERS,
    SPLITS,
    agreement_test,
    bandpower_test,
    chi2_of,
    difference_test,
    null_table,
    rank_probability,
)
from patchsep.sky.regions import COMBINED

N_BINS, N_SKIES = 6, 99
USED = np.arange(N_BINS) > 0


def bandpowers(seed, difference=1.0, offset=0.0):
    """Independent bins, of which the first is not used; and a difference that is so many times."""
    rng = np.random.default_rng(seed)
    own, halves = rng.standard_normal((2, N_SKIES, N_BINS))
    return SimpleNamespace(
        bb=offset + rng.standard_normal(N_BINS),
        mocks=own,
        difference=difference * (1 + 0.1 * rng.standard_normal(N_BINS)),
        mock_differences=1 + 0.1 * halves,
        used=USED,
    )


@pytest.fixture(scope="module")
def rows():
    """Both tests on many made-up observations."""
    several = [bandpowers(seed) for seed in range(300)]
    return {
        test: [make(COMBINED, one) for one in several]
        for test, make in ((BANDPOWERS, bandpower_test), (SPLITS, difference_test))
    }


@pytest.mark.parametrize("test", [BANDPOWERS, SPLITS])
def test_probabilities_are_flat_where_nothing_is_wrong(rows, test):
    probabilities = np.array([row["probability"] for row in rows[test]])
    assert stats.kstest(probabilities, "uniform").pvalue > 1e-3
    assert probabilities.min() >= 1 / (N_SKIES + 1) and probabilities.max() <= 1
    # χ² is that of so many bins, whose variance is known from so many skies.
    chi2 = np.array([row["chi2"] for row in rows[test]])
    dof = rows[test][0]["dof"]
    assert dof == N_BINS - 1
    expected = dof * (1 + 1 / N_SKIES) * (N_SKIES - 1) / (N_SKIES - 3)
    assert chi2.mean() == pytest.approx(expected, abs=4 * np.sqrt(2 * dof / len(chi2)))


def test_a_mock_sky_is_compared_with_the_others():
    own = np.random.default_rng(1).standard_normal((8, 3))
    _, found = chi2_of(own[0], own)
    others = own[1:]
    expected = np.sum((own[0] - others.mean(axis=0)) ** 2 / others.var(axis=0, ddof=1))
    assert found[0] == pytest.approx(expected)
    # As an observation of which the others are the mock skies.
    assert chi2_of(own[0], others)[0] == pytest.approx(found[0])


def test_a_rank_is_never_0_and_counts_those_that_are_as_far_off():
    skies = np.arange(10.0)
    assert rank_probability(100.0, skies) == 1 / 11
    assert rank_probability(9.0, skies) == 2 / 11
    assert rank_probability(-1.0, skies) == 1


def test_what_is_wrong_has_the_lowest_probability():
    lowest = 1 / (N_SKIES + 1)
    assert bandpower_test(COMBINED, bandpowers(5, offset=4.0))["probability"] == lowest
    assert difference_test(COMBINED, bandpowers(5, difference=1.4))["probability"] == lowest


def test_bins_that_are_not_used_are_not_tested():
    one = bandpowers(6)
    changed = SimpleNamespace(**vars(one) | {"bb": np.where(USED, one.bb, 1e6)})
    assert bandpower_test(COMBINED, changed) == bandpower_test(COMBINED, one)


# Whether values of r agree


def r_of_regions(seed, offset=0.0):
    """r of three regions of unlike errors and means, one of them off by so many errors."""
    rng = np.random.default_rng(seed)
    sigma, mean = np.array([1.0, 2.0, 3.0]), np.array([0.0, 5.0, -5.0])
    skies = dict(zip("abc", (mean + sigma * rng.standard_normal((N_SKIES, 3))).T, strict=True))
    own = mean + sigma * (rng.standard_normal(3) + np.array([0, 0, offset]))
    return dict(zip("abc", own, strict=True)), skies


def test_regions_that_agree_have_flat_probabilities():
    tests = [agreement_test("agree", COMBINED, *r_of_regions(seed)) for seed in range(300)]
    assert {test["dof"] for test in tests} == {2}
    assert stats.kstest([test["probability"] for test in tests], "uniform").pvalue > 1e-3
    chi2 = np.mean([test["chi2"] for test in tests])
    assert chi2 == pytest.approx(2, abs=4 * 2 / np.sqrt(300) + 0.1)


def test_regions_that_disagree_are_found():
    found = agreement_test("agree", COMBINED, *r_of_regions(7, offset=5.0))
    assert found["probability"] == 1 / (N_SKIES + 1)
    assert found["chi2"] > 15


def test_regions_of_one_offset_agree():
    """A true r is not what is tested."""
    r_hat, skies = r_of_regions(8)
    shifted = {name: value + 100 for name, value in r_hat.items()}
    found, moved = (agreement_test("agree", COMBINED, own, skies) for own in (r_hat, shifted))
    assert moved["chi2"] == pytest.approx(found["chi2"])


def test_values_that_are_not_known_are_left_out():
    r_hat, skies = r_of_regions(9)
    one_less = agreement_test("agree", COMBINED, r_hat | {"c": np.nan}, skies)
    pair = {name: r_hat[name] for name in "ab"}
    assert one_less == agreement_test("agree", COMBINED, pair, skies)
    # So are mock skies that have none, and then there may be too few of either.
    some = {**skies, "a": np.where(np.arange(N_SKIES) < 40, np.nan, skies["a"])}
    assert agreement_test("agree", COMBINED, r_hat, some)["probability"] >= 1 / (N_SKIES - 40 + 1)
    unknown = agreement_test("agree", COMBINED, {"a": 1.0, "b": np.nan}, skies)
    without = agreement_test("agree", COMBINED, r_hat, {**skies, "b": np.full(N_SKIES, np.nan)})
    assert unknown is None and without is None
    assert len(null_table([unknown, one_less])) == 1


# Of maps


def probability_of(table, test, region=COMBINED):
    (found,) = table[table["test"].eq(test) & table["region"].eq(region)]["probability"]
    return found


def test_splits_of_more_noise_than_is_described_are_found():
    skies = mocks(30, 1, has_splits=True)
    well = analysis_of(observed(2, has_splits=True), skies).null_tests()
    noisy = analysis_of(observed(2, has_splits=True, excess=1.3), skies).null_tests()
    assert set(well["region"]) == {"north", "south", COMBINED}
    assert probability_of(well, SPLITS) > 0.05
    assert probability_of(noisy, SPLITS) == 1 / 31
    # The splits' own noise is taken off, whatever it is.
    assert probability_of(noisy, "regions agree") > 0.05


def test_without_splits_nothing_is_said_of_them():
    table = analysis_of(observed(3), mocks(20, 4)).null_tests()
    assert set(table["test"]) == {BANDPOWERS, "regions agree", "multipoles agree"}


def test_a_sky_with_tensors_is_not_one_of_r_0():
    table = analysis_of(observed(5, r=0.05), mocks(30, 6)).null_tests()
    assert probability_of(table, BANDPOWERS) == 1 / 31
