"""A run of observed maps, from files that somebody gives to r, and what makes it go on."""

import hashlib
import json

import healpy as hp
import numpy as np
import pytest
from observed_skies import Observation, splits_of, write_map
from workflows import jobs_of, new_folder, snakemake

from patchsep.files.maps import read_maps, read_polarization
from patchsep.files.tables import read_table, write_table
from patchsep.instrument.instrument import read_instrument

pytestmark = pytest.mark.workflow

NSIDE = 8
RESULTS = "results/seen"
METHODS = "fields", "patches"
MOCKS = [f"realizations-{first:05d}-{first + 2:05d}" for first in (0, 3)]
MISSED = "65GHZ"
LATITUDE = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)[1]
FIGURES = "cleaned_maps", "bandpowers", "null_tests", "influence"
# As little as tells regions, ranges of multipoles and two ways of cleaning apart.
SETTINGS = {
    "run": "seen",
    "nside": NSIDE,
    "instrument": "tests/seven_bands.yaml",
    "observation": {"splits": ["maps/{band}_A.fits", "maps/{band}_B.fits"]},
    "regions": {
        "method": "sky_cuts",
        "split_hemispheres": True,
        "sky_cuts": {"cap": {"galactic_latitude": [20, 90]}},
    },
    "methods": {
        "fields": {"strategy": "fields"},
        "patches": {
            "strategy": "multiresolution",
            "patches": {"cap": {"beta_dust": [0, 2], "temp_dust": 0, "beta_synch": 0}},
        },
    },
    "mocks": {"skies": 6, "realizations": 2},
    "fields": {"samples": 2},
    "validation": {"realizations": 20, "mocks": 2},
    "fit": {"realizations_per_shard": 3},
    "spectra": {"estimator": "pure", "apodization": 20.0, "bin_width": 5},
    "likelihood": {"multipole_ranges": [[2, 12], [12, 18]]},
    "figures": {"methods": {name: ["fields"] for name in FIGURES}},
}


