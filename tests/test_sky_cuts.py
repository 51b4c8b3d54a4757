"""Cuts of the sky: regions under any names, of masks, hits, latitudes and levels of dust."""

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from refusals import SOURCE, config_with, problems_of
from workflows import REMOVED, ROOT, new_folder, snakemake, tiny, with_changes

from patchsep.figures.configurations import plot_r_and_patches, plot_variance_and_r
from patchsep.files.foreign_maps import UnusableMap, map_name
from patchsep.files.maps import write_maps
from patchsep.files.tables import read_table
from patchsep.running.plan import Plan
from patchsep.running.schema import SettingsError
from patchsep.running.settings import load_settings
from patchsep.sky.regions import Regions, region_files, regions_of
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
LONGITUDE, LATITUDE = hp.pix2ang(NSIDE, np.arange(N_PIXELS), lonlat=True)
NORTH = LATITUDE > 0
MAP = {"mask": {"threshold": 0.5}, "hits": {"threshold": 0.0}}
SETTINGS = {"method": "sky_cuts", "split_hemispheres": False, "smoothing": 10.0}

pytestmark = pytest.mark.usefixtures("repository")


def file_of(folder, values, name="map.fits", **options):
    path = folder / name
    hp.write_map(path, np.asarray(values, float), dtype=float, **options)
    return str(path)


def drawn(cuts, intensity="", nside=NSIDE, **settings):
    """Regions of cuts, whose sections have the defaults of the schema."""
    cuts = {
        name: {kind: MAP[kind] | part if kind in MAP else part for kind, part in cut.items()}
        for name, cut in cuts.items()
    }
    settings = SETTINGS | {"sky_cuts": cuts} | settings
    return regions_of(settings, region_files(settings, str(intensity)), nside)


def kept(cut, **options):
    """Where the only region is: bool array (n_pixels,)."""
    return drawn({"only": cut}, **options).labels == 1


# What cuts keep


def test_a_mask_keeps_what_is_above_its_threshold_at_the_nside_of_the_run(tmp_path):
    values = np.random.default_rng(1).random(4 * N_PIXELS)
    path = file_of(tmp_path, values)
    coarse = hp.reorder(values, r2n=True).reshape(-1, 4).mean(axis=1)
    for threshold in (0.3, 0.5, 0.8):
        expected = hp.reorder(np.float64(coarse > threshold), n2r=True) > 0
        found = kept({"mask": {"file": path, "threshold": threshold}})
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("column", ["SOUTH", 1])
def test_a_mask_is_a_column_by_name_or_by_number_in_either_kind_of_file(tmp_path, column):
    maps = {"NORTH": NORTH, "SOUTH": ~NORTH}
    path = file_of(tmp_path, list(maps.values()), column_names=list(maps))
    np.savez(tmp_path / "map.npz", **maps)
    for file in (path, str(tmp_path / "map.npz")):
        np.testing.assert_array_equal(kept({"mask": {"file": file, "column": column}}), ~NORTH)


def test_a_cut_is_without_the_pixels_of_others_in_any_order(tmp_path):
    path = file_of(tmp_path, LATITUDE > 60)
    cuts = {
        "wide": {"galactic_latitude": [30, 90], "without": ["deep"]},
        "deep": {"mask": {"file": path}},
    }
    regions = drawn(cuts)
    np.testing.assert_array_equal(regions.labels == 2, LATITUDE > 60)
    np.testing.assert_array_equal(regions.labels == 1, (np.abs(LATITUDE) >= 30) & (LATITUDE <= 60))


def test_a_cut_may_be_without_levels_of_dust_that_are_not_known_before_a_run():
    cuts = {
        "faint": {"dust_fraction": [0, 0.2]},
        "rest": {"galactic_latitude": [10, 90], "without": ["faint"]},
    }
    changes = {"regions": {"method": "sky_cuts", "sky_cuts": cuts}}
    methods = {"methods": {"fields": {"strategy": "fields"}}, "figures.drawn": []}
    load_settings(config_with(changes | methods), SOURCE)


