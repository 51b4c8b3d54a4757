"""The figure of what data ask for that the spectral model lacks."""

import pandas as pd
import pytest

from patchsep.figures.fields import model_tests_table, plot_model_tests
from patchsep.figures.style import in_words
from patchsep.files.tables import write_table
from patchsep.lazy import pyplot as plt

SYMBOLS = {"beta_dust": r"$\beta_d$", "temp_dust": "$T_d$"}
ROWS = [
    ("gain", "40GHZ", 0.01, 0.005),
    ("gain", "37P5GHZ_2", -0.01, 0.005),
    ("angle", "37P5GHZ_2", 0.1, 0.2),
    ("chi2", "40GHZ", 0.3, 0.02),
    ("chi2", "40GHZ ell 8-15", 0.9, 0.1),
    ("chi2", "all bands", 0.9, 0.1),
    ("spinning dust", "dust", 0.1, 0.05),
    ("beta_dust", "temp_dust", -1.0, 2.0),
    ("all", "all", None, None),
    ("any", "any", None, None),
    ("alarm", "alarm", None, None),
]


@pytest.fixture
def table(tmp_path):
    columns = ["parameter", "with_parameter", "moment", "error"]
    one = pd.DataFrame(ROWS, columns=columns).assign(n_unlikely=3, n_observations=20)
    table = pd.concat(
        one.assign(set=name, method=method, region=region)
        for name in ("simple", "complex")
        for method in ("fields", "templated")
        for region in ("hi", "combined")
    )
    write_table(tmp_path / "table.csv", table)
    return tmp_path / "table.csv"


def drawn(table, sets):
    data = model_tests_table({"table": table}, {"sets": sets})
    return data, plot_model_tests(data, {"sets": sets, "symbols": SYMBOLS})


def test_only_tests_of_bands_and_parameters_are_shown(table):
    data, figure = drawn(table, [("complex", "fields")])
    assert len(data) == 7 and set(data["set"]) == {"complex"}
    assert data["pull"].tolist()[:2] == [2, -2]
    above, below, _ = figure.axes
    assert [label.get_text() for label in above.get_yticklabels()] == ["40 GHz", "37.5 GHz 2"]
    image = above.images[0].get_array()
    # A row per band, a column for each of gain, centre, angle and chi2; what is not tested is none.
    assert image.shape == (2, 4) and image[0, 3] == pytest.approx(15)
    assert image.mask.tolist() == [[False, True, True, False], [False, True, False, True]]
    names = [label.get_text() for label in below.get_yticklabels()]
    assert names[0] == "spinning dust" and SYMBOLS["beta_dust"] in names[1]
    plt.close(figure)


def test_every_set_and_method_has_a_column_that_counts_alarms(table):
    pairs = [(name, method) for name in ("simple", "complex") for method in ("fields", "templated")]
    _, figure = drawn(table, pairs)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert len(titles) == 4 and all("alarm in 3 of 20" in title for title in titles)
    assert "templated" in titles[1]
    figure.canvas.draw()
    plt.close(figure)


def test_names_of_the_configuration_are_words_in_figures():
    assert in_words("complexity_1p25") == "complexity 1.25"
    assert in_words("map_2") == "map 2" and in_words("aic") == "AIC"
