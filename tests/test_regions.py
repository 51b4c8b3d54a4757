"""Regions: rings and hemispheres of nested masks, drawn on dust or read from Planck's file."""

import healpy as hp
import numpy as np
import pysm3
import pysm3.units as u
import pytest

from patchsep.files.foreign_maps import UnusableMap, map_names
from patchsep.sky.regions import (
    COMBINED,
    FULL_SKY,
    HEMISPHERES,
    Regions,
    draw_regions,
    dust_intensity_masks,
    find_mask_file,
    planck_masks,
    region_names,
    rings_of,
)

NSIDE = 32
N_PIXELS = hp.nside2npix(NSIDE)
LATITUDE = hp.pix2ang(NSIDE, np.arange(N_PIXELS), lonlat=True)[1]
MASKS = ["GAL020", "GAL040", "GAL060"]
RINGS = ("hi", "mid", "low")


@pytest.fixture
def cumulative():
    """Nested masks that keep everything above three latitudes."""
    return np.stack([np.abs(LATITUDE) > limit for limit in (60, 40, 20)])


@pytest.fixture
def planck_file(shared):
    return shared / "sky/masks/gal_masks_nside64.npz"


@pytest.mark.parametrize("split_hemispheres", [False, True])
def test_regions_are_disjoint_and_cover_the_largest_mask(cumulative, split_hemispheres):
    regions = draw_regions(rings_of(cumulative), RINGS, split_hemispheres)
    assert list(regions.names) == region_names(RINGS, split_hemispheres)
    pixels = [regions.pixels(name) for name in regions.names]
    together = np.concatenate(pixels)
    np.testing.assert_array_equal(np.sort(together), regions.pixels(COMBINED))
    np.testing.assert_array_equal(np.sort(together), np.flatnonzero(cumulative[2]))
    assert all(len(region) > 0 for region in pixels)


def test_rings_are_what_each_mask_adds_to_the_one_before(cumulative):
    regions = draw_regions(rings_of(cumulative), RINGS)
    limits = [90, 60, 40, 20]
    for ring, upper, lower in zip(RINGS, limits, limits[1:]):
        inside = (np.abs(LATITUDE) > lower) & (np.abs(LATITUDE) <= upper)
        np.testing.assert_array_equal(regions.pixels(ring), np.flatnonzero(inside))


def test_hemispheres_split_each_ring_by_latitude(cumulative):
    rings, halves = (draw_regions(rings_of(cumulative), RINGS, split) for split in (False, True))
    for ring in RINGS:
        north, south = (halves.pixels(f"{ring}_{side}") for side in HEMISPHERES)
        assert LATITUDE[north].min() > 0 >= LATITUDE[south].max()
        np.testing.assert_array_equal(np.union1d(north, south), rings.pixels(ring))


def test_there_may_be_any_number_of_rings_with_names_of_their_own(cumulative, tmp_path):
    names = ("cap", "collar", "belt", "rest")
    masks = np.concatenate([cumulative, np.ones((1, N_PIXELS), bool)])
    regions = draw_regions(rings_of(masks), names)
    np.testing.assert_array_equal(regions.pixels("rest"), np.flatnonzero(~cumulative[2]))
    np.testing.assert_array_equal(regions.pixels(FULL_SKY), regions.pixels(COMBINED))
    regions.write(tmp_path / "regions.fits", "four rings")
    again = Regions.read(tmp_path / "regions.fits")
    assert again.names == names
    np.testing.assert_array_equal(again.labels, regions.labels)
    assert again.nside == NSIDE


def test_masks_that_are_not_nested_are_refused(cumulative):
    with pytest.raises(UnusableMap, match="mask 2 does not contain mask 1"):
        rings_of(cumulative[[1, 0, 2]])


def test_dust_masks_keep_the_faintest_sky_in_the_fractions_asked_for():
    """Dust that only depends on latitude is masked by latitude, smoothed or not."""
    fractions = [0.2, 0.4, 0.6]
    masks = dust_intensity_masks(1 / (0.1 + np.abs(np.sin(np.radians(LATITUDE)))), fractions, 5)
    np.testing.assert_allclose(masks.mean(axis=1), fractions, atol=1 / N_PIXELS)
    for mask, fraction in zip(masks, fractions, strict=True):
        expected = np.abs(np.sin(np.radians(LATITUDE))) > 1 - fraction
        # One ring of pixels on either side may be cut anywhere.
        assert np.sum(mask != expected) <= 2 * 4 * NSIDE


def test_dust_masks_are_smoothed():
    """A single bright pixel darkens its neighbourhood, not itself alone."""
    intensity = np.ones(N_PIXELS)
    centre = hp.ang2pix(NSIDE, 30, 40, lonlat=True)
    intensity[centre] = 1e4
    fraction = 1 - np.radians(5) ** 2 / 4  # all but a disc of 5 degrees
    masked = np.flatnonzero(~dust_intensity_masks(intensity, [0.2, 0.4, fraction], 10)[2])
    distance = hp.rotator.angdist(hp.pix2vec(NSIDE, centre), hp.pix2vec(NSIDE, masked))
    assert centre in masked
    assert np.degrees(distance.max()) < 5 + 2 * hp.nside2resol(NSIDE, arcmin=True) / 60


