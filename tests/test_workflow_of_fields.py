"""Whole runs of a tiny configuration with methods of fields: tables, figures, and what reruns."""

import re
import shutil
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from workflows import are_drawn, jobs_of, snakemake, tiny, with_changes

pytestmark = pytest.mark.workflow

# With two methods of fields, in figures with r, or with maps, of all methods.
FIELDS = {
    "methods.fields": {"strategy": "fields"},
    "methods.templated": {
        "strategy": "fields",
        "maps": {"temp_dust": "true"},
        "errors": {"temp_dust": 0.5},
    },
    "fields": {"lmax": 7},
    "figures": {
        "drawn": [
            "patches",
            "parameters",
            "parameter_spectra",
            "distributions",
            "residual_spectra",
            "r_likelihoods",
            "methods",
            "template_errors",
            "model_tests",
        ],
    },
}


@pytest.fixture(scope="module")
def with_fields(finished, tmp_path_factory):
    """The folder of a run that has methods of fields besides."""
    folder = tmp_path_factory.mktemp("fields") / "fields"
    shutil.copytree(finished[0], folder)
    snakemake(folder, with_changes(tiny(), deepcopy(FIELDS)))
    return folder


def test_fields_are_methods_like_any(with_fields):
    results = with_fields / "results" / "tiny"
    summary = pd.read_csv(results / "tables" / "summary.csv")
    assert set(summary["method"]) == {"kmeans", "uniform", "fields", "templated"}
    assert np.isfinite(summary["r_upper68"]).all()
    without = summary["method"].isin(["fields", "templated"])
    counts = summary.filter(like="n_patches")
    assert counts[without].isna().all(axis=None) and counts[~without].notna().all(axis=None)
    for name in ("tables/summary.csv", "tables/selection.csv", "figures/methods.csv"):
        rows = [line for line in (results / name).read_text().splitlines() if "uniform" in line]
        assert not [row for row in rows if ",1.0,1.0,1.0," in row or ",3.0,3.0,3.0," in row]
    text = (results / "tables" / "summary.txt").read_text()
    assert re.search(r"^fields +hi +- ", text, flags=re.MULTILINE)
    # No grid is fitted for them.
    grid = pd.read_csv(results / "tables" / "configurations.csv")
    assert set(grid["method"]) == {"kmeans"}
    assert not (results / "fits" / "fields").exists()
    # All regions have the fit of one sky.
    table = pd.read_parquet(results / "residuals" / "fields_cleaned.parquet")
    assert list(table["region"].unique()) == ["hi", "mid", "low", "combined"]
    assert table.groupby("realization")["nll"].nunique().eq(1).all()


def test_figures_show_methods_with_and_without_patches(with_fields):
    results = with_fields / "results" / "tiny"
    are_drawn(FIELDS["figures"]["drawn"], results)
    figures = results / "figures"
    for name in ("residual_spectra", "r_likelihoods", "distributions", "methods"):
        shown = pd.read_csv(figures / f"{name}.csv")["method"]
        assert set(shown) == {"kmeans", "uniform", "fields", "templated"}
    patches = pd.read_parquet(figures / "patches.parquet")
    assert {name.split(".")[0] for name in patches} == {"kmeans", "uniform"}
    parameters = pd.read_parquet(figures / "parameters.parquet")
    assert {name.split(".")[0] for name in parameters} >= {"true", "kmeans", "fields", "templated"}
    errors = pd.read_csv(figures / "template_errors.csv").set_index("method")
    assert errors["error"].dropna().to_dict() == {"templated": 0.5}
    spectra = pd.read_csv(figures / "parameter_spectra.csv")
    own = spectra.set_index(["method", "parameter", "ell_min"])
    assert own[["power", "error", "expected", "prior", "true"]].notna().all(axis=None)
    # The field of a method with a template is what the template lacks.
    true = own["true"].unstack("method")
    assert (true.loc["temp_dust", "fields"] != true.loc["temp_dust", "templated"]).all()
    assert (true.loc["beta_dust", "fields"] == true.loc["beta_dust", "templated"]).all()


# Figures that show all methods.
OF_METHODS = dict.fromkeys(
    [f"fig_{name}" for name in FIELDS["figures"]["drawn"] if name != "patches"], 1
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        ({"methods.fields.parameters": {"temp_dust": "value"}},
         {"clean_sky_with_fields": 3, "estimate_r_of_set": 2, "summarize": 1, **OF_METHODS}),
        ({"methods.templated.errors.temp_dust": 1.0},
         {"prepare_templates": 3, "clean_sky_with_fields": 3, "estimate_r_of_set": 2,
          "summarize": 1, **OF_METHODS}),
        ({"fields.lmax": 5},
         {"clean_sky_with_fields": 6, "estimate_r_of_set": 4, "summarize": 1, **OF_METHODS}),
        # The other method's figures but those of fields.
        ({"methods.kmeans.patches.mid.beta_dust": 8},
         {"draw_patches": 1, "fit_patches": 2, "gather_residuals": 1,
          "estimate_r_of_configurations": 1, "select_configurations": 1, "clean_sky": 3,
          "estimate_r_of_set": 2, "summarize": 1, "fig_patches": 1,
          **{name: 1 for name in OF_METHODS if name != "fig_parameter_spectra"}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)  # fmt: skip
def test_a_changed_setting_of_fields_runs_again_what_depends_on_it(with_fields, settings, expected):
    changed = with_changes(with_changes(tiny(), deepcopy(FIELDS)), settings)
    printed = snakemake(with_fields, changed, "--dry-run", "--quiet", "host", "reason")
    assert jobs_of(printed) == expected
