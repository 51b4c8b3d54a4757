"""Published numbers beside ours."""

import pandas as pd
import pytest
import yaml
from workflows import ROOT

from patchsep.studies.published import compare

NUMBER = {"number": "n", "published": 3, "source": "a table", "table": "t.csv", "column": "x"}


@pytest.fixture
def results(tmp_path):
    rows = [("a", 2.0, 0.1, "p"), ("b", 3.0, 0.2, "q"), ("b", 5.0, 0.3, "r")]
    table = pd.DataFrame(rows, columns=["kind", "x", "error", "name"])
    table.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "here", "error"),
    [
        ({"where": {"kind": "a"}, "error": "error", "factor": 1000}, 2000, 100),
        ({"where": {"kind": "b"}, "take": "mean"}, 4, 1),
        ({"where": {"kind": "b"}, "take": "sum"}, 8, None),
        ({"take": "count"}, 3, None),
        ({"where": {"kind": "b"}, "take": "mean_square", "factor": 2}, 34, None),
        ({"where": {"kind": "a", "x": 2.0}, "column": "name"}, "p", None),
    ],
)
def test_our_number_is_taken_from_its_table(results, entry, here, error):
    (row,) = compare([NUMBER | entry], results).to_dict("records")
    assert row["here"] == (pytest.approx(here) if not isinstance(here, str) else here)
    assert row["here_error"] == pytest.approx(error) if error else pd.isna(row["here_error"])
    assert row["published"] == 3


@pytest.mark.parametrize("where", [{"kind": "c"}, {"kind": "b"}])
def test_a_number_that_is_not_one_row_is_refused(results, where):
    with pytest.raises(ValueError, match=r"'n': \d rows of t.csv are those of"):
        compare([NUMBER | {"where": where}], results)


@pytest.mark.parametrize("path", [*(ROOT / "config" / "published").glob("*.yaml")], ids=str)
def test_every_published_number_has_a_source_and_a_table(path):
    numbers = yaml.safe_load(path.read_text())
    assert len({number["number"] for number in numbers}) == len(numbers)
    for number in numbers:
        assert {"number", "published", "source", "table", "column"} <= set(number)
