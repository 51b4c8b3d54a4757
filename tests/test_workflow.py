"""The workflow as a user runs it: whole runs of a tiny configuration, and what reruns."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.workflow

FIGURES = {
    "fig_regions",
    "fig_patches",
    "fig_parameters",
    "fig_residual_spectra",
    "fig_r_likelihoods",
}


def snakemake(folder, settings, *options):
    """Run Snakemake in `folder` with `settings`; returns what it printed."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    done = subprocess.run(
        [*command, *options, "--cores", "2", "--configfile", "tiny.yaml"],
        cwd=folder,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "jax")},
        capture_output=True,
        text=True,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    return printed


def settings():
    return yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())


def new_folder(parent, name):
    folder = parent / name
    shutil.copytree(ROOT / "config" / "instruments", folder / "config" / "instruments")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run, and what the run printed."""
    folder = new_folder(tmp_path_factory.mktemp("workflow"), "first")
    return folder, snakemake(folder, settings())


@pytest.fixture(scope="session")
def results(finished):
    return finished[0] / "results" / "tiny"


def test_a_run_ends_with_the_table_of_r_and_the_place_of_figures(finished):
    table = finished[1].split("patchsep run 'tiny'")[1]
    for word in ("kmeans", "uniform", "combined", "r_upper68", "results/tiny/figures/"):
        assert word in table


def test_summary_has_a_row_per_method_and_region(results):
    summary = pd.read_csv(results / "tables" / "summary.csv")
    expected = [(m, r) for m in ("kmeans", "uniform") for r in ("hi", "mid", "low", "combined")]
    assert list(zip(summary["method"], summary["region"])) == expected
    assert (summary["n_realizations"] == 3).all()
    np.testing.assert_allclose(summary["r_upper68"], summary["r_hat"] + summary["sigma_r_plus"])
    np.testing.assert_array_equal(
        summary.to_numpy(), pd.read_parquet(results / "tables" / "summary.parquet").to_numpy()
    )


def test_best_configuration_of_the_grid_is_kept(results):
    everything = pd.read_csv(results / "tables" / "configurations.csv")
    grid = everything.query("method == 'kmeans' and region == 'hi'")
    assert list(grid["configuration"]) == ["4-2-2", "16-2-2"]
    best = grid.loc[grid["r_upper68"].idxmin(), "configuration"]
    summary = pd.read_csv(results / "tables" / "summary.csv").set_index(["method", "region"])
    assert summary.loc[("kmeans", "hi"), "configuration"] == best
    assert summary.loc[("kmeans", "combined"), "configuration"].split(" + ")[0] == best


def test_maps_open_in_healpy_with_units_and_coordinates(results):
    cmb, header = hp.read_map(results / "maps" / "cmb.fits", field=(0, 1), h=True)
    header = dict(header)
    assert cmb.shape == (2, hp.nside2npix(8))
    assert header["ORDERING"] == "RING"
    assert header["COORDSYS"] == "G"
    assert header["POLCCONV"] == "COSMO"
    assert header["TUNIT1"] == "uK_CMB"
    recovered = hp.read_map(results / "maps" / "recovered_kmeans.fits", field=0)
    regions = hp.read_map(results / "maps" / "regions.fits", dtype=int)
    np.testing.assert_array_equal(recovered == hp.UNSEEN, regions == 0)


def test_every_job_leaves_a_log(results):
    fits = list((results / "logs" / "fit_patches").rglob("*.log"))
    assert len(fits) == 2 * 3 * 3
    assert all("configurations" in log.read_text() for log in fits)


def test_figures_are_written_as_pdf_and_png(results):
    for name in FIGURES:
        stem = results / "figures" / name.removeprefix("fig_")
        assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_same_configuration_gives_identical_tables(finished, results):
    again = new_folder(finished[0].parent, "second")
    snakemake(again, settings(), "summarize")
    for table in ("summary.csv", "configurations.csv"):
        other = again / "results" / "tiny" / "tables" / table
        assert (results / "tables" / table).read_bytes() == other.read_bytes()


def reruns(finished, change):
    """Jobs, by rule, that a dry run lists once the settings are changed."""
    changed = settings()
    change(changed)
    printed = snakemake(finished[0], changed, "--dry-run", "--quiet", "host", "reason")
    jobs = re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in jobs if rule not in ("all", "total")}


def one_each(rules):
    return dict.fromkeys(rules, 1)


def test_nothing_reruns_when_nothing_changed(finished):
    assert reruns(finished, lambda settings: None) == {}


def test_figure_style_redraws_figures_only(finished):
    def change(settings):
        settings["figures"] = {"font_size": 12}

    assert reruns(finished, change) == one_each(FIGURES)


def test_r_grid_reruns_estimates_of_r_and_what_is_chosen_by_them(finished):
    def change(settings):
        settings["likelihood"] = {"r_grid": {"n_points": 501}}

    # K-means has a choice in hi, so its combined map depends on r; uniform has none.
    assert reruns(finished, change) == {
        "estimate_r": 2 * 4,
        "combine_regions": 1,
        "summarize": 1,
        **one_each(FIGURES - {"fig_regions"}),
    }


def test_r_grid_leaves_maps_alone_where_there_is_no_choice(finished):
    def change(settings):
        settings["likelihood"] = {"r_grid": {"n_points": 501}}
        settings["methods"].pop("kmeans")

    jobs = reruns(finished, change)
    assert jobs["estimate_r"] == 4
    assert "combine_regions" not in jobs


def test_a_number_of_patches_reruns_its_method_and_region_only(finished):
    def change(settings):
        settings["methods"]["kmeans"]["patches"]["mid"]["beta_dust"] = 8

    assert reruns(finished, change) == {
        "draw_patches": 1,
        "fit_patches": 3,
        "measure_residuals": 1,
        "combine_regions": 1,
        "estimate_r": 2,
        "summarize": 1,
        **one_each(FIGURES - {"fig_regions"}),
    }


def test_cmb_seed_leaves_foregrounds_regions_patches_and_systematic_fits(finished):
    def change(settings):
        settings["cmb"]["seed"] = 5

    assert reruns(finished, change) == {
        "simulate_cmb": 1,
        "fit_patches": 2 * 3 * 2,
        "measure_residuals": 2 * 3,
        "combine_regions": 2,
        "estimate_r": 2 * 4,
        "summarize": 1,
        **one_each(FIGURES - {"fig_regions"}),
    }


def test_more_realizations_leave_full_shards(finished):
    def change(settings):
        settings["noise"]["realizations"] = 4

    # Shards of two: 0-1 is complete, 2 becomes 2-3.
    assert reruns(finished, change)["fit_patches"] == 2 * 3


def test_foreground_seed_leaves_the_cmb(finished):
    def change(settings):
        settings["foregrounds"]["seed"] = 7

    jobs = reruns(finished, change)
    assert not {"simulate_cmb", "compute_cmb_spectra"} & set(jobs)
    assert jobs["draw_regions"] == 1
    assert jobs["fit_patches"] == 2 * 3 * 3


def test_one_figure_makes_only_what_it_needs(tmp_path):
    folder = new_folder(tmp_path, "figure")
    printed = snakemake(folder, settings(), "fig_regions")
    done = set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", printed))
    assert done == {"simulate_foregrounds", "draw_regions", "fig_regions"}


def test_six_zones_and_a_new_name_are_a_new_run(finished):
    def change(settings):
        settings["run"] = "zones"
        settings["regions"]["zones"] = "north_south"

    jobs = reruns(finished, change)
    assert jobs["draw_patches"] == 2 * 6
    assert jobs["estimate_r"] == 2 * 7
