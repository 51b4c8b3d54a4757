"""Data that a configuration needs, masks, templates and PySM's maps, are looked at first."""

import os

import healpy as hp
import numpy as np
import pytest
from refusals import MASKS, N_PIXELS, SOURCE, config_with, planck_masks, problems_of
from workflows import REMOVED, new_folder, snakemake, tiny, with_changes

from patchsep.running.settings import load_settings
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("repository")


# Planck's masks


def problem_of_masks(path, **changes):
    """What is said of masks: the key, and the rest of the line."""
    np.savez(path, **MASKS | changes)
    (line,) = problems_of({"regions": planck_masks(path)})
    _, key, message = line.split(": ", 2)
    return key, message


def test_masks_from_an_npz_file_can_be_used(mask_file):
    settings = load_settings(config_with({"regions": planck_masks(mask_file)}), SOURCE)
    assert settings["regions"]["mask_file"] == str(mask_file)


def test_masks_from_a_partial_sky_can_be_used(tmp_path):
    path = tmp_path / "masks.fits"
    seen = [np.where(mask, 1.0, hp.UNSEEN) for mask in MASKS.values()]
    # What no mask keeps is not in the file: the pixels are those that the first column has.
    kept = np.where(MASKS["GAL060"], 1.0, hp.UNSEEN)
    names = ["ANY", *MASKS]
    hp.write_map(path, [kept, *seen], column_names=names, partial=True, dtype=float)
    assert load_settings(config_with({"regions": planck_masks(path)}), SOURCE)


def test_nside_above_that_of_the_masks_is_refused(mask_file):
    (line,) = problems_of({"nside": 64, "regions": planck_masks(mask_file)})
    assert line == (
        f"{SOURCE}: regions.mask_file: {mask_file}: GAL020 has nside 32, and the run 64; use "
        "nside 32 or less"
    )


@pytest.mark.parametrize("scale", [100, -1, 1.001])
def test_masks_with_values_beyond_0_and_1_are_refused(tmp_path, scale):
    path = tmp_path / "masks.npz"
    key, message = problem_of_masks(path, GAL040=scale * MASKS["GAL040"])
    assert key == "regions.mask_file"
    assert message == (
        f"{path}: GAL040 has values from {min(0, scale):g} to {max(0, scale):g}; a mask is 1 "
        "where the sky is kept and 0 elsewhere"
    )


def test_masks_that_are_not_nested_are_refused_before_any_job(tmp_path):
    key, message = problem_of_masks(tmp_path / "masks.npz", GAL040=MASKS["GAL020"][::-1])
    assert key == "regions"
    assert message.startswith("mask 3 does not contain mask 2; list the masks from the smallest")


def test_masks_that_are_1_where_the_sky_is_masked_are_refused(tmp_path):
    inverted = {name: ~mask for name, mask in MASKS.items()}
    key, message = problem_of_masks(tmp_path / "masks.npz", **inverted)
    assert key == "regions"
    assert message.endswith(
        "does not contain mask 2; list the masks from the smallest sky to the "
        "largest, each 1 where the sky is kept"
    )


@pytest.mark.parametrize(
    ("changes", "region"),
    [
        ({"GAL020": np.zeros(N_PIXELS)}, "hi"),
        ({"GAL040": MASKS["GAL020"]}, "mid"),
        # Averaged with what is not seen, all of it is below one half.
        ({"GAL020": np.full(N_PIXELS, hp.UNSEEN)}, "hi"),
    ],
)
def test_regions_without_pixels_are_refused_before_any_job(tmp_path, changes, region):
    key, message = problem_of_masks(tmp_path / "masks.npz", **changes)
    assert (key, message) == (
        "regions",
        f"{region} has no pixel; choose other masks, sky fractions or cuts",
    )


@pytest.mark.parametrize("estimator", ["pseudo", "decoupled"])
def test_regions_of_too_few_modes_are_refused_before_any_job(tmp_path, estimator):
    """A ring of ten pixels: of 12288 such, and bins of 4 multipoles up to 63, it has 0.4 modes."""
    path = tmp_path / "masks.npz"
    np.savez(path, **MASKS | {"GAL020": np.arange(N_PIXELS) < 10})
    spectra = {"estimator": estimator, "apodization": 0.0, "bin_width": 4}
    changes = {"regions": planck_masks(path), "spectra": spectra}
    if estimator == "pseudo":
        # As published: all bins are used.
        assert load_settings(config_with(changes), SOURCE)
        return
    (line,) = problems_of(changes)
    assert line.startswith(
        f"{SOURCE}: regions: hi is too small for spectra.estimator decoupled: no bin has modes "
        "enough; choose larger masks"
    )


def test_regions_that_apodization_takes_away_are_refused_before_any_job(tmp_path):
    path = tmp_path / "masks.npz"
    np.savez(path, **MASKS | {"GAL020": np.arange(N_PIXELS) == 0})
    spectra = {"estimator": "pure", "apodization": 20.0}
    (line,) = problems_of({"regions": planck_masks(path), "spectra": spectra})
    assert line.startswith(f"{SOURCE}: regions: hi is too small for spectra.estimator pure")