def test_planck_masks_have_their_published_pixel_counts(planck_file):
    masks = planck_masks(planck_file, MASKS, 64)
    assert masks.sum(axis=1).tolist() == [9695, 19324, 29009]


def test_dust_masks_of_d1_nearly_are_plancks(planck_file, shared, monkeypatch):
    """Intersection over union of the nested masks, as published with the sky data."""
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
    planck = planck_masks(planck_file, MASKS, 64)
    dust = pysm3.Sky(nside=64, preset_strings=["d1"]).get_emission(353 * u.GHz)[0].value
    drawn = dust_intensity_masks(dust, planck.mean(axis=1).tolist(), 10)
    overlap = np.sum(planck & drawn, axis=1) / np.sum(planck | drawn, axis=1)
    np.testing.assert_allclose(overlap, [0.90, 0.94, 0.99], atol=0.0051)


@pytest.mark.parametrize("nest", [False, True], ids=["ring", "nested"])
def test_masks_read_alike_from_fits_and_from_npz(cumulative, tmp_path, nest):
    maps = cumulative.astype(np.float32)
    np.savez(tmp_path / "masks.npz", **dict(zip(MASKS, maps, strict=True)))
    stored = [hp.reorder(mask, r2n=True) for mask in maps] if nest else list(maps)
    hp.write_map(tmp_path / "masks.fits", stored, nest=nest, column_names=MASKS)
    wanted = ["GAL040", "GAL020", "GAL060"]
    for path in (tmp_path / "masks.npz", tmp_path / "masks.fits"):
        assert map_names(path) == MASKS
        np.testing.assert_array_equal(planck_masks(path, wanted, NSIDE), cumulative[[1, 0, 2]])


def test_coarser_masks_keep_pixels_that_are_mostly_kept(cumulative, tmp_path):
    path = tmp_path / "masks.npz"
    np.savez(path, **dict(zip(MASKS, cumulative, strict=True)))
    children = hp.reorder(cumulative.T.astype(float).T, r2n=True).reshape(3, -1, 4)
    expected = hp.reorder((children.sum(axis=2) > 2).astype(float), n2r=True) > 0
    np.testing.assert_array_equal(planck_masks(path, MASKS, NSIDE // 2), expected)


@pytest.mark.parametrize("unseen", [hp.UNSEEN, np.nan, 0.0])
@pytest.mark.parametrize("name", ["masks.fits", "masks.npz"])
def test_pixels_that_a_mask_does_not_know_are_not_kept(cumulative, tmp_path, name, unseen):
    """Averaged to a coarser resolution they count as masked, whatever stands for them."""
    path = tmp_path / name
    maps = np.where(cumulative, 1.0, unseen).astype(np.float32)
    if path.suffix == ".npz":
        np.savez(path, **dict(zip(MASKS, maps, strict=True)))
    else:
        hp.write_map(path, maps, column_names=MASKS, dtype=np.float32)
    expected = hp.ud_grade(cumulative.astype(float), NSIDE // 2) > 0.5
    np.testing.assert_array_equal(planck_masks(path, MASKS, NSIDE // 2), expected)


def test_masks_of_a_partial_sky_are_those_of_their_names(cumulative, tmp_path):
    """Each column is the mask of its name, though the pixels' indices are a column before them."""
    kept = np.where(cumulative[2], 1.0, hp.UNSEEN)
    masks = [np.where(cumulative[2], mask, hp.UNSEEN) for mask in cumulative]
    names = ["ANY", *MASKS]
    path = tmp_path / "masks.fits"
    hp.write_map(path, [kept, *masks], column_names=names, partial=True, dtype=float)
    np.testing.assert_array_equal(planck_masks(path, MASKS, NSIDE), cumulative)


@pytest.mark.parametrize("letter", ["C", "E"])
def test_masks_in_other_coordinates_are_the_galactic_ones_but_at_their_edges(
    cumulative, tmp_path, letter
):
    """Drawn at the same latitudes of the Galaxy, on pixels of other coordinates."""
    pixels = hp.pix2vec(NSIDE, np.arange(N_PIXELS))
    height = hp.Rotator(coord=[letter, "G"])(np.array(pixels))[2]
    masks = [np.abs(height) > np.sin(np.radians(limit)) for limit in (60, 40, 20)]
    path = tmp_path / "masks.fits"
    hp.write_map(path, np.array(masks, float), column_names=MASKS, coord=letter, dtype=float)
    found = planck_masks(path, MASKS, NSIDE)
    for mask, expected, limit in zip(found, cumulative, (60, 40, 20), strict=True):
        wrong = np.abs(np.abs(LATITUDE[mask != expected]) - limit)
        assert len(wrong) < 0.02 * N_PIXELS
        assert np.all(wrong < np.degrees(hp.nside2resol(NSIDE)))


def test_the_first_mask_file_that_exists_is_used(tmp_path):
    (tmp_path / "here.npz").touch()
    candidates = [str(tmp_path / "missing.npz"), str(tmp_path / "here.npz")]
    assert find_mask_file(candidates) == tmp_path / "here.npz"
    assert find_mask_file(candidates[0]) is None
