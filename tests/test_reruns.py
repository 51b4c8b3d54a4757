"""What runs again: dry runs over a finished run, with settings changed and files edited."""

import shutil

import pytest
from workflows import (
    FIGURES,
    GRIDS,
    METHODS,
    REGIONS,
    REMOVED,
    ROOT,
    SHARDS,
    jobs_of,
    new_folder,
    snakemake,
    tiny,
    with_changes,
)

pytestmark = pytest.mark.workflow

R_OF_GRID, R_OF_SET = "estimate_r_of_configurations", "estimate_r_of_set"
# The training sky, and two skies of one test set.
SKIES, SETS = 3, 2
DRAWN = [f"fig_{name}" for name in FIGURES if name != "regions"]
ENDS = dict.fromkeys(["summarize", *DRAWN], 1)
# Figures of r of sets.
OF_R = dict.fromkeys(["fig_residual_spectra", "fig_r_likelihoods", "fig_selection"], 1)
# K-means has a choice in one region, so that what is selected depends on r; uniform has none.
SELECTED = {"select_configurations": 1, "clean_sky": SKIES, R_OF_SET: SETS}
# The fits to the training sky, from noise or CMB to the end; r of uniform is new there only.
FROM_FITS = {
    "fit_patches": GRIDS * REGIONS * SHARDS,
    "gather_residuals": GRIDS * REGIONS,
    R_OF_GRID: GRIDS * REGIONS,
    "select_configurations": 1,
    "clean_sky": SKIES + 1,
    R_OF_SET: SETS + 1,
    **ENDS,
}
# All fits, on all skies.
ALL_FITS = FROM_FITS | {"clean_sky": METHODS * SKIES, R_OF_SET: METHODS * SETS}
FROM_R = {
    R_OF_GRID: GRIDS * REGIONS,
    **SELECTED,
    R_OF_SET: METHODS * SETS,
    **ENDS,
}
# The theory spectra of every region and of all together.
BINNED = {"bin_theory": REGIONS + 1}
# One region of one method: the shards that have a new configuration or one less.
ONE_REGION = {
    "draw_patches": 1,
    "fit_patches": SHARDS,
    "gather_residuals": 1,
    R_OF_GRID: 1,
    **SELECTED,
    **ENDS,
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A fresh clone: the same code, all time stamps new."""
    folder = tmp_path_factory.mktemp("clone") / "patchsep"
    shutil.copytree(
        ROOT / "workflow", folder / "workflow", symlinks=True, copy_function=shutil.copy
    )
    shutil.copytree(ROOT / "scripts", folder / "scripts", copy_function=shutil.copy)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "profiles").symlink_to("workflow/profiles")
    return folder


@pytest.fixture(scope="module")
def copied(finished, tmp_path_factory):
    """A copy of the finished run, whose files may be edited."""
    folder = tmp_path_factory.mktemp("reruns") / "copied"
    shutil.copytree(finished[0], folder)
    return folder


@pytest.fixture
def reruns(copied, clone):
    """Jobs by rule that a dry run of the clone lists with settings changed and files edited."""
    folder, originals = copied, {}

    def run(settings=None, files=None):
        changed = with_changes(tiny(), settings or {})
        for name, (old, new) in (files or {}).items():
            path = (folder if name == INSTRUMENT else clone) / name
            originals[path] = path.read_text()
            assert old in originals[path]
            path.write_text(originals[path].replace(old, new))
        options = ("--snakefile", clone / "Snakefile", "--dry-run", "--quiet", "host", "reason")
        printed = snakemake(folder, changed, *options)
        return jobs_of(printed)

    yield run
    for path, text in originals.items():
        path.write_text(text)


def test_a_fresh_clone_runs_nothing_again(reruns):
    assert reruns() == {}


PATCHES = "methods.kmeans.patches"
PACKAGE = "workflow/patchsep"
INSTRUMENT = "tests/seven_bands.yaml"


# What needs selected configurations on mock skies of every sky.
WITH_MOCKS = {
    "fit_foreground_model": SKIES,
    "clean_sky": METHODS * SKIES,
    R_OF_SET: METHODS * SETS,
    **ENDS,
}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"figures": {"font_size": 12}}, dict.fromkeys([*DRAWN, "fig_regions"], 1)),
        ({"figures.methods": {"r_likelihoods": ["kmeans"]}}, {"fig_r_likelihoods": 1}),
        ({"figures.drawn": ["regions", "r_and_patches"]}, {"fig_r_and_patches": 1}),
        ({"likelihood.r_grid.n_points": 501}, FROM_R),
        ({"likelihood.theory": "published"}, FROM_R | BINNED),
        # The selection is as it was.
        ({"likelihood.theory": ["consistent", "published"]},
         BINNED | {R_OF_SET: METHODS * SETS, "summarize": 1, **OF_R}),
        ({"spectra.estimator": "pure"}, ALL_FITS | BINNED),
        # Another number of patches, one more to choose from, one less.
        ({f"{PATCHES}.mid.beta_dust": 8}, ONE_REGION),
        ({f"{PATCHES}.hi.beta_dust": [4, 16, 32]}, ONE_REGION),
        # Nothing is left to choose, and no grid.
        ({f"{PATCHES}.hi.beta_dust": 16}, SELECTED | ENDS),
        ({"methods.uniform": REMOVED}, ENDS),
        ({"methods.other": {"strategy": "uniform"}},
SELECTED | ENDS),
        # Shards of two.
        ({"noise.realizations": 5}, FROM_FITS | {"fit_patches": GRIDS * REGIONS}),
        ({"noise.realizations": 2}, {key: FROM_FITS[key] for key in FROM_FITS if key[:3] != "fit"}),
        ({"noise.seed": 9}, FROM_FITS),
        ({"cmb.seed": 5}, FROM_FITS | {"simulate_cmb": 1}),
        ({"fit.tolerance": 1e-4}, ALL_FITS),
        ({"fit.memory": 1.0}, {}),
        ({"selection.criteria": ["variance", "oracle"]},
         {"select_configurations": METHODS, "clean_sky": METHODS * SKIES,
          R_OF_SET: METHODS * SETS, **ENDS}),
        # One method has a choice in one region: two skies of five shards there.
        ({"selection.criteria": ["oracle", "mocks"], "mocks.skies": 2},
         {"fit_foreground_model": 1, "draw_mock": 2, "fit_patches": 10, "gather_residuals": 2,
          R_OF_GRID: 3, "select_configurations": METHODS, "clean_sky": METHODS * SKIES,
          R_OF_SET: METHODS * SETS, **ENDS}),
        ({"spectra.pixel_weights": ["uniform", "inverse_variance"]}, WITH_MOCKS),
        ({"likelihood.foreground_residual": ["neglected", "marginalised"]}, WITH_MOCKS),
        ({"likelihood.statistical": "subtraction"}, FROM_R),
        ({"test_sets.unseen.realizations": 3},
         {"clean_sky": METHODS * (SKIES - 1), R_OF_SET: METHODS, "summarize": 1,
          "fig_selection": 1}),
        ({"test_sets": REMOVED}, {"summarize": 1, "fig_selection": 1}),
        ({"test_sets.unseen.r": 0.003},
         {"simulate_cmb": SKIES - 1, "clean_sky": METHODS * (SKIES - 1), R_OF_SET: METHODS,
          "summarize": 1, "fig_selection": 1}),
        ({"likelihood.bootstrap.seed": 1}, {R_OF_SET: METHODS * SETS, "summarize": 1, **OF_R}),
        ({"foregrounds.seed": 8},
         ALL_FITS | BINNED | {"simulate_foregrounds": 1, "draw_regions": 1, "fig_regions": 1,
                      "draw_patches": GRIDS * REGIONS}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)  # fmt: skip
def test_a_changed_setting_runs_again_what_depends_on_it(reruns, settings, expected):
    assert reruns(settings) == expected


@pytest.mark.parametrize(
    ("file", "edit", "expected"),
    [
        # No code
        (f"{PACKAGE}/separation/newton.py", ("# An interval grows", "# Grown"), {}),
        (f"{PACKAGE}/separation/newton.py", ('"""The optimiser:', '"""An optimiser:'), {}),
        (f"{PACKAGE}/running/jobs.py", ("level=logging.WARNING", "level=logging.ERROR"), {}),
        # Code
        (f"{PACKAGE}/separation/newton.py", ("MAX_IDLE = 6", "MAX_IDLE = 5"), ALL_FITS),
        (f"{PACKAGE}/instrument/noise.py", ("standard_normal", "normal"), ALL_FITS),
        (f"{PACKAGE}/figures/style.py", ("FULL_WIDTH = 7.1", "FULL_WIDTH = 7.2"),
         dict.fromkeys([*DRAWN, "fig_regions"], 1)),
        (f"{PACKAGE}/sky/cmb.py", ("import", "import os\nimport"),
         ALL_FITS | BINNED | {"compute_cmb_spectra": 1, "simulate_cmb": SKIES}),
        ("scripts/summarize.py", ("def main", "import os\n\n\ndef main"),
         {"summarize": 1, "fig_selection": 1}),
        (INSTRUMENT, ("24.94", "24.95"),
         ALL_FITS | BINNED | {"simulate_foregrounds": 2, "draw_regions": 1, "fig_regions": 1,
                      "draw_patches": GRIDS * REGIONS}),
    ],
)  # fmt: skip
def test_an_edited_file_runs_again_what_it_computes(reruns, file, edit, expected):
    assert reruns(files={file: edit}) == expected


@pytest.fixture
def moved(finished, tmp_path):
    """A run whose results were copied to another folder: what a dry run lists there, and prints."""
    folder = new_folder(tmp_path, "moved")
    shutil.copytree(finished[0] / "results", folder / "results")

    def run(settings=None):
        printed = snakemake(folder, with_changes(tiny(), settings or {}), "--dry-run")
        return jobs_of(printed), printed

    return run


@pytest.mark.parametrize("key", ["noise.seed", "nside", f"{PATCHES}.low.beta_dust"])
def test_what_made_results_is_known_where_they_are_copied_to(moved, reruns, key):
    assert moved()[0] == {}
    jobs = moved({key: 4})[0]
    assert jobs
    assert jobs == reruns({key: 4})


def test_results_of_which_nothing_tells_what_made_them_are_named(moved, tmp_path):
    (tmp_path / "moved/results/tiny/provenance.json.gz").unlink()
    assert "nothing tells what made " in moved({"noise.seed": 9})[1]


def test_a_run_may_have_no_test_sets(reruns):
    jobs = reruns({"run": "alone", "test_sets": REMOVED})
    assert jobs["simulate_cmb"] == jobs["simulate_foregrounds"] == 1
    assert jobs["clean_sky"] == jobs[R_OF_SET] == METHODS


def test_regions_may_be_hemispheres_of_rings(reruns):
    jobs = reruns({"run": "halves", "regions.split_hemispheres": True})
    assert jobs["draw_patches"] == GRIDS * 6
    assert jobs[R_OF_GRID] == GRIDS * 6
