"""The selection of a configuration per region."""

import numpy as np
import pandas as pd
import pytest

from patchsep.inference.selection import select, select_configurations, with_mocks
from patchsep.skies.cleaned_sky import by_region

ESTIMATES = pd.DataFrame(
    {
        "configuration": ["a", "b", "c"],
        "r_upper68": [3e-3, 1e-3, 2e-3],
        "variance": [1.0, 2.0, 3.0],
        "aic": [5.0, 4.0, 3.0],
        "evidence": [5.0, 6.0, 5.5],
        "cross_validation": [np.nan] * 3,
    }
)


@pytest.mark.parametrize(
    ("criterion", "best"),
    [("oracle", "b"), ("variance", "a"), ("aic", "c"), ("evidence", "a")],
)
def test_a_criterion_takes_the_lowest_of_its_column(criterion, best):
    assert select(ESTIMATES, criterion) == best


def test_a_criterion_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="cross_validation is not known"):
        select(ESTIMATES, "cross_validation")


def test_a_region_without_a_choice_needs_no_estimates():
    names = {"hi": ["a", "b", "c"], "low": ["d"]}
    table = select_configurations(names, {"hi": ESTIMATES}, ["variance", "oracle"])
    assert table.to_numpy().tolist() == [
        ["variance", "hi", "a"],
        ["variance", "low", "d"],
        ["oracle", "hi", "b"],
        ["oracle", "low", "d"],
    ]


def test_mock_skies_count_alike_whatever_the_order_of_their_rows():
    one = pd.DataFrame(
        {"configuration": ["a", "b", "c"], "r_hat": [3e-3, 2e-3, 2e-3], "sigma_r_plus": 1e-3}
    )
    # Too low is as bad as too high.
    other = one.assign(r_hat=[2e-3, -2e-3, 1e-3])[::-1]
    table = with_mocks(ESTIMATES, [one, other], 1e-3)
    np.testing.assert_allclose(table["mocks"], [2.5e-3, 3e-3, 1.5e-3])
    assert select(table, "mocks") == "c"


def test_without_mock_skies_there_is_nothing_to_select_by():
    with pytest.raises(ValueError, match="mocks is not known"):
        select(with_mocks(ESTIMATES, [], 0.0), "mocks")


def test_regions_are_followed_by_all_of_them_together():
    rows = [
        ("oracle", "hi", "2-1-1"),
        ("oracle", "low", "1-1-1"),
        ("variance", "hi", "3-1-1"),
        ("variance", "low", "1-1-1"),
    ]
    selected = pd.DataFrame(rows, columns=["criterion", "region", "configuration"])
    assert by_region(selected) == {
        "oracle": {"hi": "2-1-1", "low": "1-1-1", "combined": "2-1-1 + 1-1-1"},
        "variance": {"hi": "3-1-1", "low": "1-1-1", "combined": "3-1-1 + 1-1-1"},
    }
