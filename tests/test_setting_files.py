"""Files that settings are in, and files that they name: paths, instruments, published numbers."""

import json
import shutil
import subprocess
import sys

import healpy as hp
import numpy as np
import pytest
import yaml
from refusals import SOURCE, TEMPLATE, config_with, problems_of
from workflows import ROOT

from patchsep.running.schema import SettingsError, read_yaml
from patchsep.running.settings import load_settings

pytestmark = pytest.mark.usefixtures("repository")

# Paths

# Of the default model.
SPECTRA = {"dust": "modified_black_body", "synch": "power_law"}


@pytest.mark.parametrize("home", ["~", "${MY_DATA}", "$MY_DATA"])
def test_every_path_may_have_variables_and_a_home(tmp_path, monkeypatch, home):
    """Every key that the schema says is a path: there is no other way to read a file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    shutil.copy(ROOT / "config/instruments/pico.yaml", tmp_path / "pico.yaml")
    shutil.copy(ROOT / "config/published/arxiv_2604.08463.yaml", tmp_path / "published.yaml")
    pixels = np.arange(hp.nside2npix(32))
    masks = {f"GAL0{percent}": pixels < percent * 100 for percent in (20, 40, 60)}
    np.savez(tmp_path / "masks.npz", **masks)
    np.savez(tmp_path / "beta.npz", BETA_DUST=1.5 + 0 * pixels)
    (tmp_path / "dust.txt").write_text("10 1\n500 900\n")
    tabulated = {"spectrum": "tabulated", "file": f"{home}/dust.txt"}
    components = {name: {"spectrum": of} for name, of in SPECTRA.items()}
    template = TEMPLATE | {"maps": {"beta_dust": f"{home}/beta.npz"}}
    regions = {"method": "planck_masks", "mask_file": ["no.npz", f"{home}/masks.npz"]}
    changes = {
        "instrument": f"{home}/pico.yaml",
        "components": components | {"known": tabulated},
        "published": f"{home}/published.yaml",
        "regions": regions,
        "methods.t": template,
    }
    settings = load_settings(config_with(changes), SOURCE)
    assert settings["instrument"] == [f"{tmp_path}/pico.yaml"]
    assert settings["components"]["known"]["table"] == [[10.0, 500.0], [1.0, 900.0]]
    assert settings["published"] == f"{tmp_path}/published.yaml"
    assert settings["regions"]["mask_file"] == ["no.npz", f"{tmp_path}/masks.npz"]
    assert settings["methods"]["t"]["maps"] == {"beta_dust": f"{tmp_path}/beta.npz"}
    missing = {
        "instrument": f"{home}/none",
        "components": components | {"known": tabulated | {"file": f"{home}/none"}},
        "published": f"{home}/none",
        "regions": regions | {"mask_file": f"{home}/none"},
        "methods.t": template | {"maps": {"beta_dust": f"{home}/none"}},
    }
    for key, value in missing.items():
        (line,) = problems_of(changes | {key: value})
        assert f"{tmp_path}/none" in line


# Instruments


def test_a_missing_instrument_file_is_named_with_one_that_exists():
    (line,) = problems_of({"instrument": "config/instruments/litebrid.yaml"})
    assert line == (
        f"{SOURCE}: instrument: 'config/instruments/litebrid.yaml' is not a file; "
        "did you mean config/instruments/litebird.yaml?"
    )


@pytest.mark.parametrize("key", ["depth_p", "beam"])
def test_an_instrument_needs_one_depth_and_one_beam_per_band(instrument, key):
    path = instrument(**{key: [1.0, 2.0, 3.0, 4.0]})
    (line,) = problems_of({"instrument": path})
    assert line == (f"{path}: {key}: 4 values for 15 bands in frequency; give one per band")


@pytest.mark.parametrize(
    ("changes", "key", "mend"),
    [
        ({"depth_p": [-1.0] * 15}, "depth_p.0", "must be above 0"),
        ({"frequency": [4e10] * 15}, "frequency.0", "is above 10000; use 10000 or less"),
        ({"frequency": [0.04] * 15}, "frequency.0", "is below 1; use 1 or more"),
        ({"beam": 30}, "beam", "needed is a list"),
        ({"frequency": []}, "frequency", "at least 1 are needed"),
        ({"depth": [1.0] * 15}, "depth", "did you mean depth_p?"),
    ],
)
def test_an_instrument_file_is_checked_like_a_configuration(instrument, changes, key, mend):
    path = instrument(**changes)
    line, *_ = problems_of({"instrument": path})
    assert line.startswith(f"{path}: {key}")
    assert mend in line


def test_an_instrument_given_by_name_is_answered_with_the_files_there_are():
    (line,) = problems_of({"instrument": "LiteBIRD"})
    assert line.startswith(f"{SOURCE}: instrument: 'LiteBIRD' is not a file; known are config/")


@pytest.mark.parametrize("content", [b"name: [1,", b"name:\n\t- a", b"\xff\xfe\x00"])
def test_an_instrument_file_that_is_not_yaml_is_refused(tmp_path, content):
    path = tmp_path / "instrument.yaml"
    path.write_bytes(content)
    (line,) = problems_of({"instrument": str(path)})
    assert line.startswith(f"{path}: this is not YAML")


# Published numbers

NUMBER = {"number": "n", "published": 3, "source": "a table", "table": "t.csv", "column": "x"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the file: nothing is given; needed is a list"),
        (NUMBER, "is given; needed is a list"),
        (["n"], "0: 'n' is given; needed is a section with keys of its own"),
        ([{key: NUMBER[key] for key in NUMBER if key != "table"}], "0.table: missing; add this"),
        ([NUMBER, NUMBER | {"take": "median"}], "1.take: 'median' is unknown; did you mean mean?"),
        ([NUMBER | {"colunm": "y"}], "0.colunm: unknown key; did you mean column?"),
        ([NUMBER | {"published": [3]}], "0.published: [3] does not fit here. Needed is the"),
    ],
)
def test_a_file_of_published_numbers_is_checked_like_a_configuration(tmp_path, content, problem):
    path = tmp_path / "numbers.yaml"
    path.write_text(yaml.safe_dump(content))
    (line,) = problems_of({"published": str(path)})
    assert line.startswith(f"{path}: ")
    assert problem in line


def test_a_file_of_published_numbers_that_is_not_yaml_is_refused(tmp_path):
    path = tmp_path / "numbers.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    (line,) = problems_of({"published": str(path)})
    assert line.startswith(f"{path}: this is not YAML")


TWICE = """\
nside: 32
methods:
  kmeans: {strategy: kmeans}
  uniform: {strategy: uniform}
  kmeans: {strategy: uniform}
