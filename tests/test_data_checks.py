"""Data that a configuration needs, masks, templates and PySM's maps, are looked at first."""

import os
import shutil

import healpy as hp
import numpy as np
import pytest
from refusals import SOURCE, config_with, problems_of
from workflows import REMOVED, new_folder, snakemake, tiny, with_changes

from patchsep.running.data_checks import template_contents
from patchsep.running.settings import load_settings
from patchsep.sky.presets import presets
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("repository")

# Multiresolution at the default run's nside is too fine for coarser maps.
UNIFORM = {"methods": {"uniform": {"strategy": "uniform"}}, "figures.drawn": []}


def planck_masks(path, masks=("GAL020", "GAL040", "GAL060")):
    return {"method": "planck_masks", "mask_file": str(path), "masks": list(masks)}


# Planck's masks


MASK_NSIDE = 32
N_PIXELS = hp.nside2npix(MASK_NSIDE)
# Three nested masks.
MASKS = {
    f"GAL0{percent}": np.arange(N_PIXELS) < N_PIXELS * percent // 100 for percent in (20, 40, 60)
}


@pytest.fixture
def mask_file(tmp_path):
    np.savez(tmp_path / "masks.npz", **MASKS)
    return tmp_path / "masks.npz"


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
        f"{region} has no pixel; choose other masks or sky fractions",
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


# PySM's templates


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """A PYSM_LOCAL_DATA with the templates of d0, and of nothing else, at nside 16."""
    folder = tmp_path / "pysm_2"
    folder.mkdir()
    for stokes in "tqu":
        hp.write_map(
            folder / f"dust_{stokes}_new.fits", np.ones(hp.nside2npix(16)), dtype=np.float32
        )
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(tmp_path))
    return folder


def test_nside_above_that_of_the_templates_is_refused(templates):
    (line,) = problems_of({"foregrounds.model": ["d0"]})
    assert line.startswith(f"{SOURCE}: nside: 32 is above the 16 of d0's templates")
    assert str(templates.parent) in line
    assert line.endswith("use 16 or less")


def test_nside_above_that_of_real_templates_is_refused(shared, monkeypatch):
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
    lines = problems_of({"foregrounds.model": ["d1", "s1"], "nside": 128})
    for line, preset in zip(lines, ["d1", "s1"], strict=True):
        assert line.startswith(f"{SOURCE}: nside: 128 is above the 64 of {preset}'s templates")


@pytest.mark.parametrize(
    ("preset", "template"),
    [
        ("d4", "pysm_2/dust2comp_I1_ns512_545.fits and 9 more"),
        ("d10", "dust_gnilc/gnilc_dust_Td_nside2048_2023.06.06.fits and 2 more"),
        ("s6", "synch/raw/synch_amplitude_modulation_alms_lmax768.fits.gz and 7 more"),
        # Named in the code of PySM's classes.
        ("d5", "pysm_2/sil_fe00_2.0.dat"),
        ("d7", "pysm_2/sil_fe00_2.0.dat"),
        ("d8", "pysm_2/sil_fe00_2.0.dat"),
        ("co1", "co/HFI_CompMap_CO-Type1_512_R2.00_ring.fits"),
        ("co3", "co/HFI_CompMap_CO-Type1_512_R2.00_ring.fits"),
        # Read only when the emission is asked for.
        ("cib1", "websky/0.4/cib/cib_0353.0.fits"),
        ("rg1", "websky/0.4/radio/radio_0353.0.fits"),
    ],
)
def test_a_preset_whose_templates_are_not_in_the_local_data_is_refused(templates, preset, template):
    (line,) = problems_of({"foregrounds.model": [preset], "nside": 16, **UNIFORM})
    assert line.startswith(f"{SOURCE}: foregrounds.model: {preset} needs {template}, not in ")
    assert f"PYSM_LOCAL_DATA ({templates.parent})" in line
    assert line.endswith("choose presets that it holds, or unset it to let PySM download them")


@pytest.mark.parametrize("preset", presets())
def test_no_preset_of_pysm_is_taken_to_need_nothing(tmp_path, monkeypatch, preset):
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(tmp_path))
    (line,) = problems_of({"foregrounds.model": [preset], "nside": 16, **UNIFORM})
    assert f"{preset} needs " in line or f"{preset} is a CMB" in line


def test_templates_with_nside_or_layer_in_their_name_are_found(templates):
    folder = templates.parent / "mkd_dust/2048"
    folder.mkdir(parents=True)
    for kind in ("ampl", "specind", "temp"):
        (folder / f"thermaldust_{kind}1.fits").hardlink_to(templates / "dust_t_new.fits")
    changes = {"foregrounds.model": ["d12"], "nside": 16, **UNIFORM}
    assert load_settings(config_with(changes), SOURCE)["foregrounds"]["model"] == ["d12"]


