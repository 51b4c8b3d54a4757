"""Fingerprints: different for what matters, equal for what does not."""

import json
import os
import shutil
from base64 import urlsafe_b64encode
from pathlib import Path

import numpy as np
import pytest
from workflows import new_folder, snakemake, tiny, with_changes

from patchsep.files.fingerprints import fingerprint
from patchsep.running import provenance
from patchsep.running.provenance import (
    begin_run,
    code_fingerprint,
    compare_records,
    keep_records,
)

MODULES = {
    "script.py": "from tool.top import run\nfrom tool.jobs import log\n",
    "tool/__init__.py": "",
    "tool/top.py": '"""Top."""\n\nfrom .room.deep import VALUE\n\n\ndef run():\n    return VALUE\n',
    "tool/room/deep.py": "from ..base import UNIT\nfrom . import beside\n\nVALUE = UNIT  # one\n",
    "tool/room/beside.py": "BESIDE = 1\n",
    "tool/base.py": "UNIT = 1\n",
    "tool/jobs.py": "log = print\n",
    "tool/other.py": "OTHER = 1\n",
    "data.yaml": "a: 1\n",
}


@pytest.fixture
def code(tmp_path):
    """Fingerprint of the script above after an edit."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def edited(name="script.py", old="", new=""):
        # Another folder for each: what was read is remembered.
        folder = tmp_path.with_name(f"{tmp_path.name}-{abs(hash((name, old, new)))}")
        tmp_path.rename(folder)
        path = folder / name
        path.write_text(path.read_text().replace(old, new, 1))
        found = code_fingerprint(folder / "script.py", folder / "tool", folder / "data.yaml")
        path.write_text(MODULES[name])
        folder.rename(tmp_path)
        return found

    return edited


@pytest.mark.parametrize(
    "edit",
    [
        ("tool/room/deep.py", "# one", "# two"),
        ("tool/top.py", "Top.", "The top."),
        ("tool/top.py", "\n\n\n", "\n"),
        ("tool/jobs.py", "print", "repr"),
        ("tool/other.py", "1", "2"),
    ],
)
def test_what_does_not_matter(code, edit):
    assert code(*edit) == code()


@pytest.mark.parametrize(
    "edit",
    [
        ("script.py", "run", "run as go"),
        ("tool/top.py", "return VALUE", "return -VALUE"),
        ("tool/room/deep.py", "= UNIT", "= -UNIT"),
        ("tool/room/beside.py", "1", "2"),
        ("tool/base.py", "1", "2"),
        ("data.yaml", "1", "2"),
    ],
)
def test_what_matters(code, edit):
    assert code(*edit) != code()


def test_a_module_that_is_not_there_is_an_error(code):
    with pytest.raises(FileNotFoundError):
        code("tool/top.py", ".deep", ".depths")


def test_arrays_differ_by_content_shape_and_type():
    array = np.arange(6.0)
    others = [array + 1e-15, array.reshape(2, 3), array.astype(np.float32), array[::-1], [0.0]]
    assert len({fingerprint(value) for value in (array, *others)}) == 6
    assert fingerprint(array) == fingerprint(np.arange(12.0)[::2] / 2)


# Records of what made the files of a run

NAMES = ["results/a/maps/cmb.fits", f"results/a/maps/{'long' * 60}.fits"]


def record_of(output: str) -> Path:
    """Where Snakemake has the record of a file."""
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return Path(".snakemake/metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The working directory of a run of two files, one of a name too long for one record."""
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, "results/b/maps/cmb.fits"):
        for path in (Path(name), record_of(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("content")
        record_of(name).write_text(json.dumps({"params": [name]}))
    keep_records("results/a")
    # What a test writes is newer, however coarse the clock of the file system is.
    for path in (*map(record_of, NAMES), Path("results/a", provenance.KEPT)):
        os.utime(path, (1e9, 1e9))


def test_records_that_are_lost_come_back_from_those_beside_the_results(run):
    before = {name: record_of(name).read_text() for name in NAMES}
    shutil.rmtree(".snakemake")
    assert compare_records("results/a") == []
    assert {name: record_of(name).read_text() for name in NAMES} == before
    assert not record_of("results/b/maps/cmb.fits").exists()


def test_snakemakes_own_record_goes_before_the_one_that_is_kept(run):
    record_of(NAMES[0]).write_text(json.dumps({"params": ["new"]}))
    assert compare_records("results/a") == []
    shutil.rmtree(".snakemake")
    compare_records("results/a")
    assert json.loads(record_of(NAMES[0]).read_text()) == {"params": ["new"]}


def test_a_file_that_is_gone_gets_no_record(run):
    shutil.rmtree(".snakemake")
    Path(NAMES[0]).unlink()
    compare_records("results/a")
    assert not record_of(NAMES[0]).exists()
    assert record_of(NAMES[1]).exists()


def test_records_of_a_run_that_was_cut_off_do_not_come_back(run):
    begin_run("results/a")
    shutil.rmtree(".snakemake")
    (line,) = compare_records("results/a")
    assert line.startswith("nothing tells what made 2 of the 2 files in results/a, such as ")
    assert not record_of(NAMES[0]).exists()


def test_the_record_of_a_file_that_was_being_made_is_not_kept(run):
    begin_run("results/a")
    mark = Path(".snakemake/incomplete") / record_of(NAMES[0]).relative_to(".snakemake/metadata")
    mark.parent.mkdir(parents=True)
    mark.touch()
    compare_records("results/a")
    shutil.rmtree(".snakemake")
    compare_records("results/a")
    assert not record_of(NAMES[0]).exists()
    assert record_of(NAMES[1]).exists()


@pytest.mark.parametrize("left", ["", '{"params": ["resul'])
def test_a_record_that_was_cut_off_is_none_and_stops_nothing(run, left):
    record_of(NAMES[0]).write_text(left)
    (line,) = compare_records("results/a")
    assert line.startswith(
        f"nothing tells what made 1 of the 2 files in results/a, such as {NAMES[0]}"
    )


@pytest.mark.parametrize("kept", [b"", b"not compressed", None])
def test_kept_records_that_were_cut_off_are_none_and_stop_nothing(run, kept):
    path = Path("results/a", provenance.KEPT)
    path.write_bytes(path.read_bytes()[:50] if kept is None else kept)
    # Snakemake's own are kept again.
    assert compare_records("results/a") == []
    assert len(provenance._kept("results/a")) == 2
    path.write_bytes(path.read_bytes()[:50] if kept is None else kept)
    shutil.rmtree(".snakemake")
    (line,) = compare_records("results/a")
    assert line.startswith("nothing tells what made 2 of the 2 files in results/a")
    assert "copy provenance.json.gz with them" in line


def test_files_without_a_record_are_told_where_others_have_one(run):
    """Such as those of a killed run whose records were lost, when one of them is made again."""
    record_of(NAMES[1]).unlink()
    keep_records("results/a")
    (line,) = compare_records("results/a")
    assert line.startswith(
        f"nothing tells what made 1 of the 2 files in results/a, such as {NAMES[1]}"
    )


@pytest.mark.parametrize("name", [f"{NAMES[0]}.damaged", "results/a/maps/.12.cmb.fits"])
def test_what_is_no_result_needs_no_record(run, name):
    Path(name).touch()
    assert compare_records("results/a") == []


def test_results_that_cannot_be_written_can_be_looked_at(run, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    record_of(NAMES[0]).write_text(json.dumps({"params": ["new"]}))
    monkeypatch.setattr(provenance, "whole", refuse)
    (line,) = compare_records("results/a")
    assert line.startswith("what made the files in results/a cannot be recorded beside them: ")
    assert "Permission denied" in line


@pytest.mark.workflow
def test_what_is_said_of_files_without_a_record_mends_it(tmp_path):
    folder, target = new_folder(tmp_path, "run"), "results/tiny/spectra/cmb_consistent.csv"
    snakemake(folder, tiny(), target)
    made = (folder / target).read_bytes()
    shutil.rmtree(folder / ".snakemake")
    (folder / "results/tiny" / provenance.KEPT).unlink()
    assert "--touch --forceall once" in snakemake(folder, tiny(), "--dry-run", target)
    snakemake(folder, tiny(), "--touch", "--forceall", target)
    assert (folder / target).read_bytes() == made
    said = snakemake(folder, tiny(), "--dry-run", target)
    assert "nothing tells" not in said and "Nothing to be done" in said
    changed = with_changes(tiny(), {"cmb.cosmology.H0": 70.0})
    assert "compute_cmb_spectra" in snakemake(folder, changed, "--dry-run", target)


def test_other_versions_of_what_computes_are_told_of_the_files_that_they_made(run, monkeypatch):
    now = provenance.computing_versions()
    monkeypatch.setattr(provenance, "computing_versions", lambda: now | {"numpy": "9.9.9"})
    record_of(NAMES[0]).write_text(json.dumps({"params": ["made with the new one"]}))
    (line,) = compare_records("results/a")
    assert line.startswith(
        f"1 of the files in results/a were made with numpy {now['numpy']}, and here is 9.9.9. They"
    )