@pytest.mark.parametrize("other", ["faint", "rset"])
def test_a_cut_cannot_be_without_itself_or_one_that_is_not_there(other):
    cuts = {"faint": {"galactic_latitude": [60, 90], "without": [other]}}
    cuts["rest"] = {"galactic_latitude": [10, 60]}
    lines = problems_of(
        {
            "regions": {"method": "sky_cuts", "sky_cuts": cuts},
            "methods": {"fields": {"strategy": "fields"}},
            "figures.drawn": [],
        }
    )
    expected = f"{SOURCE}: regions.sky_cuts.faint.without: there is no other {other!r} in"
    assert any(line.startswith(expected) for line in lines)


def test_a_column_that_is_not_there_or_not_named_is_refused(tmp_path):
    path = file_of(tmp_path, [NORTH, ~NORTH], column_names=["NORTH", "SOUTH"])
    with pytest.raises(UnusableMap, match="columns NORTH, SOUTH; give the column of one"):
        map_name(path, None)
    for column in ("EAST", 2):
        with pytest.raises(UnusableMap, match=f"has no column {column}; give one of NORTH, SOUTH"):
            map_name(path, column)


def test_what_a_file_does_not_say_may_be_stated(tmp_path):
    """A mask of .npz in NESTED order and celestial coordinates."""
    declination = hp.pix2ang(NSIDE, np.arange(N_PIXELS), nest=True, lonlat=True)[1]
    np.savez(tmp_path / "mask.npz", MASK=declination > 0)
    found = kept({
        "mask": {
            "file": str(tmp_path / "mask.npz"), "ordering": "nested", "coordinates": "celestial",
            "nside": NSIDE,
        }
    })  # fmt: skip
    height = hp.Rotator(coord=["G", "C"])(np.array(hp.pix2vec(NSIDE, np.arange(N_PIXELS))))[2]
    wrong = np.abs(height[found != (height > 0)])
    assert len(wrong) < 0.03 * N_PIXELS
    assert np.all(wrong < hp.nside2resol(NSIDE))


def test_a_partial_mask_in_nested_order_is_read_as_it_says(tmp_path):
    values = hp.reorder(np.where(NORTH, 1.0, hp.UNSEEN), r2n=True)
    path = file_of(tmp_path, values, nest=True, partial=True, coord="G")
    stated = {"coordinates": "galactic", "ordering": "nested", "nside": NSIDE}
    np.testing.assert_array_equal(kept({"mask": {"file": path, **stated}}), NORTH)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"coordinates": "galactic"}, "has coordinates celestial, and coordinates galactic is"),
        ({"ordering": "nested"}, "has ordering ring, and ordering nested is stated; correct or"),
        ({"nside": 64}, f"has nside {NSIDE}, and nside 64 is stated; correct or remove that key"),
    ],
)
def test_a_map_that_is_not_as_stated_is_refused(tmp_path, stated, said):
    path = file_of(tmp_path, NORTH, coord="C")
    for kind in ("mask", "hits"):
        with pytest.raises(UnusableMap, match=f"^regions.sky_cuts.only.{kind}: {path}: .* {said}"):
            kept({kind: {"file": path, **stated}})


def test_hits_are_kept_above_a_part_of_the_most(tmp_path):
    hits = np.where(NORTH, 1000 * np.cos(np.radians(LATITUDE)), hp.UNSEEN)
    path = file_of(tmp_path, hits)
    np.testing.assert_array_equal(kept({"hits": {"file": path}}), NORTH)
    found = kept({"hits": {"file": path, "threshold": 0.5}})
    np.testing.assert_array_equal(found, hits > hits.max() / 2)


def test_latitudes_go_from_the_lowest_to_below_the_highest():
    regions = drawn({
        "polar": {"galactic_latitude": [30, 90]}, "belt": {"galactic_latitude": [10, 30]},
    })  # fmt: skip
    # Some pixels are at 30 degrees.
    assert np.any(np.isclose(np.abs(LATITUDE), 30))
    np.testing.assert_array_equal(regions.pixels("polar"), np.flatnonzero(np.abs(LATITUDE) >= 30))
    belt = (np.abs(LATITUDE) >= 10) & (np.abs(LATITUDE) < 30)
    np.testing.assert_array_equal(regions.pixels("belt"), np.flatnonzero(belt))