def test_a_template_that_is_not_a_map_is_refused(templates):
    (templates / "dust_q_new.fits").write_text("<html>not found</html>")
    (line,) = problems_of({"foregrounds.model": ["d0"], "nside": 16, **UNIFORM})
    assert line == (
        f"{SOURCE}: foregrounds.model: {templates}/dust_q_new.fits is not a map; copy it again"
    )


def test_half_a_compressed_template_is_not_a_map(templates, monkeypatch):
    path = templates / "dust_q_new.fits.gz"
    hp.write_map(path, np.random.default_rng(0).normal(size=hp.nside2npix(16)), dtype=np.float32)
    path.write_bytes(path.read_bytes()[:300])
    name = "pysm_2/dust_q_new.fits.gz"
    monkeypatch.setattr("patchsep.sky.presets.templates", lambda preset, nside: [name])
    (line,) = problems_of({"foregrounds.model": ["d0"], "nside": 16, **UNIFORM})
    assert line == f"{SOURCE}: foregrounds.model: {path} is not a map; copy it again"


def test_without_local_data_every_preset_is_left_to_pysm():
    settings = load_settings(config_with({"foregrounds.model": ["d4", "s5"]}), SOURCE)
    assert settings["foregrounds"]["model"] == ["d4", "s5"]


def test_a_preset_needs_only_what_its_class_reads(templates):
    """co1 is not polarized: of four files that its class names it reads one."""
    folder = templates.parent / "co"
    folder.mkdir()
    lines = np.ones((3, hp.nside2npix(16)))
    hp.write_map(folder / "HFI_CompMap_CO-Type1_512_R2.00_ring.fits", lines)
    changes = {"foregrounds.model": ["d0", "co1"], "nside": 16, **UNIFORM}
    assert load_settings(config_with(changes), SOURCE)["foregrounds"]["model"] == ["d0", "co1"]
    (line,) = problems_of(changes | {"foregrounds.model": ["d0", "co2"]})
    assert "co2 needs co/psimap_dust90_512.fits, not in PYSM_LOCAL_DATA" in line


# What presets are


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (["d1", "d4"], "d1 and d4 are each the Galaxy's dust; keep one of them"),
        (["d5", "d12", "s1"], "d5 and d12 are each the Galaxy's dust"),
        (["d1", "s1", "s3"], "s1 and s3 are each the Galaxy's synchrotron"),
        (["d1", "s6", "s0"], "s6 and s0 are each the Galaxy's synchrotron"),
        (["d1", "s1", "c3"], "c3 is a CMB; remove it, cmb describes it"),
        (["d1", "s1", "dip1"], "dip1 is a CMB; remove it, cmb describes it"),
    ],
)
def test_presets_are_taken_for_what_pysm_makes_of_them(model, said):
    (line,) = problems_of({"foregrounds.model": model})
    assert line.startswith(f"{SOURCE}: foregrounds.model: {said}")


def test_power_laws_without_polarization_are_no_synchrotron():
    settings = load_settings(config_with({"foregrounds.model": ["d1", "s1", "f1", "a2"]}), SOURCE)
    assert settings["foregrounds"]["model"] == ["d1", "s1", "f1", "a2"]


# True maps of spectral parameters

ONE_EACH = {"beta_dust": 1, "temp_dust": 1, "beta_synch": 1}
TRUE = {"strategy": "true_parameters", "patches": dict.fromkeys(("hi", "mid", "low"), ONE_EACH)}
NEGLECTED = {"likelihood.foreground_residual": ["neglected"]}
FIELDS = {"strategy": "fields", "maps": {"beta_synch": "true"}}


@pytest.mark.parametrize(
    ("model", "method", "key", "parameters", "why"),
    [
        (["d1", "s1", "f1"], FIELDS, "maps.beta_synch", ["beta_synch"], "s1 and f1 have one each"),
        (["d1", "s1", "f1"], TRUE, "strategy", ["beta_synch"], "s1 and f1 have one each"),
        (["d1"], FIELDS, "maps.beta_synch", ["beta_synch"], "none of d1 has one"),
        (["d4", "s1"], TRUE, "strategy", ["beta_dust", "temp_dust"], "none of d4, s1 has one"),
        (["d12", "s1"], TRUE, "strategy", ["beta_dust", "temp_dust"], "none of d12, s1 has one"),
    ],
)
def test_a_true_map_that_the_sky_does_not_have_is_refused(model, method, key, parameters, why):
    lines = problems_of({"foregrounds.model": model, "methods.t": method, **NEGLECTED})
    for line, parameter in zip(lines, parameters, strict=True):
        assert line.startswith(
            f"{SOURCE}: methods.t.{key}: foregrounds.model has no one true map of {parameter} "
            f"({why}); remove"
        )


