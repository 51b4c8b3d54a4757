"""The choice of a configuration per region."""

import numpy as np
import pandas as pd
import pytest

from patchsep.inference.selection import choices, choose, with_rehearsals

ESTIMATES = pd.DataFrame(
    {
        "configuration": ["a", "b", "c"],
        "r_upper68": [3e-3, 1e-3, 2e-3],
        "variance": [1.0, 2.0, 3.0],
        "information": [5.0, 4.0, 3.0],
        "evidence": [5.0, 6.0, 5.5],
        "held_out": [np.nan] * 3,
    }
)


@pytest.mark.parametrize(
    ("criterion", "best"),
    [("oracle", "b"), ("variance", "a"), ("information", "c"), ("evidence", "a")],
)
def test_a_criterion_takes_the_lowest_of_its_column(criterion, best):
    assert choose(ESTIMATES, criterion) == best


def test_a_criterion_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="held_out is not known"):
        choose(ESTIMATES, "held_out")


def test_a_region_without_a_choice_needs_no_estimates():
    names = {"hi": ["a", "b", "c"], "low": ["d"]}
    table = choices(names, {"hi": ESTIMATES}, ["variance", "oracle"])
    assert table.to_numpy().tolist() == [
        ["variance", "hi", "a"],
        ["variance", "low", "d"],
        ["oracle", "hi", "b"],
        ["oracle", "low", "d"],
    ]


def test_rehearsals_count_alike_whatever_the_order_of_their_rows():
    one = pd.DataFrame(
        {"configuration": ["a", "b", "c"], "r_hat": [3e-3, 2e-3, 2e-3], "sigma_r_plus": 1e-3}
    )
    # Too low is as bad as too high.
    other = one.assign(r_hat=[2e-3, -2e-3, 1e-3])[::-1]
    table = with_rehearsals(ESTIMATES, [one, other], 1e-3)
    np.testing.assert_allclose(table["rehearsal"], [2.5e-3, 3e-3, 1.5e-3])
    assert choose(table, "rehearsal") == "c"


def test_without_rehearsals_there_is_nothing_to_choose_by():
    with pytest.raises(ValueError, match="rehearsal is not known"):
        choose(with_rehearsals(ESTIMATES, [], 0.0), "rehearsal")