@pytest.fixture
def intensity(tmp_path):
    """Dust that only depends on latitude."""
    path = tmp_path / "dust.fits"
    write_maps(path, {"I": 1 / (0.1 + np.sin(np.radians(LATITUDE)) ** 2)}, "MJy/sr", "dust")
    return path


def test_dust_fractions_are_those_of_rings(intensity):
    rings = SETTINGS | {"method": "dust_intensity", "rings": ["a", "b"]}
    rings = regions_of(rings | {"sky_fractions": [0.3, 0.5]}, {"intensity": intensity}, NSIDE)
    cuts = {"a": {"dust_fraction": [0, 0.3]}, "b": {"dust_fraction": [0.3, 0.5]}}
    found = drawn(cuts, intensity)
    assert found.names == rings.names
    np.testing.assert_array_equal(found.labels, rings.labels)


def test_a_region_has_what_all_of_its_cuts_keep_and_the_footprint_has(tmp_path, intensity):
    path = file_of(tmp_path, NORTH)
    east = file_of(tmp_path, LONGITUDE < 180, "east.fits")
    cut = {"mask": {"file": path}, "galactic_latitude": [40, 90], "dust_fraction": [0, 0.2]}
    faint = kept({"dust_fraction": [0, 0.2]}, intensity=intensity)
    found = drawn({"only": cut}, intensity, footprint={"hits": {"file": east, "threshold": 0.0}})
    expected = NORTH & (np.abs(LATITUDE) >= 40) & faint & (LONGITUDE < 180)
    assert 0 < expected.sum() < min(NORTH.sum(), faint.sum())
    np.testing.assert_array_equal(found.labels == 1, expected)


def test_rings_have_a_footprint_and_cuts_have_hemispheres(tmp_path, intensity):
    footprint = {"mask": {"file": file_of(tmp_path, NORTH), "threshold": 0.5}}
    rings = {"method": "dust_intensity", "rings": ["a", "b"], "sky_fractions": [0.3, 0.5]}
    both = (SETTINGS | rings, SETTINGS | rings | {"footprint": footprint})
    whole, part = (regions_of(one, region_files(one, intensity), NSIDE) for one in both)
    np.testing.assert_array_equal(part.labels, np.where(NORTH, whole.labels, 0))
    halves = drawn({"polar_sky": {"galactic_latitude": [30, 90]}}, split_hemispheres=True)
    assert halves.names == ("polar_sky_north", "polar_sky_south")
    assert LATITUDE[halves.pixels("polar_sky_north")].min() >= 30


# Refusals before any job


def problem_of(cuts, **changes):
    """What is said of these cuts: the key, and the rest of the line."""
    regions = {"method": "sky_cuts", "sky_cuts": cuts} | changes
    (line,) = problems_of({"regions": regions, "nside": NSIDE, **UNIFORM_ONLY})
    return line.removeprefix(f"{SOURCE}: ")


UNIFORM_ONLY = {"methods": {"uniform": {"strategy": "uniform"}}, "figures": REMOVED}
POLAR = {"galactic_latitude": [30, 90]}


def test_regions_with_pixels_in_common_are_refused():
    n_common = np.sum((np.abs(LATITUDE) >= 30) & (np.abs(LATITUDE) < 40))
    assert problem_of({"polar": POLAR, "belt": {"galactic_latitude": [0, 40]}}) == (
        f"regions: polar and belt have {n_common} pixels in common; let one of them end where the "
        "other begins, or make them one"
    )


def test_regions_of_dust_with_pixels_in_common_are_refused_at_the_latest_when_drawn(intensity):
    cuts = {"faint": {"dust_fraction": [0, 0.3]}, "bright": {"dust_fraction": [0.25, 0.6]}}
    assert problem_of(cuts) == (
        "regions.sky_cuts.bright.dust_fraction: [0.25, 0.6] and [0, 0.3] of faint overlap; let one "
        "end where the other begins"
    )
    # Whether other cuts keep them apart depends on the sky.
    cuts["bright"]["galactic_latitude"] = [0, 89]
    settings = {"regions": {"method": "sky_cuts", "sky_cuts": cuts}, **UNIFORM_ONLY}
    assert load_settings(config_with(settings), SOURCE)
    n_common = round(0.3 * N_PIXELS) - round(0.25 * N_PIXELS)
    with pytest.raises(UnusableMap, match=f"faint and bright have {n_common} pixels in common"):
        drawn(cuts, intensity)


