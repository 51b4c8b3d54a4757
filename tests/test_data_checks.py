"""Data that a configuration needs, Planck's masks and PySM's templates, are looked at first."""

import healpy as hp
import numpy as np
import pytest
from refusals import SOURCE, config_with, problems_of

from patchsep.running.settings import load_settings

pytestmark = pytest.mark.usefixtures("repository")

# Multiresolution at the default run's nside is too fine for coarser maps.
UNIFORM = {"methods": {"uniform": {"strategy": "uniform"}}, "figures.drawn": []}


def planck_masks(path, masks=("GAL020", "GAL040", "GAL060")):
    return {"method": "planck_masks", "mask_file": str(path), "masks": list(masks)}


# Planck's masks


@pytest.fixture
def mask_file(tmp_path):
    """Three nested masks at nside 32."""
    path = tmp_path / "masks.npz"
    n_pixels = hp.nside2npix(32)
    kept = {f"GAL0{percent}": n_pixels * percent // 100 for percent in (20, 40, 60)}
    np.savez(path, **{name: np.arange(n_pixels) < count for name, count in kept.items()})
    return path


def test_masks_from_an_npz_file_can_be_used(mask_file):
    settings = load_settings(config_with({"regions": planck_masks(mask_file)}), SOURCE)
    assert settings["regions"]["mask_file"] == str(mask_file)


def test_nside_above_that_of_the_masks_is_refused(mask_file):
    (line,) = problems_of({"nside": 64, "regions": planck_masks(mask_file)})
    assert line.startswith(f"{SOURCE}: nside: 64 is above the 32 of mask GAL020 in {mask_file}")
    assert line.endswith("use 32 or less")


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


@pytest.mark.parametrize("name", ["masks.npz", "masks.fits"])
def test_a_mask_file_that_holds_something_else_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("<html>not found</html>")
    (line,) = problems_of({"regions": planck_masks(path)})
    assert line == (
        f"{SOURCE}: regions.mask_file: {path} does not hold HEALPix maps; download it again"
    )


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
        ("d10", "dust_gnilc/gnilc_dust_Td_nside{nside}_2023.06.06.fits and 2 more"),
        ("s6", "synch/raw/synch_amplitude_modulation_alms_lmax768.fits.gz and 7 more"),
    ],
)
def test_a_preset_whose_templates_are_not_in_the_local_data_is_refused(templates, preset, template):
    (line,) = problems_of({"foregrounds.model": ["d0", preset], "nside": 16, **UNIFORM})
    assert line.startswith(f"{SOURCE}: foregrounds.model: {preset} needs {template}, not in ")
    assert f"PYSM_LOCAL_DATA ({templates.parent})" in line
    assert line.endswith("choose presets that it holds, or unset it to let PySM download them")


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


def test_without_local_data_every_preset_is_left_to_pysm():
    settings = load_settings(config_with({"foregrounds.model": ["d4", "s5"]}), SOURCE)
    assert settings["foregrounds"]["model"] == ["d4", "s5"]
