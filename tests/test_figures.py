"""Figures: what they take from a run, where they would show nothing, and how they are labelled."""

import pickle
import subprocess
import sys

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from figure_plans import SYMBOLS, plan_of
from workflows import ROOT, tiny, with_changes

from patchsep.figures.maps import pipeline_table, plot_pipeline
from patchsep.figures.registry import (
    FIGURES,
    MODULES,
    figure_files,
    figure_methods,
    figure_path,
    figure_problems,
    figure_sets,
    figure_shows,
    module_of,
)
from patchsep.figures.style import patches_of_all, region_title, with_series
from patchsep.running.plan import Plan
from patchsep.running.settings import load_settings


def test_the_registry_imports_no_library_for_drawing_or_computing():
    heavy = "matplotlib jax scipy healpy ducc0 optuna camb pysm3"
    code = (
        f"import sys, patchsep.figures.registry; print(*set(sys.modules) & set('{heavy}'.split()))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_every_figure_has_a_caption_a_row_in_the_readme_and_a_name_of_its_own():
    readme = (ROOT / "docs" / "configuration-studies.md").read_text(encoding="utf-8")
    assert sum(len(module.FIGURES) for module in MODULES) == len(FIGURES)
    for name in FIGURES:
        assert f"\n| `{name}` |" in readme
        assert (ROOT / "workflow" / "report" / f"{name}.rst").is_file()
        assert (ROOT / "workflow" / "patchsep" / "figures" / f"{module_of(name)}.py").is_file()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_takes_files_of_the_run_and_shows_plain_data(name):
    plan = plan_of()
    shown = figure_shows(plan, name)
    assert pickle.loads(pickle.dumps(shown)) == shown
    files = FIGURES[name].inputs(plan, shown)
    paths = [path for one in files.values() for path in ([one] if isinstance(one, str) else one)]
    assert all(path.startswith("results/small/") for path in paths)
    assert len(set(paths)) == len(paths)


def test_a_figure_shows_the_methods_that_it_is_for_or_those_that_are_named():
    assert figure_methods(plan_of(), "parameters") == ["kmeans", "uniform", "binned"]
    assert figure_methods(plan_of(), "kmeans_patches") == ["kmeans"]
    assert figure_methods(plan_of(), "binned_spectra") == ["kmeans", "binned"]
    assert figure_methods(plan_of(), "scans") == ["kmeans"]
    named = plan_of(methods={"scans": ["uniform"]})
    assert figure_methods(named, "scans") == ["uniform"]
    assert figure_shows(named, "scans")["regions"] == [("uniform", "hi"), ("uniform", "low")]


def test_a_figure_shows_the_training_sky_or_the_sets_that_are_named_where_r_is_estimated():
    training = [("training", method) for method in ("kmeans", "uniform", "binned")]
    assert figure_sets(plan_of(), "r_likelihoods") == training
    named = plan_of(sets={"r_likelihoods": ["unseen"]})
    assert figure_shows(named, "r_likelihoods")["sets"] == [("unseen", "kmeans")]
    assert FIGURES["r_likelihoods"].inputs(named, figure_shows(named, "r_likelihoods")) == {
        "estimates": ["results/small/r/sets/unseen/kmeans.csv"],
        "tables": ["results/small/r/sets/unseen/kmeans_curves.parquet"],
    }


def test_figures_of_patches_leave_methods_without_patches_out_and_others_do_not():
    plan = plan_of(templated={"fields": "fields", "binned_template": "template"})
    assert figure_methods(plan, "parameter_spectra") == ["fields"]
    assert "fields" in figure_methods(plan, "parameters")
    for name in ("patches", "scans", "r_and_patches", "patch_classes"):
        assert "fields" not in figure_methods(plan, name)
    known = figure_shows(plan, "template_errors")["known"]
    assert known == [("fields", "fields", 0.5, 3.0), ("binned_template", "template", 0.5, 3.0)]
    shown = figure_shows(plan, "parameter_spectra")
    assert FIGURES["parameter_spectra"].inputs(plan, shown) == {
        "spectra": ["results/small/fields/fields_spectra.csv"],
        "templates": ["results/small/maps/templates_fields.fits"],
        "true": "results/small/maps/spectral_parameters.fits",
        "regions": "results/small/maps/regions.fits",
    }


def test_a_figure_of_every_method_is_as_many_files():
    plan = plan_of(methods={"patch_classes": ["kmeans"]})
    assert figure_path("patch_classes") == "patch_classes/{method}"
    folder = "results/small/figures"
    assert figure_files(plan, "patch_classes") == [
        f"{folder}/patch_classes/kmeans.pdf",
        f"{folder}/patch_classes/kmeans.png",
    ]
    assert figure_files(plan, "scans") == [f"{folder}/scans.pdf", f"{folder}/scans.png"]


def test_without_patches_there_is_no_figure_of_them():
    plan = plan_of()
    plan.patch_methods = []
    assert figure_files(plan, "patches") == figure_files(plan, "parameter_spectra") == []
    assert len(figure_files(plan, "parameters")) == 2


ONE_VALUE = {"methods.kmeans.patches.hi.beta_dust": 16}
THREE_VALUES = {"methods.kmeans.patches.hi.beta_dust": [4, 8, 16]}
NO_CHOICE = "for no method has several configurations to choose from; remove it, or give"


@pytest.mark.parametrize(
    ("figures", "changes", "said"),
    [
        ({"drawn": ["scans", "r_and_patches", "methods", "regions"]}, THREE_VALUES, ""),
        ({"drawn": ["scans"]}, {}, "for no scan of 3 configurations or more is in the grid"),
        ({"drawn": ["scans"]}, ONE_VALUE, NO_CHOICE),
        ({"drawn": ["variance_and_r"]}, ONE_VALUE, NO_CHOICE),
        ({"drawn": ["r_and_patches"]}, ONE_VALUE, NO_CHOICE),
        (
            {"drawn": ["scans"], "methods": {"scans": ["uniform"]}},
            THREE_VALUES,
            "for no scan of 3 configurations or more is in the grid",
        ),
        (
            {"drawn": ["methods"], "sets": {"methods": ["unseen"]},
             "methods": {"methods": ["uniform"]}},
            {"test_sets.unseen.methods": ["kmeans"]},
            "for r of its methods is not estimated on its sets",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("repository")
def test_a_figure_that_would_show_nothing_is_a_problem(figures, changes, said):
    settings = load_settings(with_changes(tiny(), {"figures": figures, **changes}), "tiny.yaml")
    problems = figure_problems(Plan(settings))
    assert len(problems) == bool(said)
    for line in problems:
        assert line.startswith(f"figures.drawn: {figures['drawn'][0]} would show nothing, {said}")


def test_titles_of_regions_are_short_for_latitudes_and_otherwise_their_names():
    titles = {
        "hi": "hi-lat",
        "low_south": "low-lat south",
        "combined": "all regions combined",
        "clean_north": "clean north",
        "low_dust": "low dust",
    }
    assert {region: region_title(region) for region in titles} == titles


def test_labels_have_the_parameters_of_the_model():
    assert patches_of_all(SYMBOLS) == "Patches, all three parameters"
    two = {name: SYMBOLS[name] for name in ("beta_dust", "beta_synch")}
    assert patches_of_all(two) == "Patches, all two parameters"
    table = pipeline_table({}, {"symbols": {"beta_dust": "B", "curvature": "C"}})
    assert "B, C: a grid of configurations" in table.set_index("stage").loc["Patches", "what"]
    plt.close(plot_pipeline(table, {}))


def test_curves_are_named_by_method_and_where_there_are_several_by_set():
    data = pd.DataFrame({"method": ["few_patches", "kmeans"], "set": ["training", "training"]})
    assert list(with_series(data)["series"]) == ["few patches", "kmeans"]
    data["set"] = ["training", "other_sky"]
    assert list(with_series(data)["series"]) == ["few patches, training", "kmeans, other sky"]