def test_an_entry_that_is_no_map_does_not_matter_unless_it_is_asked_for(tmp_path):
    path = tmp_path / "masks.npz"
    np.savez(path, **MASKS, ABOUT=np.array("made by hand"))
    assert load_settings(config_with({"regions": planck_masks(path)}), SOURCE)
    (line,) = problems_of({"regions": planck_masks(path, ["GAL020", "GAL040", "ABOUT"])})
    assert line == (
        f"{SOURCE}: regions.mask_file: {path}: ABOUT does not hold numbers; name another map"
    )


def test_jobs_do_not_read_masks_again_that_the_run_has_read(tmp_path):
    path = tmp_path / "masks.npz"
    path.touch()
    assert load_settings(config_with({"regions": planck_masks(path)}), SOURCE, with_data=False)


def test_a_mask_that_the_file_does_not_hold_is_refused(mask_file):
    regions = planck_masks(mask_file, ["gal020", "GAL040", "GAL060"])
    (line,) = problems_of({"regions": regions})
    assert line == (
        f"{SOURCE}: regions.masks: {mask_file} has no mask 'gal020'; did you mean GAL020?"
    )


def test_a_missing_mask_file_is_named_with_two_ways_out(tmp_path):
    (line,) = problems_of({"regions": planck_masks(tmp_path / "none.fits")})
    assert line.startswith(f"{SOURCE}: regions.mask_file: found no {tmp_path / 'none.fits'}; ")
    assert "download Planck's Galactic masks" in line
    assert "or use regions.method dust_intensity" in line


def test_all_places_tried_for_the_mask_file_are_named():
    places = ["data/one.fits", "${NOWHERE}/two.npz"]
    (line,) = problems_of({"regions": planck_masks("") | {"mask_file": places}})
    assert all(place in line for place in places)


NO_MAP = (
    "it does not hold HEALPix maps, or is damaged; download or copy it again, or name another file"
)


@pytest.mark.parametrize("name", ["masks.npz", "masks.fits", "masks.png"])
def test_a_mask_file_that_holds_something_else_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("<html>not found</html>")
    (line,) = problems_of({"regions": planck_masks(path)})
    assert line == f"{SOURCE}: regions.mask_file: {path} cannot be read: {NO_MAP}"


# Templates of methods


def methods_with_map(path):
    bins = dict.fromkeys(("hi", "mid", "low"), dict.fromkeys(DUST_AND_SYNCHROTRON.names, 10))
    template = {"strategy": "template", "patches": bins, "maps": {"beta_dust": str(path)}}
    fields = {"strategy": "fields", "maps": {"beta_dust": str(path)}}
    return {"methods.binned": template, "methods.mean": fields}


def test_templates_of_any_nside_from_either_kind_of_file_can_be_used(tmp_path):
    values = np.full(hp.nside2npix(8), 1.5)
    np.savez(tmp_path / "map.npz", BETA_DUST=values)
    hp.write_map(tmp_path / "map.fits", values, dtype=float)
    for name in ("map.npz", "map.fits"):
        assert load_settings(config_with(methods_with_map(tmp_path / name)), SOURCE)


def refused_templates(folder):
    """Files that are no template of beta_dust, and what is said of them."""
    path = folder / "map.png"
    path.write_bytes(b"\x89PNG")
    yield path, f"{path} cannot be read: {NO_MAP}"
    path = folder / "map.fits"
    hp.write_map(path, np.ones((2, 48)), column_names=["P", "Q"], dtype=float)
    yield path, f"{path} has the columns P, Q; name one of them BETA_DUST"
    path = folder / "map.npz"
    np.savez(path, BETA_DUST=np.full(48, hp.UNSEEN))
    yield path, f"{path} is not known in any pixel; name another map"


def test_what_is_no_template_is_refused_before_any_job(tmp_path):
    for path, message in refused_templates(tmp_path):
        assert problems_of(methods_with_map(path)) == [
            f"{SOURCE}: methods.{name}.maps.beta_dust: {message}" for name in ("binned", "mean")
        ]


@pytest.mark.workflow
def test_other_maps_of_users_are_used_however_old_they_are(mask_file, tmp_path):
    """As copies are that keep time stamps; a template and masks of two kinds."""
    template = tmp_path / "map.npz"
    np.savez(template, BETA_DUST=np.full(N_PIXELS, 1.5))
    numbers = {"beta_dust": 2, "temp_dust": 1, "beta_synch": 1}
    bins = {ring: numbers for ring in ("hi", "mid", "low")}
    maps = {"beta_dust": str(template), "temp_dust": "true", "beta_synch": "true"}
    changes = {
        "regions": planck_masks(mask_file),
        "methods.binned": {"strategy": "template", "patches": bins, "maps": maps},
        "test_sets": REMOVED,
    }
    folder, settings = new_folder(tmp_path, "run"), with_changes(tiny(), changes)
    targets = ["results/tiny/maps/regions.fits", "results/tiny/maps/templates_binned.fits"]
    snakemake(folder, settings, *targets)
    # The same content with another time before that of the results is the same.
    for path in (mask_file, template):
        os.utime(path, (1e9, 1e9))
    assert "Nothing to be done" in snakemake(folder, settings, "--dry-run", *targets)
    np.savez(mask_file, **MASKS | {"GAL060": np.arange(N_PIXELS) < N_PIXELS // 2})
    np.savez(template, BETA_DUST=np.full(N_PIXELS, 1.6))
    for path in (mask_file, template):
        os.utime(path, (1e9, 1e9))
    said = snakemake(folder, settings, "--dry-run", *targets)
    assert "draw_regions" in said
    assert "prepare_templates" in said
