"""The workflow as a user runs it: whole runs of a tiny configuration, and what reruns."""

import re

import healpy as hp
import numpy as np
import pandas as pd
import pytest
from workflows import new_folder, snakemake, tiny

from patchsep.shards import status

pytestmark = pytest.mark.workflow

FIGURES = ("regions", "patches", "parameters", "residual_spectra", "r_likelihoods")


def test_a_run_ends_with_the_table_of_r_and_the_place_of_figures(finished):
    table = finished[1].split("patchsep run 'tiny'")[1]
    for word in ("kmeans", "uniform", "combined", "r_upper68", "results/tiny/figures/"):
        assert word in table


def test_summary_has_a_row_per_method_and_region(results):
    summary = pd.read_csv(results / "tables" / "summary.csv")
    expected = [(m, r) for m in ("kmeans", "uniform") for r in ("hi", "mid", "low", "combined")]
    assert list(zip(summary["method"], summary["region"])) == expected
    assert (summary["n_realizations"] == 4).all()
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
    assert len(fits) == 2 * 3 * 2
    assert all("configurations" in log.read_text() for log in fits)


def test_every_fit_is_kept_with_its_spectra(results):
    kept = results / "fits" / "kmeans" / "hi" / "realizations-00000-00001" / "configurations"
    assert {path.stem for path in kept.iterdir()} == {"4-2-2", "16-2-2"}
    table = pd.read_parquet(kept / "16-2-2.parquet")
    assert list(table["realization"]) == [-1, 0, 1]
    assert {len(spectrum) for spectrum in table["total"][1:]} == {2 * 8}


def test_figures_are_written_as_pdf_and_png(results):
    for name in FIGURES:
        stem = results / "figures" / name
        assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_same_configuration_gives_identical_tables(finished, results):
    again = new_folder(finished[0].parent, "second")
    snakemake(again, tiny(), "summarize")
    for table in ("summary.csv", "configurations.csv"):
        other = again / "results" / "tiny" / "tables" / table
        assert (results / "tables" / table).read_bytes() == other.read_bytes()


def test_one_figure_makes_only_what_it_needs(tmp_path):
    folder = new_folder(tmp_path, "figure")
    printed = snakemake(folder, tiny(), "fig_regions")
    done = set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", printed))
    assert done == {"simulate_foregrounds", "draw_regions", "fig_regions"}


def test_status_counts_shards_and_fits(results):
    lines = status(results / "logs" / "fit_patches").splitlines()
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in lines[1:-1]}
    assert list(rows) == [(m, r) for m in ("kmeans", "uniform") for r in ("hi", "mid", "low")]
    # Two chunks of two realisations and the foregrounds, two configurations.
    assert rows["kmeans", "hi"] == ["2", "2", "0", "0", "12", "12", "0.0", "0", "0", "s"]
    assert rows["uniform", "low"][4:6] == ["6", "6"]
