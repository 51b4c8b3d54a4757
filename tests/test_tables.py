"""Tables of r, of methods with and without patches."""

import numpy as np
import pandas as pd
import pytest

from patchsep.fields.residual_tests import CHI2
from patchsep.fields.systematics import ANY
from patchsep.figures.methods import selection_table as shown_selection
from patchsep.files.tables import read_table, write_table
from patchsep.files.versions import warnings_of
from patchsep.inference.sets import KINDS
from patchsep.inference.tables import (
    combined_rows,
    configuration_table,
    model_table,
    model_warnings,
    selection_table,
    summary_table,
    summary_text,
)
from patchsep.sky.regions import COMBINED

COUNTS = {"n_patches_beta_dust": 7000, "n_patches_temp_dust": 500, "n_patches_beta_synch": 20}
ABOUT = {"run": "small", "theory": "consistent", "figures": "results/small/figures/"}


def estimates(configuration, counts):
    """As a set's, of one region and all of them."""
    kinds = dict(zip(KINDS, ("uniform", "neglected", "consistent"), strict=True))
    r = dict.fromkeys(["r_hat", "sigma_r_minus", "sigma_r_plus"], 1e-3)
    upper = {
        "r_upper68": 2e-3,
        "r_upper68_error": 1e-4,
        "n_skies": 2,
        "n_realizations": 8,
        "r_input": 0.0,
    }
    row = {"criterion": "oracle", "configuration": configuration, **kinds, **counts, **r, **upper}
    return pd.DataFrame([{"region": region} | row for region in ("hi", "combined")]).assign(
        n_unconverged=0, n_unconverged_systematic=0, n_unconverged_mocks=1
    )


@pytest.fixture
def selection():
    """A method without patches comes first."""
    tables = {"fields": estimates("fields", {}), "kmeans": estimates("7000-500-20", COUNTS)}
    return selection_table({("unseen", name): table for name, table in tables.items()})


def rows_of(text):
    """Words of the lines of the first region, by method."""
    return {line.split()[0]: line.split() for line in text.splitlines() if " hi " in line}


def test_numbers_of_patches_are_missing_or_whole(selection, tmp_path):
    for name in ("table.csv", "table.parquet"):
        write_table(tmp_path / name, selection)
        table = read_table(tmp_path / name)
        assert list(table.columns) == list(selection.columns)
        assert table[list(COUNTS)].isna().all(axis=1).tolist() == [True, True, False, False]
    first, *_, last = (tmp_path / "table.csv").read_text().splitlines()[1:]
    assert ",fields,uniform,neglected,consistent,,,," in first
    assert ",7000-500-20,uniform,neglected,consistent,7000,500,20,0.001," in last


def test_numbers_of_patches_stay_whole_in_tables_of_figures(selection, tmp_path):
    path = tmp_path / "selection.csv"
    write_table(path, selection)
    pairs = [("unseen", "fields"), ("unseen", "kmeans")]
    for table in (
        combined_rows(read_table(path), pairs, "oracle", "consistent"),
        shown_selection({"table": path}, {}),
    ):
        write_table(tmp_path / "shown.csv", table)
        assert ",7000,500,20," in (tmp_path / "shown.csv").read_text()


def test_the_text_has_a_dash_where_there_are_no_patches(selection):
    rows = rows_of(summary_text(summary_table(selection, "oracle"), **ABOUT))
    assert rows["fields"][2:4] == ["-", "1.000"]
    assert rows["kmeans"][2:4] == ["7000/500/20", "1.000"]


def test_a_run_may_have_no_patches_at_all(tmp_path):
    selection = selection_table({("unseen", "fields"): estimates("fields", {})})
    text = summary_text(summary_table(selection, "oracle"), **ABOUT)
    assert rows_of(text)["fields"][2:4] == ["-", "1.000"]
    assert "patches ()" not in text
    table = configuration_table({})
    assert table.empty
    for name in ("table.csv", "table.parquet"):
        write_table(tmp_path / name, table)
        again = read_table(tmp_path / name)
        assert list(again.columns) == list(table.columns)
        assert {"method", "region", "configuration", "r_upper68"} <= set(again)


def test_all_configurations_have_their_method_and_region():
    grid = pd.DataFrame({key: [0.0] for key in configuration_table({})})
    grid = grid.drop(columns=["method", "region"]).assign(**COUNTS)
    table = configuration_table({("kmeans", region): grid for region in ("hi", "low")})
    assert list(table["region"]) == ["hi", "low"]
    assert list(table.columns[3:6]) == list(COUNTS)
    np.testing.assert_array_equal(table[list(COUNTS)], 2 * [[*COUNTS.values()]])


def moment_test(probabilities, moment=-0.1):
    """Tests of one sky's realisations: of a curvature, and of all moments."""
    rows = [
        {
            "realization": number,
            "region": COMBINED,
            "parameter": name,
            "with_parameter": name,
            "moment": moment if name != "all" else np.nan,
            "error": 0.02 if name != "all" else np.nan,
            "chi2": 1.0,
            "probability": probability,
        }
        for number, probability in enumerate(probabilities)
        for name in ("beta_dust", "beta_synch", "all")
    ]
    return pd.DataFrame(rows)


