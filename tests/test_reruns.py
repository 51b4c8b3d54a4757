"""What runs again when something changes: dry runs over a finished one."""

import re
import shutil

import pytest
from workflows import ROOT, snakemake, tiny

pytestmark = pytest.mark.workflow

METHODS, REGIONS, CHUNKS = 2, 3, 2
FIGURES = ["fig_patches", "fig_parameters", "fig_residual_spectra", "fig_r_likelihoods"]
ENDS = dict.fromkeys(["summarize", *FIGURES], 1)
# From what is fitted to the end, for all methods in all regions.
FROM_FITS = {
    "fit_patches": METHODS * REGIONS * CHUNKS,
    "gather_residuals": METHODS * REGIONS,
    "combine_regions": METHODS,
    "estimate_r": METHODS * (REGIONS + 1),
    **ENDS,
}
# K-means has a choice in one region, so that its combined map depends on r; uniform has none.
FROM_R = {"estimate_r": METHODS * (REGIONS + 1), "combine_regions": 1, **ENDS}
# One region of one method: the shards that have a new configuration or one less.
ONE_REGION = {
    "draw_patches": 1,
    "fit_patches": CHUNKS,
    "gather_residuals": 1,
    "combine_regions": 1,
    "estimate_r": 2,
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


@pytest.fixture
def reruns(finished, clone):
    """Jobs by rule that a dry run of the clone lists with settings changed and files edited."""
    folder, originals = finished[0], {}

    def run(settings=None, files=None):
        changed = tiny()
        for path, value in (settings or {}).items():
            *sections, key = path.split(".")
            section = changed
            for name in sections:
                section = section.setdefault(name, {})
            section[key] = value
            if value is None:
                del section[key]
        for name, (old, new) in (files or {}).items():
            path = (folder if name.startswith("config") else clone) / name
            originals[path] = path.read_text()
            assert old in originals[path]
            path.write_text(originals[path].replace(old, new))
        options = ("--snakefile", clone / "Snakefile", "--dry-run", "--quiet", "host", "reason")
        printed = snakemake(folder, changed, *options)
        jobs = re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE)
        return {rule: int(count) for rule, count in jobs if rule not in ("all", "total")}

    yield run
    for path, text in originals.items():
        path.write_text(text)


def test_a_fresh_clone_runs_nothing_again(reruns):
    assert reruns() == {}


PATCHES = "methods.kmeans.patches"
PACKAGE = "workflow/patchsep"
LITEBIRD = "config/instruments/litebird.yaml"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"figures": {"font_size": 12}}, dict.fromkeys([*FIGURES, "fig_regions"], 1)),
        ({"likelihood.r_grid.n_points": 501}, FROM_R),
        ({"likelihood.templates": "published"}, FROM_R),
        # Another number of patches, one more to choose from, one less.
        ({f"{PATCHES}.mid.beta_dust": 8}, ONE_REGION),
        ({f"{PATCHES}.hi.beta_dust": [4, 16, 32]}, ONE_REGION),
        ({f"{PATCHES}.hi.beta_dust": 16}, ONE_REGION),
        ({"methods.uniform": None}, ENDS),
        ({"methods.other": {"strategy": "uniform"}},
         {"draw_patches": 3, "fit_patches": 6, "gather_residuals": 3, "combine_regions": 1,
          "estimate_r": 4, **ENDS}),
        # Chunks of two.
        ({"noise.realizations": 5}, FROM_FITS | {"fit_patches": METHODS * REGIONS}),
        ({"noise.realizations": 2}, {key: FROM_FITS[key] for key in FROM_FITS if key[:3] != "fit"}),
        ({"noise.seed": 9}, FROM_FITS),
        ({"cmb.seed": 5}, FROM_FITS | {"simulate_cmb": 1}),
        ({"fit.tolerance": 1e-4}, FROM_FITS),
        ({"fit.memory": 1.0}, {}),
        ({"foregrounds.seed": 7},
         FROM_FITS | {"simulate_foregrounds": 1, "draw_regions": 1, "fig_regions": 1,
                      "draw_patches": METHODS * REGIONS}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)  # fmt: skip
def test_a_changed_setting_runs_again_what_depends_on_it(reruns, settings, expected):
    assert reruns(settings) == expected


@pytest.mark.parametrize(
    ("file", "edit", "expected"),
    [
        # No code
        (f"{PACKAGE}/newton.py", ("# An interval grows", "# Grown"), {}),
        (f"{PACKAGE}/newton.py", ('"""The optimiser:', '"""An optimiser:'), {}),
        (f"{PACKAGE}/logs.py", ("level=logging.WARNING", "level=logging.ERROR"), {}),
        # Code
        (f"{PACKAGE}/newton.py", ("MAX_IDLE = 6", "MAX_IDLE = 5"), FROM_FITS),
        (f"{PACKAGE}/noise.py", ("standard_normal", "normal"), FROM_FITS),
        (f"{PACKAGE}/figures.py", ("import", "import os\nimport"),
         dict.fromkeys([*FIGURES, "fig_regions"], 1)),
        (f"{PACKAGE}/cmb.py", ("import", "import os\nimport"),
         FROM_FITS | {"compute_cmb_spectra": 1, "simulate_cmb": 1}),
        ("scripts/summarize.py", ("import", "import os\nimport"), {"summarize": 1}),
        (LITEBIRD, ("37.42", "37.43"),
         FROM_FITS | {"simulate_foregrounds": 1, "draw_regions": 1, "fig_regions": 1,
                      "draw_patches": METHODS * REGIONS}),
    ],
)  # fmt: skip
def test_an_edited_file_runs_again_what_it_computes(reruns, file, edit, expected):
    assert reruns(files={file: edit}) == expected


def test_a_region_more_is_a_new_run_where_all_zones_change(reruns):
    jobs = reruns({"run": "zones", "regions.zones": "north_south"})
    assert jobs["draw_patches"] == METHODS * 6
    assert jobs["estimate_r"] == METHODS * 7