@pytest.mark.workflow
@pytest.mark.parametrize("target", ["calibration", "validation"])
def test_skies_of_components_that_are_not_there_are_refused_before_any_job(
    shared, monkeypatch, tmp_path, target
):
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
    folder = new_folder(tmp_path, "run")
    settings = with_changes(tiny(), {"foregrounds.model": ["d1", "s1", "f1"]})
    # A run of the whole chain has no need of them.
    snakemake(folder, settings, "--dry-run", "--quiet", "all")
    said = snakemake(folder, settings, target, succeeds=False)
    assert "foregrounds.model: validation and calibration need one component" in said
    assert "(beta_synch: s1 and f1 have one each); choose presets such as [d1, s1]" in said
    assert not (folder / "results/tiny/maps").exists()


def test_a_true_map_is_needed_on_those_skies_of_tests_that_the_method_is_tested_on():
    unknown = {"model": ["d5", "s1"]}
    changes = {"methods.t": TRUE, "foregrounds.model": ["d1", "s1"], **NEGLECTED}
    changes |= {"test_sets.unseen.foregrounds": unknown}
    first, _ = problems_of(changes)
    assert "test_sets.unseen.foregrounds.model has no one true map of beta_dust" in first
    load_settings(config_with(changes | {"test_sets.unseen.methods": ["kmeans"]}), SOURCE)


# What simulations depend on


def test_what_is_simulated_depends_on_the_content_of_what_its_presets_read(templates, monkeypatch):
    before = template_contents(["d0"], 16)
    assert sorted(before) == [f"pysm_2/dust_{stokes}_new.fits" for stokes in "qtu"]
    (templates / "synch_t_new.fits").write_bytes(b"of another preset")
    assert template_contents(["d0"], 16) == before
    elsewhere = templates.parent / "elsewhere"
    shutil.copytree(templates, elsewhere / "pysm_2")
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(elsewhere))
    assert template_contents(["d0"], 16) == before
    third = templates.parent / "third"
    shutil.copytree(templates, third / "pysm_2")
    (third / "pysm_2/dust_q_new.fits").write_bytes(b"other")
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(third))
    after = template_contents(["d0"], 16)
    assert [name for name in before if before[name] != after[name]] == ["pysm_2/dust_q_new.fits"]


def test_files_that_the_code_of_a_class_names_count_too(templates):
    (templates / "car_1.0.dat").write_text("1 2 3")
    assert "pysm_2/car_1.0.dat" in template_contents(["d5"], 16)
    assert template_contents("embedded", 16) == {}


@pytest.mark.workflow
def test_other_templates_are_simulated_again(templates, tmp_path):
    changes = {"foregrounds": {"model": ["d0"]}, "test_sets": REMOVED}
    folder, settings = new_folder(tmp_path, "run"), with_changes(tiny(), changes)
    target = "results/tiny/maps/foregrounds.fits"
    snakemake(folder, settings, target)
    assert "Nothing to be done" in snakemake(folder, settings, "--dry-run", target)
    hp.write_map(
        templates / "dust_q_new.fits",
        2 * np.ones(hp.nside2npix(16)),
        dtype=np.float32,
        overwrite=True,
    )
    said = snakemake(folder, settings, "--dry-run", target)
    assert "simulate_foregrounds" in said


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


VALIDATION = "results/tiny/validation"


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("calibrate", ["calibration_skies.csv", "calibration.csv", "calibration_pulls.csv"]),
        (
            "validate_selection",
            [f"known_patches/1-1-1_{kind}.csv" for kind in ("estimates", "selected", "pulls")],
        ),
    ],
)
def test_skies_that_are_simulated_by_other_rules_depend_on_templates_too(
    templates, mask_file, tmp_path, rule, files
):
    """With masks from a file nothing that they read is of the training sky's foregrounds."""
    for stokes in "tqu":
        shutil.copy(templates / "dust_t_new.fits", templates / f"synch_{stokes}_new.fits")
    changes = {
        "foregrounds": {"model": ["d0", "s0"]},
        "test_sets": REMOVED,
        "regions": planck_masks(mask_file),
    }
    folder, settings = new_folder(tmp_path, "run"), with_changes(tiny(), changes)
    targets = [f"{VALIDATION}/{name}" for name in files]
    # Its inputs are made; its outputs, which take minutes, are taken to be.
    of_region = ["results/tiny/spectra/theory/consistent/hi.csv"]
    snakemake(folder, settings, "results/tiny/maps/regions.fits", *of_region)
    for name in targets:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    snakemake(folder, settings, "--touch", "--forceall", *targets)
    assert "Nothing to be done" in snakemake(folder, settings, "--dry-run", *targets)
    (templates / "dust_q_new.fits").write_bytes((templates / "dust_t_new.fits").read_bytes() + b" ")
    assert rule in snakemake(folder, settings, "--dry-run", *targets)