def test_empty_regions_are_refused(tmp_path):
    north = {"mask": {"file": file_of(tmp_path, LATITUDE > 45)}}
    said = problem_of({"polar": POLAR, "none": north | {"galactic_latitude": [0, 30]}})
    assert said == "regions: none has no pixel; choose other masks, sky fractions or cuts"
    # With a level of dust too, before there is a sky.
    cut = north | {"galactic_latitude": [0, 30], "dust_fraction": [0, 0.9]}
    assert problem_of({"polar": POLAR, "none": cut}) == said
    said = problem_of({"polar": POLAR | {"mask": {"file": file_of(tmp_path, 0 * NORTH, "0.fits")}}})
    assert said == (
        f"regions.sky_cuts.polar.mask: {tmp_path / '0.fits'} keeps no pixel of nside {NSIDE}; "
        "choose another threshold"
    )
    said = problem_of({"polar": {"galactic_latitude": [30.1, 30.2]}})
    assert said.startswith("regions.sky_cuts.polar.galactic_latitude: keeps no pixel of nside")
    said = problem_of({"polar": POLAR}, footprint={"galactic_latitude": [0, 20]})
    assert said.startswith("regions: polar has no pixel in regions.footprint; choose other")


def test_masks_that_cannot_be_used_are_refused_with_their_key(tmp_path):
    said = problem_of({"polar": {"mask": {"file": "none.fits"}}})
    assert said == (
        "regions.sky_cuts.polar.mask.file: 'none.fits' is not a file; give the path of a HEALPix "
        "map"
    )
    path = file_of(tmp_path, np.ones(192), "coarse.fits")
    for kind in ("mask", "hits"):
        said = problem_of({"polar": POLAR}, footprint={kind: {"file": path}})
        assert said.startswith(f"regions.footprint.{kind}: {path}")
        assert f"nside 4, and the run {NSIDE}; use nside 4 or less" in said
    path = file_of(tmp_path, 7 * NORTH, "sevens.fits")
    assert "has values from 0 to 7; a mask is 1" in problem_of({"polar": {"mask": {"file": path}}})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sky_cuts": REMOVED}, "regions.sky_cuts: missing; add this key"),
        ({"sky_cuts": {}}, "regions.sky_cuts: {} does not fit here."),
        ({"sky_cuts.polar": {}}, "regions.sky_cuts.polar: {} does not fit here. Give one or more"),
        ({"sky_cuts.combined": POLAR}, "regions.sky_cuts: 'combined' does not fit here. Names of"),
        ({"sky_cuts.Polar": POLAR}, "regions.sky_cuts: 'Polar' does not fit here. Names of"),
        ({"sky_cuts.polar.latitude": [0, 1]}, "did you mean galactic_latitude?"),
        ({"sky_cuts.polar.galactic_latitude": [90, 30]}, "[90, 30] does not increase; give the"),
        ({"footprint.dust_fraction": [0.2, 0.2]}, "regions.footprint.dust_fraction: [0.2, 0.2] do"),
        ({"method": "dust_intensity"}, "regions.sky_cuts: not of regions.method dust_intensity;"),
    ],
)
def test_cuts_that_are_none_are_refused(changes, said):
    regions = with_changes({"method": "sky_cuts", "sky_cuts": {"polar": dict(POLAR)}}, changes)
    (line,) = problems_of({"regions": regions, **UNIFORM_ONLY})
    assert said in line


def test_a_footprint_that_no_bands_observe_is_refused(tmp_path):
    """Hits in the south, and a footprint in the north."""
    bands = yaml.safe_load((ROOT / "tests/seven_bands.yaml").read_text())
    file_of(tmp_path, np.where(NORTH, hp.UNSEEN, 5.0), "hits.fits")
    path = tmp_path / "south.yaml"
    path.write_text(yaml.safe_dump(bands | {"hits": "hits.fits"}))
    footprint = {"mask": {"file": file_of(tmp_path, NORTH)}}
    regions = {"method": "dust_intensity", "footprint": footprint}
    changes = {"regions": regions, "nside": NSIDE, "instrument": str(path), **UNIFORM_ONLY}
    (line,) = problems_of(changes)
    assert line.startswith(f"{SOURCE}: regions.footprint: {path} has maps of hits or variance with")
    assert "fewer than 4 bands in all of its pixels; choose another footprint" in line


