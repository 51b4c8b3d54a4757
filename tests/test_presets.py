"""PySM's presets: what they are, what they read, and what a sky of them has."""

import shutil

import healpy as hp
import numpy as np
import pytest
from refusals import SOURCE, UNIFORM, config_with, planck_masks, problems_of
from workflows import REMOVED, new_folder, snakemake, tiny, with_changes

from patchsep.running.data_checks import template_contents
from patchsep.running.settings import load_settings
from patchsep.sky.presets import presets

pytestmark = pytest.mark.usefixtures("repository")


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
