"""What a run makes of the machine it is on: its locale, and the device that is asked for."""

import os
import shutil
import subprocess

import pytest
from workflows import ROOT, command, new_folder, tiny

pytestmark = pytest.mark.workflow


@pytest.fixture
def folder(tmp_path):
    return new_folder(tmp_path, "run")


def run(folder, *options, settings=None, **environment):
    """A run of the tiny configuration in another environment: its exit status and output."""
    arguments = command(folder, settings or tiny(), *options) | {"encoding": "utf-8"}
    done = subprocess.run(**arguments, env=os.environ | environment, timeout=300)
    return done.returncode, done.stdout


def test_a_run_reads_and_writes_utf8_in_a_locale_that_does_not(folder):
    """Schema, instrument and published numbers have µ, σ and β in them."""
    instrument = ROOT / tiny()["instrument"]
    assert not (ROOT / "workflow/schemas/instrument.schema.yaml").read_bytes().isascii()
    described = instrument.read_text(encoding="utf-8").replace("source: ", "source: σ of ")
    (folder / tiny()["instrument"]).write_text(described, encoding="utf-8")
    ascii_only = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    status, printed = run(folder, "--dry-run", **ascii_only)
    assert status == 0, printed
    assert "fit_patches" in printed
    # A job that reads the instrument, and writes its log.
    status, printed = run(folder, "results/tiny/maps/foregrounds.fits", **ascii_only)
    assert status == 0, printed


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_a_device_that_is_not_there_is_told_before_the_first_job(folder):
    status, printed = run(folder, JAX_PLATFORMS="cuda")
    assert status
    for word in ("JAX_PLATFORMS=cuda", "set JAX_PLATFORMS=cpu", "nvidia-smi"):
        assert word in printed
    assert "AssertionError" not in printed
    assert not (folder / "results/tiny/maps").exists()


def test_a_dry_run_asks_for_no_device(folder):
    status, printed = run(folder, "--dry-run", JAX_PLATFORMS="cuda")
    assert status == 0, printed