figures:
  drawn:
    - {name: a, name: b}
nside: 64
"""


def test_keys_given_twice_are_refused_with_their_lines(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(TWICE)
    with pytest.raises(SettingsError) as caught:
        read_yaml(path)
    mend = "keep one, or give the others another name"
    assert str(caught.value).splitlines() == [
        f"{path}: figures.drawn.0.name: given 2 times, in lines 8 and 8; {mend}",
        f"{path}: methods.kmeans: given 2 times, in lines 3 and 5; {mend}",
        f"{path}: nside: given 2 times, in lines 1 and 9; {mend}",
    ]


def test_a_key_may_replace_one_that_is_merged_from_an_anchor(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: [*a, *a]\n")
    assert read_yaml(path)["b"] == {"x": 3, "y": 2}


def test_json_is_read_as_snakemake_reads_it_and_may_not_have_a_key_twice_either(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"a": {"x": 1, "y": "two words"}}, indent="\t"))
    assert read_yaml(path) == {"a": {"x": 1, "y": "two words"}}
    path.write_text(path.read_text().replace('"y"', '"x"'))
    with pytest.raises(SettingsError, match=r"a\.x: given 2 times, in lines 3 and 4"):
        read_yaml(path)


@pytest.mark.workflow
@pytest.mark.parametrize("given", ["--configfile", "default"])
def test_a_configuration_with_a_method_twice_is_refused(tmp_path, given):
    text = (ROOT / "config/config.yaml").read_text()
    path = tmp_path / "config/config.yaml"
    path.parent.mkdir()
    path.write_text(text.replace("  multiresolution:\n", "  kmeans:\n", 1))
    program = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "-n"]
    options = ["--configfile", path] if given == "--configfile" else []
    run = subprocess.run(
        [*program, "--cores", "1", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode != 0
    assert "methods.kmeans: given 2 times, in lines" in run.stderr
    assert "Traceback" not in run.stderr