def contents(folder):
    """Checksum and time stamp of every file that is given."""
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted((folder / "maps").iterdir())
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run, the splits, and what the files were before it."""
    folder = new_folder(tmp_path_factory.mktemp("observed"), "run")
    instrument = read_instrument(folder / "tests/seven_bands.yaml")
    splits = splits_of(instrument, NSIDE)
    splits[:, instrument.labels.index(MISSED), :, LATITUDE > 80] = hp.UNSEEN
    (folder / "maps").mkdir()
    for split, letter in zip(splits, "AB", strict=True):
        files = Observation.written(folder / "maps", instrument, split)
        for band in instrument.labels:
            files.path(band).rename(folder / f"maps/{band}_{letter}.fits")
    before = contents(folder)
    snakemake(folder, SETTINGS)
    return folder, splits, before


@pytest.fixture
def results(finished):
    return finished[0] / RESULTS


def planned(folder, *targets):
    return jobs_of(snakemake(folder, SETTINGS, *targets, "--dry-run", "--quiet", "rules"))


def test_maps_are_the_mean_of_the_splits_and_masked_where_they_were(finished, results):
    _, splits, _ = finished
    maps = read_polarization(results / "maps/observed.fits")
    unseen = np.any(splits == hp.UNSEEN, axis=(0, 2))
    assert unseen.any()
    np.testing.assert_array_equal(np.isnan(maps), np.broadcast_to(unseen[:, None], maps.shape))
    np.testing.assert_allclose(maps, np.where(np.isnan(maps), np.nan, splits.mean(axis=0)))


@pytest.mark.parametrize("method", METHODS)
def test_tables_of_a_method_agree_with_one_another(results, method):
    folder = results / "observed" / method
    bandpowers, r, curves, null_tests, influence, model_tests = (
        read_table(folder / f"{name}.csv")
        for name in ("bandpowers", "r", "r_curves", "null_tests", "influence", "model_tests")
    )
    regions = ["cap_north", "cap_south", "combined"]
    assert list(bandpowers["region"].unique()) == regions
    assert list(r[r["ell_low"].isna()]["region"]) == regions
    measured = r[r["r_hat"].notna() & r["ell_low"].isna()]
    assert list(curves["region"].unique()) == list(measured["region"])
    for row in measured.to_dict("records"):
        own = curves[curves["region"] == row["region"]]
        assert own["r"][own["likelihood"].idxmax()] == pytest.approx(row["r_hat"])
        assert row["r95_low"] < row["r68_low"] < row["r_hat"] < row["r68_high"] < row["r95_high"]
    assert set(null_tests["region"]) == set(regions)
    assert null_tests["probability"].between(1 / 7, 1).all()
    assert set(influence["kind"]) <= {"region", "multipoles", "band"} and len(influence)
    assert len(model_tests)
    covariance, windows = (
        read_table(folder / f"{name}.parquet") for name in ("covariance", "windows")
    )
    theory = read_table(results / "spectra/cmb_consistent.csv")
    for name, own in bandpowers.groupby("region"):
        of_region = covariance[covariance["region"] == name]
        diagonal = of_region[of_region["bin"] == of_region["other"]]
        np.testing.assert_allclose(diagonal["covariance"], own["error"] ** 2)
        of_region = windows[windows["region"] == name]
        window = of_region.pivot(index="bin", columns="ell", values="window")
        for spectrum in ("lensing", "tensor"):
            through = window.to_numpy() @ theory[f"bb_{spectrum}"][window.columns]
            np.testing.assert_allclose(through, own[spectrum])


@pytest.mark.parametrize("method", METHODS)
def test_cleaned_maps_are_those_of_the_pixels_that_are_analysed(results, method):
    maps = read_maps(results / "observed" / method / "cleaned.fits")
    analysed = np.abs(LATITUDE) > 20
    np.testing.assert_array_equal(maps["MASK"] == 1, analysed)
    for name in ("CMB_Q", "DUST_U", "BETA_DUST", "ERROR_CMB_Q", "ERROR_BETA_DUST"):
        np.testing.assert_array_equal(np.isfinite(maps[name]), analysed)
    assert maps["ERROR_CMB_Q"][analysed].min() > 0


def test_patches_are_those_that_are_selected_in_every_region(results):
    selection = read_table(results / "observed/patches/selection.csv")
    assert list(selection["region"].value_counts()) == [2, 2]
    maps = read_maps(results / "observed/patches/cleaned.fits")
    for region, of_region in selection.groupby("region"):
        assert of_region["expected"].notna().any()
        (selected,) = of_region[of_region["selected"]].to_dict("records")
        assert selected["expected"] == of_region["expected"].min()
        inside = LATITUDE > 20 if region == "cap_north" else LATITUDE < -20
        n_patches = len(np.unique(maps["BETA_DUST"][inside]))
        # The first number of a configuration is that of beta_dust.
        assert (n_patches == 1) == selected["configuration"].startswith("0")


def test_samples_scatter_about_the_cleaned_map_as_its_errors_say(results):
    samples = read_maps(results / "observed/fields/samples.fits")
    assert len(samples) == 2 * (2 + 3)
    cleaned = read_maps(results / "observed/fields/cleaned.fits")
    seen = cleaned["MASK"] == 1
    difference = (samples["CMB_Q_0"] - samples["CMB_Q_1"])[seen] / np.sqrt(2)
    assert 0.5 < np.std(difference) / np.sqrt(np.mean(cleaned["ERROR_CMB_Q"][seen] ** 2)) < 2
    assert not (results / "observed/patches/samples.fits").exists()


def test_the_summary_has_every_method_and_names_every_file(finished, results):
    before = finished[2]
    summary = read_table(results / "tables/summary.csv")
    assert list(summary["method"].unique()) == list(METHODS)
    assert summary["converged"].all()
    text = (results / "tables/summary.txt").read_text(encoding="utf-8")
    assert "fields: r = " in text
    record = json.loads((results / "tables/provenance.json").read_text(encoding="utf-8"))
    told = json.dumps(record)
    assert all(checksum in told for checksum, _ in before.values())


def test_files_that_are_given_are_only_read(finished):
    folder, _, before = finished
    assert contents(folder) == before


def test_a_finished_run_has_nothing_to_do(finished):
    assert planned(finished[0]) == {}


def test_of_a_run_that_was_stopped_shards_that_are_missing_are_made_and_what_follows(finished):
    folder = finished[0]
    method = folder / RESULTS / "observed/patches"
    lost = [method / f"mocks/{MOCKS[1]}.npz", method / "r.csv", method / "influence.csv"]
    contents = [path.read_bytes() for path in lost]
    # With what a run ends with, or Snakemake would not ask for them.
    for path in (*lost, folder / RESULTS / "tables/summary.csv"):
        path.unlink()
    jobs = planned(folder)
    assert jobs["clean_mocks"] == 1 and jobs["analyse_observation"] == 1
    assert not {"read_observation", "measure_observed_fields", "draw_regions"} & set(jobs)
    snakemake(folder, SETTINGS, f"{RESULTS}/observed/patches/r.csv")
    assert [path.read_bytes() for path in lost] == contents


def test_every_figure_is_drawn(results):
    for path in ("regions", *(f"{name}/fields" for name in FIGURES)):
        for suffix in ("pdf", "png"):
            assert (results / "figures" / f"{path}.{suffix}").stat().st_size > 0


def test_a_certificate_counts_skies_of_all_shards(finished, results):
    """Of which one is computed here, and the others have its numbers."""
    folder = finished[0]
    jobs = planned(folder, "certify")
    assert jobs["certify_mocks"] == 7 and jobs["write_certificate"] == jobs["fig_coverage"] == 1
    shards = results / "observed/fields/certificate"
    snakemake(folder, SETTINGS, f"{RESULTS}/observed/fields/certificate/{MOCKS[0]}.csv")
    computed = read_table(shards / f"{MOCKS[0]}.csv")
    assert list(computed["sky"]) == 2 * [0, 1, 2] and set(computed["r"]) == {0, 0.003}
    assert computed["tarp_rank"].between(0, 1).all() and computed["r_hat"].notna().all()
    for first in range(3, 20, 3):
        moved = computed.assign(sky=computed["sky"] + first)
        moved = moved[moved["sky"] < 20]
        last = moved["sky"].max()
        write_table(shards / f"realizations-{first:05d}-{last:05d}.csv", moved)
    snakemake(folder, SETTINGS, "certify")
    table = read_table(results / "tables/certificate.csv")
    assert list(table["r"]) == [0, 0.003] and list(table["n_skies"]) == [20, 20]
    assert len(read_table(results / "tables/certificate_skies.csv")) == 40
    assert (results / "figures/coverage.png").is_file()


def test_a_map_that_has_changed_is_read_again_and_all_that_follows(finished):
    """The last test here: the run is not as it was."""
    folder = finished[0]
    path = folder / "maps/151GHZ_A.fits"
    maps = np.array(hp.read_map(path, field=(0, 1)))
    write_map(path, 1.001 * maps)
    jobs = planned(folder)
    assert jobs["read_observation"] == 1 and jobs["measure_observed_fields"] == 1
    assert jobs["clean_mocks"] == 4 and jobs["analyse_observation"] == 2
