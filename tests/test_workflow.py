"""The workflow as a user runs it: whole runs of a tiny configuration, and what reruns."""

import re
import shutil
from itertools import combinations, pairwise
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd
import pytest
import yaml
from workflows import (
    FIGURES,
    GRIDS,
    REGIONS,
    SHARDS,
    are_drawn,
    new_folder,
    snakemake,
    tiny,
    with_changes,
)

from patchsep.files.maps import read_maps
from patchsep.running.status import status

pytestmark = pytest.mark.workflow


def test_a_run_ends_with_the_table_of_r_and_the_place_of_figures(finished):
    table = finished[1].split("patchsep run 'tiny': r x 1e3")[1]
    for word in ("kmeans", "uniform", "combined", "r_upper68", "results/tiny/figures/"):
        assert word in table


def test_summary_has_a_row_per_method_and_region(results):
    summary = pd.read_csv(results / "tables" / "summary.csv")
    regions, methods = ("hi", "mid", "low", "combined"), ("kmeans", "uniform")
    expected = [(s, m, r) for s in ("training", "unseen") for m in methods for r in regions]
    assert list(zip(summary["set"], summary["method"], summary["region"])) == expected
    # Of one sky, or of two skies of two.
    assert (summary["n_realizations"] == 4).all()
    assert list(summary["n_skies"]) == 8 * [1] + 8 * [2]
    np.testing.assert_allclose(summary["r_upper68"], summary["r_hat"] + summary["sigma_r_plus"])
    np.testing.assert_array_equal(
        summary.to_numpy(), pd.read_parquet(results / "tables" / "summary.parquet").to_numpy()
    )


def test_best_configuration_of_the_grid_is_kept(results):
    everything = pd.read_csv(results / "tables" / "configurations.csv")
    grid = everything.query("method == 'kmeans' and region == 'hi'")
    assert list(grid["configuration"]) == ["4-2-2", "16-2-2"]
    best = grid.loc[grid["r_upper68"].idxmin(), "configuration"]
    summary = pd.read_csv(results / "tables" / "summary.csv")
    selected = summary.set_index(["set", "method", "region"])["configuration"]
    for name in ("training", "unseen"):
        assert selected[name, "kmeans", "hi"] == best
        assert selected[name, "kmeans", "combined"].split(" + ")[0] == best


def test_every_criterion_selects_and_is_tested_on_every_set(results):
    table = pd.read_csv(results / "tables" / "selection.csv")
    assert set(table["criterion"]) == {"oracle", "variance", "aic", "evidence"}
    assert (table.groupby(["set", "method", "region"])["criterion"].nunique() == 4).all()
    everything = pd.read_csv(results / "tables" / "configurations.csv")
    grid = everything.query("method == 'kmeans' and region == 'hi'").set_index("configuration")
    selected = table.query("set == 'unseen' and region == 'hi' and method == 'kmeans'")
    for criterion, name in zip(selected["criterion"], selected["configuration"]):
        column = "r_upper68" if criterion == "oracle" else criterion
        assert name == grid[column].idxmin()


def test_on_the_training_sky_r_of_what_is_selected_is_that_of_the_grid(results):
    """Two ways to the same number: shards and their averages, and what is selected fitted again."""
    keys = ["method", "region", "configuration"]
    grid = pd.read_csv(results / "tables" / "configurations.csv").set_index(keys)
    selected = pd.read_csv(results / "tables" / "summary.csv").query("set == 'training'")
    of_grid = selected["method"].eq("kmeans") & selected["region"].ne("combined")
    selected = selected[of_grid].set_index(keys)
    for column in ("r_hat", "r_upper68", "variance"):
        both = pd.concat([selected[column], grid.loc[selected.index, column]], axis=1)
        np.testing.assert_allclose(*both.to_numpy().T, rtol=1e-5, err_msg=column)


def test_gains_are_ratios_of_the_table(results):
    gains = pd.read_csv(results / "tables" / "gains.csv")
    summary = pd.read_csv(results / "tables" / "summary.csv")
    upper = summary.set_index(["set", "method", "region"])["r_upper68"]
    (row,) = gains.query(
        "set == 'unseen' and region == 'combined' and criterion == 'oracle'"
    ).to_dict("records")
    assert (row["method"], row["reference"]) == ("kmeans", "uniform")
    expected = upper["unseen", "kmeans", "combined"] / upper["unseen", "uniform", "combined"]
    assert row["ratio"] == pytest.approx(expected)
    assert row["ratio_error"] > 0