# Runs


def with_regions(cuts, **more):
    """The smallest settings with regions of these names."""
    settings = with_changes(tiny(), {"noise.realizations": 2})
    numbers = {"beta_dust": [4, 8], "temp_dust": 2, "beta_synch": 2}
    settings["methods"]["kmeans"]["patches"] = dict.fromkeys(cuts, numbers)
    settings["regions"] = {"method": "sky_cuts", "sky_cuts": cuts, **more}
    del settings["test_sets"]
    return settings


def test_patches_are_those_of_the_names_of_regions():
    cuts = {"south_pole": POLAR, "a": {"galactic_latitude": [0, 30]}}
    settings = load_settings(with_regions(cuts, split_hemispheres=True), SOURCE)
    plan = Plan(settings)
    assert plan.regions == ["south_pole_north", "south_pole_south", "a_north", "a_south"]
    assert plan.configurations("kmeans", "south_pole_south") == ["4-2-2", "8-2-2"]
    assert settings["search"]["region"] == "a_south"
    settings = with_regions(cuts)
    del settings["methods"]["kmeans"]["patches"]["a"]
    with pytest.raises(SettingsError, match=r"kmeans\.patches\.a: missing; add this key"):
        load_settings(settings, SOURCE)


@pytest.mark.parametrize("n_regions", [1, 3, 5])
def test_figures_of_a_grid_have_a_panel_of_every_region(n_regions):
    """Three in a row at most, each row with the name of its axis."""
    names = [f"field_{number}" for number in range(n_regions)]
    numbers = {f"n_patches_{name}": [4, 8] for name in DUST_AND_SYNCHROTRON.names}
    r = dict.fromkeys(("r_hat", "r_upper68", "sigma_r_minus", "sigma_r_plus", "variance"), 1e-3)
    rows = [pd.DataFrame({"method": "kmeans", "region": name, **numbers, **r}) for name in names]
    symbols = dict.fromkeys(DUST_AND_SYNCHROTRON.names, "K")
    for plot in (plot_r_and_patches, plot_variance_and_r):
        axes = plot(pd.concat(rows, ignore_index=True), {"symbols": symbols}).axes[:n_regions]
        assert [axis.get_title() for axis in axes] == [name.replace("_", " ") for name in names]
        places = [axis.get_subplotspec() for axis in axes]
        assert max(place.colspan.start for place in places) == min(n_regions, 3) - 1
        named = [bool(axis.get_ylabel()) for axis in axes]
        assert named == [place.is_first_col() for place in places]
        plt.close("all")


@pytest.mark.workflow
@pytest.mark.parametrize("names", [["all_of_it"], ["wide", "deep"]])
def test_a_run_has_regions_of_any_names_and_number(tmp_path, names):
    folder = new_folder(tmp_path, "run")
    settings = with_regions({
        name: {"mask": {"file": "mask.fits"}, "galactic_latitude": limits}
        for name, limits in zip(names, ([50, 90], [30, 50]))
    })  # fmt: skip
    file_of(folder, NORTH, "mask.fits")
    snakemake(folder, settings)
    results = folder / "results/tiny"
    assert Regions.read(results / "maps/regions.fits").names == tuple(names)
    summary = read_table(results / "tables/summary.csv")
    assert list(summary["region"].unique()) == [*names, "combined"]
    table = read_table(results / "tables/configurations.csv")
    assert list(table["region"].unique()) == names
    assert "Nothing to be done" in snakemake(folder, settings, "--dry-run")
    # They are drawn again in another order, and where a file has another content.
    cuts = settings["regions"]["sky_cuts"]
    turned = with_regions(dict(reversed(cuts.items())))
    assert ("draw_regions" in snakemake(folder, turned, "--dry-run")) == (len(names) > 1)
    file_of(folder, NORTH & (LONGITUDE < 300), "mask.fits", overwrite=True)
    assert "draw_regions" in snakemake(folder, settings, "--dry-run")