def test_skies_that_the_model_does_not_describe_are_told():
    tests = [
        ("curved", "fields", moment_test([0.001, 0.2, 0.01])),
        ("curved", "fields", moment_test([0.03, 0.5, 0.6])),
        ("simple", "fields", moment_test([0.04] + [0.5] * 19, 0.0)),
    ]
    table = model_table(tests)
    rows = table[table["parameter"] == "all"].set_index("set")
    assert list(rows["n_unlikely"]) == [3, 1] and list(rows["n_observations"]) == [6, 20]
    # Binomial tails: 3 or more of 6, 1 or more of 20, each with probability 0.05.
    np.testing.assert_allclose(rows["by_chance"], [0.0022298, 0.6415141], rtol=1e-4)
    (warning,) = model_warnings(table)
    assert warning.startswith(
        "curved, fields: the data ask for more than the spectral model in 3 of 6"
    )
    assert "of beta_dust of -0.1 +- 0.02" in warning


def test_one_observation_is_enough_for_a_warning(selection, tmp_path):
    warnings = model_warnings(model_table([("training", "fields", moment_test([0.01]))]))
    text = summary_text(summary_table(selection, "oracle"), **ABOUT, warnings=warnings)
    assert (
        "\nWARNING: training, fields: the data ask for more than the spectral model in 1 of 1"
        in text
    )
    assert warnings_of(tmp_path / "summary.txt") == []
    (tmp_path / "summary.txt").write_text(text, encoding="utf-8")
    assert warnings_of(tmp_path / "summary.txt") == warnings
    assert model_warnings(model_table([("training", "fields", moment_test([0.06]))])) == []


def test_an_alarm_of_what_the_fit_leaves_names_band_and_multipoles():
    """Of three kinds of joint tests, which raise an alarm together as seldom as one."""
    rows = [
        ("gain", "140GHZ", 0.001, 0.01, 0.9),
        (ANY, ANY, np.nan, np.nan, 0.9),
        (CHI2, "140GHZ", 0.01, 0.02, 0.5),
        (CHI2, "140GHZ ell 8-15", 0.4, 0.08, 1e-6),
        (CHI2, ANY, np.nan, np.nan, 1e-4),
        ("beta_dust", "beta_dust", 0.01, 0.02, 0.5),
        ("all", "all", np.nan, np.nan, 0.5),
    ]
    columns = ["parameter", "with_parameter", "moment", "error", "probability"]
    test = pd.DataFrame(rows, columns=columns).assign(region=COMBINED)
    quiet = test.assign(probability=0.5)

    def observations(*tables):
        return pd.concat(one.assign(realization=number) for number, one in enumerate(tables))

    in_two = observations(test, quiet, test)
    (warning,) = model_warnings(model_table([("unseen", "fields", in_two)]))
    assert "in 2 of 3 observations" in warning
    assert "a relative excess of chi2 in 140GHZ at ell = 8-15 of 0.4 +- 0.08" in warning
    # An alarm in one of three observations is not seldom.
    in_one = observations(test, quiet, quiet)
    assert model_warnings(model_table([("unseen", "fields", in_one)])) == []


def test_joint_tests_of_an_observation_count_together():
    """A probability of 2 % in one of three is none below 5 % of all."""
    rows = [
        ("beta_dust", "beta_dust", 0.2),
        ("all", "all", 0.02),
        (ANY, ANY, 0.5),
        (CHI2, ANY, 0.5),
    ]
    test = pd.DataFrame(rows, columns=["parameter", "with_parameter", "probability"])
    test = test.assign(region=COMBINED, realization=0, moment=0.1, error=0.1)
    table = model_table([("unseen", "fields", test), ("unseen", "fields", test)])
    (alarm,) = table[table["parameter"] == "alarm"].to_dict("records")
    assert (alarm["n_unlikely"], alarm["n_observations"]) == (0, 2)
    surely = test.assign(probability=[0.2, 0.016, 0.5, 0.5])
    table = model_table([("unseen", "fields", surely), ("unseen", "fields", test)])
    (alarm,) = table[table["parameter"] == "alarm"].to_dict("records")
    assert (alarm["n_unlikely"], alarm["n_observations"]) == (1, 2)


def test_a_run_without_fields_has_an_empty_table_of_the_model():
    assert model_warnings(model_table([])) == []


def test_columns_of_the_text_do_not_run_together_and_its_end_is_in_words(selection):
    large = selection[:2].assign(method="a_method_with_a_very_long_name")
    large[["r_hat", "sigma_r_plus"]] *= 1e9
    whole = pd.concat([selection, large], ignore_index=True)
    text = summary_text(summary_table(whole, "oracle"), **ABOUT)
    rows = [line.split() for line in text.splitlines() if " hi " in line]
    assert {len(row) for row in rows} == {9}
    (heading,) = {line for line in text.splitlines() if line.startswith("method ")}
    assert len({len(line) for line in text.splitlines() if " hi " in line} | {len(heading)}) == 1
    assert (
        "Cleaned with 3 methods; on the unseen skies fields has the lowest |r_hat - r_in| + "
        "sigma, x 1e3: fields 2.00, kmeans 2.00, a_method_with_a_very_long_name 2000000000.00."
        in text
    )
