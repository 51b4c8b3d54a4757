"""What a run makes of the machine it is on: locale, folders, and the device that is asked for."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml
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


# Checkouts, folders and caches as users have them


@pytest.fixture
def checkout(tmp_path):
    """What a run needs of a checkout, in a folder with blanks and umlauts."""
    copy = tmp_path / "Über uns" / "mein klon"
    for name in ("workflow", "scripts", "envs"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True)
    shutil.copy(ROOT / "Snakefile", copy)
    (copy / "profiles").symlink_to("workflow/profiles")
    return copy


def from_checkout(checkout, *options, prefix=(), **environment):
    """The folder of a run of a checkout's Snakefile, started from above; a variable may be None."""
    above = checkout.parent
    new_folder(above, "run")
    (above / "tiny.yaml").write_text(yaml.safe_dump(tiny()))
    program = [*prefix, sys.executable, "-m", "snakemake", *options, "--cores", "1"]
    # The package is found by the Snakefile alone.
    wanted = os.environ | {"PYTHONPATH": None} | environment
    where = ["-s", f"{checkout.name}/Snakefile", "--directory", "run", "--configfile", "tiny.yaml"]
    done = subprocess.run(
        [*program, *where],
        cwd=above,
        env={name: value for name, value in wanted.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return above / "run"


SPECTRA = "results/tiny/spectra/cmb_consistent.csv"


def test_a_run_is_where_directory_says_whatever_letters_folders_have(checkout):
    folder = from_checkout(checkout, SPECTRA)
    assert (folder / SPECTRA).is_file()
    assert not (checkout / "results").exists()
    assert not (checkout.parent / "results").exists()


def test_a_run_needs_no_home(checkout):
    from_checkout(checkout, "--dry-run", HOME=None)


def test_a_run_writes_nothing_into_its_checkout(checkout):
    # Permissions bind the superuser only without these capabilities.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    prefix = drop if os.getuid() == 0 else []
    if prefix and not shutil.which("setpriv"):
        pytest.skip("permissions do not bind the superuser")
    folders = [checkout, *(path for path in checkout.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        folder = from_checkout(checkout, SPECTRA, prefix=prefix)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert (folder / SPECTRA).is_file()


def test_a_damaged_cache_of_compiled_code_is_not_needed(folder, tmp_path):
    shard = "results/tiny/fits/uniform/hi/realizations-00000-00001/shard-000.parquet"
    cache = tmp_path / "cache"
    for _ in range(2):
        status, printed = run(folder, shard, JAX_COMPILATION_CACHE_DIR=str(cache))
        assert status == 0, printed
        entries = [path for path in cache.iterdir() if path.is_file()]
        assert entries
        for path in entries:
            path.write_bytes(b"damaged")
        # With what it keeps of finished configurations.
        shutil.rmtree(folder / "results/tiny/fits")