def test_a_test_sky_shares_no_seed_with_the_training_sky(results):
    own, seen = (
        pd.read_parquet(results / part / "residuals" / "kmeans_cleaned.parquet")
        for part in (".", "test/unseen/sky_0")
    )
    assert not np.isin(np.stack(own["total"]), np.stack(seen["total"])).any()
    cmb = [
        hp.read_map(results / part / "maps" / "cmb.fits", field=0)
        for part in (".", "test/unseen/sky_0", "test/unseen/sky_1")
    ]
    for one, other in combinations(cmb, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


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
    assert len(fits) == GRIDS * REGIONS * SHARDS
    assert all("configurations" in log.read_text() for log in fits)


def test_every_fit_is_kept_with_its_spectra(results):
    kept = results / "fits" / "kmeans" / "hi" / "realizations-00000-00001" / "configurations"
    assert {path.stem for path in kept.iterdir()} == {"4-2-2", "16-2-2"}
    table = pd.read_parquet(kept / "16-2-2.parquet")
    assert list(table["realization"]) == [-1, 0, 1]
    assert {len(spectrum) for spectrum in table["total"][1:]} == {2 * 8}


def test_figures_are_written_as_pdf_and_png_with_what_they_show(results):
    are_drawn(FIGURES, results)


def test_figures_may_show_some_methods_and_sets(finished, tmp_path):
    folder = tmp_path / "figures"
    shutil.copytree(finished[0], folder)
    shown = {
        "methods": {"input_r_spectra": ["kmeans"], "residual_maps": ["uniform"]},
        "sets": {"input_r_spectra": ["training", "unseen"]},
    }
    names = [
        "pipeline",
        "kmeans_patches",
        "residual_maps",
        "distributions",
        "variance_and_r",
        "r_and_patches",
        "input_r_spectra",
        "few_and_many_patches",
    ]
    targets = [f"fig_{name}" for name in names]
    snakemake(folder, with_changes(tiny(), {"figures": shown}), *targets)
    are_drawn(names, folder / "results" / "tiny")
    spectra = pd.read_csv(folder / "results" / "tiny" / "figures" / "input_r_spectra.csv")
    assert set(spectra["set"]) == {"training", "unseen"}
    assert set(spectra["method"]) == {"kmeans"}
    maps = pd.read_parquet(folder / "results" / "tiny" / "figures" / "residual_maps.parquet")
    assert list(maps.columns) == ["uniform.Q", "uniform.U"]
    cmb, recovered = (
        hp.read_map(folder / "results" / "tiny" / "maps" / name, field=0)
        for name in ("cmb.fits", "recovered_uniform.fits")
    )
    kept = recovered != hp.UNSEEN
    np.testing.assert_allclose(maps["uniform.Q"][kept], (recovered - cmb)[kept], atol=1e-6)


def test_same_configuration_gives_identical_tables(results, tmp_path):
    again = new_folder(tmp_path, "second")
    table = "results/tiny/r/configurations/kmeans/hi.csv"
    snakemake(again, tiny(), table)
    assert (results.parents[1] / table).read_bytes() == (again / table).read_bytes()


def test_same_configuration_gives_the_same_r_of_a_set(finished, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(finished[0], again)
    table = "results/tiny/r/sets/unseen/kmeans.csv"
    for made in ("test/unseen/sky_0", "test/unseen/sky_1", "r/sets/unseen"):
        shutil.rmtree(again / "results" / "tiny" / made)
    snakemake(again, tiny(), table)
    assert (finished[0] / table).read_bytes() == (again / table).read_bytes()


def test_one_figure_makes_only_what_it_needs(tmp_path):
    folder = new_folder(tmp_path, "figure")
    printed = snakemake(folder, tiny(), "fig_regions")
    done = set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", printed))
    assert done == {"simulate_foregrounds", "draw_regions", "fig_regions"}


def test_maps_from_elsewhere_and_names_in_any_letters_are_used(tmp_path):
    """A mask of the seen sky in celestial coordinates, in a folder with blanks and umlauts."""
    folder = new_folder(tmp_path, "Müllers Karten")
    instrument = folder / "tests" / "seven_bands.yaml"
    bands = yaml.safe_load(instrument.read_text(encoding="utf-8"))
    named = yaml.safe_dump(bands | {"name": "Teleskop Münster µ\tΩ"}, allow_unicode=True)
    instrument.write_text(named, encoding="utf-8")
    nside = 32
    vectors = np.array(hp.pix2vec(nside, np.arange(hp.nside2npix(nside))))
    height = np.abs(hp.Rotator(coord=["C", "G"])(vectors)[2])
    masks = [np.where(height > limit, 1.0, hp.UNSEEN) for limit in (0.4, 0.8, 0.6, 0.4)]
    names = ["SEEN", "HI", "MID", "LOW"]
    hp.write_map(folder / "m.fits.gz", masks, partial=True, coord="C", column_names=names)
    regions = {"method": "planck_masks", "mask_file": "m.fits.gz", "masks": names[1:]}
    maps = [f"results/tiny/maps/{name}.fits" for name in ("regions", "foregrounds")]
    snakemake(folder, with_changes(tiny(), {"regions": regions}), *maps)
    labels = hp.read_map(folder / maps[0])
    latitude = np.abs(hp.pix2vec(8, np.arange(len(labels)))[2])
    for label, (lower, upper) in enumerate([(0.8, 1), (0.6, 0.8), (0.4, 0.6)], start=1):
        inside = latitude[labels == label]
        assert lower - 0.05 < inside.min() < inside.max() < upper + 0.05
    assert "Teleskop Munster u ? bands" in Path(folder / maps[1]).read_bytes().decode("latin-1")


def test_patches_may_follow_the_true_parameters(tmp_path):
    settings = tiny()
    bins = {"beta_dust": 5, "temp_dust": 3, "beta_synch": 4}
    settings["methods"]["truth"] = {
        "strategy": "true_parameters",
        "patches": dict.fromkeys(("hi", "mid", "low"), bins),
    }
    folder = new_folder(tmp_path, "truth")
    target = "results/tiny/patches/truth/hi.fits"
    snakemake(folder, settings, target)
    maps = folder / "results" / "tiny" / "maps"
    true, header = hp.read_map(maps / "spectral_parameters.fits", field=None, h=True)
    names = [value.lower() for key, value in header if key.startswith("TTYPE")]
    labels, header = hp.read_map(folder / target, field=None, h=True, dtype=int)
    columns = [value for key, value in header if key.startswith("TTYPE")]
    assert columns == [f"{name.upper()}_{n}" for name, n in bins.items()]
    for name, patches in zip(bins, labels):
        values, inside = true[names.index(name)], patches >= 0
        # Bins in the order of what is binned: none overlaps the next.
        ends = [
            (values[patches == p].min(), values[patches == p].max()) for p in set(patches[inside])
        ]
        assert all(low[1] < high[0] for low, high in pairwise(ends))


def test_published_numbers_are_put_beside_ours(finished, results, tmp_path):
    folder = tmp_path / "published"
    shutil.copytree(finished[0], folder)
    where = {"set": "training", "method": "uniform", "region": "combined"}
    number = {"number": "r", "published": 1, "source": "-", "table": "tables/summary.csv"}
    numbers = [number | {"where": where, "column": "r_hat"}]
    (folder / "numbers.yaml").write_text(yaml.safe_dump(numbers))
    settings = with_changes(tiny(), {"published": "numbers.yaml"})
    snakemake(folder, settings, "compare_with_published")
    table = pd.read_csv(folder / "results" / "tiny" / "tables" / "published_vs_here.csv")
    summary = pd.read_csv(results / "tables" / "summary.csv").set_index(list(where))
    assert table["here"].item() == summary.loc[tuple(where.values()), "r_hat"].item()


def test_patches_may_follow_recovered_parameters(finished, tmp_path):
    folder = tmp_path / "binned"
    shutil.copytree(finished[0], folder)
    bins = {"beta_dust": 4, "temp_dust": 1, "beta_synch": 1}
    binned = {
        "strategy": "recovered_parameters",
        "recovered_by": "kmeans",
        "patches": {"hi": bins, "mid": bins, "low": bins},
    }
    settings = with_changes(tiny(), {"methods.binned": binned})
    snakemake(folder, settings, "results/tiny/patches/binned/hi.fits")
    results = folder / "results" / "tiny"
    recovered, header = hp.read_map(results / "maps/recovered_kmeans.fits", field=None, h=True)
    names = [value for key, value in header if key.startswith("TTYPE")]
    beta_dust = recovered[names.index("BETA_DUST")]
    labels = hp.read_map(results / "patches/binned/hi.fits", field=0, dtype=int)
    values = beta_dust[labels >= 0]
    edges = np.linspace(values.min(), values.max(), 5)[1:-1]
    bins = np.unique(np.digitize(values, edges), return_inverse=True)[1]
    np.testing.assert_array_equal(bins, labels[labels >= 0])


def test_ensembles_and_templates_are_methods_like_any(finished, tmp_path):
    folder = tmp_path / "past"
    shutil.copytree(finished[0], folder)
    values = {"beta_dust": 8, "temp_dust": 2, "beta_synch": 2}
    patches = {"hi": values, "mid": values, "low": values}
    methods = {
        "methods.ensemble": {
            "strategy": "kmeans",
            "n_draws": 2,
            "independent_patches": True,
            "patches": patches,
        },
        "methods.templated": {
            "strategy": "template",
            "maps": {"temp_dust": "true"},
            "errors": {"temp_dust": 0.5},
            "patches": patches,
        },
    }
    settings = with_changes(tiny(), methods)
    names = ("ensemble", "templated")
    targets = [f"results/tiny/r/sets/unseen/{name}.csv" for name in names]
    snakemake(folder, settings, *targets, "results/tiny/patches/ensemble/hi.fits")
    results = folder / "results" / "tiny"
    for target in targets:
        r = pd.read_csv(folder / target)
        assert np.isfinite(r["r_upper68"]).all()
        # Of one draw, and of the bins of a template.
        assert r.query("region == 'hi'")["n_patches_temp_dust"].eq(2).all()
    columns = read_maps(results / "patches/ensemble/hi.fits")
    assert "DRAW_1_BETA_DUST_8" in columns
    first, second = (columns[f"{draw}BETA_DUST_8"] for draw in ("", "DRAW_1_"))
    assert np.any(first != second)
    # Errors of the templates are drawn anew for every sky.
    true = read_maps(results / "test/unseen/maps/spectral_parameters.fits")["TEMP_DUST"]
    errors = [
        read_maps(results / f"test/unseen/sky_{sky}/maps/templates_templated.fits")["TEMP_DUST"]
        - true
        for sky in (0, 1)
    ]
    np.testing.assert_allclose(np.std(errors, axis=1), 0.5, rtol=1e-6)
    assert abs(np.corrcoef(errors)[0, 1]) < 0.3


def test_status_counts_shards_and_fits(results):
    lines = status(results / "logs" / "fit_patches").splitlines()
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in lines[1:-1]}
    assert list(rows) == [("kmeans", region) for region in ("hi", "mid", "low")]
    # Two shards of two realisations and the foregrounds, two configurations.
    assert rows["kmeans", "hi"] == ["2", "2", "0", "0", "12", "12", "0.0", "0", "0", "s"]
    assert rows["kmeans", "low"][4:6] == ["6", "6"]


def test_the_grid_is_fitted_to_mock_skies(finished, tmp_path):
    folder = tmp_path / "mocks"
    shutil.copytree(finished[0], folder)
    changes = {
        "selection.criteria": ["mocks", "cross_validation"],
        "mocks": {"skies": 2, "realizations": 2},
        "likelihood.foreground_residual": ["marginalised", "neglected"],
        # One sky is enough.
        "test_sets.unseen.cmb_seeds": [12],
        "test_sets.unseen.noise_seeds": [22],
        "test_sets.unseen.patch_seeds": [32],
    }
    target = "results/tiny/r/configurations/kmeans/hi.csv"
    of_set = "results/tiny/r/sets/unseen/kmeans.csv"
    snakemake(folder, with_changes(tiny(), changes), target, of_set)
    training, *mocks = (
        pd.read_csv(folder / "results/tiny" / sky / "r/configurations/kmeans/hi.csv").set_index(
            "configuration"
        )
        for sky in ("", "mocks/sky_0", "mocks/sky_1")
    )
    expected = np.mean([one["r_hat"].abs() + one["sigma_r_plus"] for one in mocks], axis=0)
    np.testing.assert_allclose(training["mocks"], expected, rtol=1e-12)
    # Skies alike, but not the same.
    assert np.all(training["mocks"] != training["r_upper68"])
    np.testing.assert_allclose(training["mocks"], training["r_upper68"], rtol=1)
    assert training["foreground_residual"].eq("marginalised").all()
    r_hat = (
        pd.read_csv(folder / of_set)
        .query("criterion == 'mocks'")
        .pivot(index="region", columns="foreground_residual", values="r_hat")
    )
    assert (r_hat["marginalised"] < r_hat["neglected"]).all()
