"""Faults: whatever happens to a run, the ordinary rerun ends with the tables of an undisturbed one.

One region, one shard of many configurations. What a shard had finished is not computed again.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from workflows import new_folder, running, snakemake, tiny, until

from patchsep.shards import read_progress

pytestmark = pytest.mark.workflow

TABLE = "results/tiny/likelihood/kmeans/hi.csv"
SHARD = "kmeans/hi/realizations-00000-00001"
N_CONFIGURATIONS = 12
# Fits of each: two noise realisations and the foregrounds alone.
N_DATA = 3


def settings():
    """Twelve configurations that compile to few shapes."""
    changed = tiny()
    changed["noise"]["realizations"] = 2
    hi = {"beta_dust": list(range(4, 16)), "temp_dust": 2, "beta_synch": 2}
    changed["methods"]["kmeans"]["patches"]["hi"] = hi
    return changed


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of a run that nothing happened to."""
    folder = new_folder(tmp_path_factory.mktemp("faults"), "undisturbed")
    snakemake(folder, settings(), TABLE)
    return folder


@pytest.fixture
def folder(undisturbed, request):
    """A folder that has everything but the fits and what follows from them."""
    copy = undisturbed.with_name(re.sub(r"\W", "_", request.node.name))
    shutil.copytree(undisturbed, copy)
    for name in ("fits", "residuals", "likelihood", "logs"):
        shutil.rmtree(copy / "results" / "tiny" / name)
    return copy


def kept(folder) -> list[Path]:
    return sorted((folder / "results/tiny/fits" / SHARD / "configurations").glob("*.parquet"))


def table_of(folder) -> bytes:
    return (folder / TABLE).read_bytes()


def n_fitted(folder) -> int:
    """Configurations that the last attempt at the shard has fitted: all others were kept."""
    (progress,) = read_progress(folder / "results/tiny/logs/fit_patches")
    return N_CONFIGURATIONS - progress["fits_kept"] // N_DATA


def shard_process(driver) -> psutil.Process:
    """The process that fits: of the driver's descendants the last that has its script."""
    descendants = psutil.Process(driver.pid).children(recursive=True)
    return [p for p in descendants if any("fit_patches" in word for word in p.cmdline())][-1]


def finish(folder):
    """The README's rerun: the same command, once the lock of a killed driver is removed."""
    snakemake(folder, settings(), TABLE, "--unlock")
    snakemake(folder, settings(), TABLE)


def test_a_killed_process_of_a_shard(folder, undisturbed):
    with running(folder, settings(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 3, "no configuration is done")
        shard_process(driver).kill()
        assert driver.wait(60) != 0
    n_kept = len(kept(folder))
    assert n_kept < N_CONFIGURATIONS
    assert not (folder / TABLE).exists()
    finish(folder)
    assert table_of(folder) == table_of(undisturbed)
    assert n_fitted(folder) == N_CONFIGURATIONS - n_kept


def test_a_killed_driver_whose_jobs_live_on(folder, undisturbed):
    """The rerun's shard waits for the orphan, and takes over what it did."""
    with running(folder, settings(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 2, "no configuration is done")
        driver.kill()
        driver.wait()
        assert "--unlock" in snakemake(folder, settings(), TABLE, succeeds=False)
        finish(folder)
    assert table_of(folder) == table_of(undisturbed)
    assert n_fitted(folder) == 0


def test_a_killed_driver_with_all_its_jobs(folder, undisturbed):
    with running(folder, settings(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 2, "no configuration is done")
        shard = shard_process(driver)
        os.killpg(driver.pid, signal.SIGKILL)
        shard.wait()
    n_kept = len(kept(folder))
    finish(folder)
    assert table_of(folder) == table_of(undisturbed)
    assert n_fitted(folder) == N_CONFIGURATIONS - n_kept


def test_two_drivers_at_once(folder, undisturbed):
    with running(folder, settings(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 1, "no configuration is done")
        assert "lock" in snakemake(folder, settings(), TABLE, succeeds=False)
        assert driver.wait(120) == 0
    assert table_of(folder) == table_of(undisturbed)
    assert n_fitted(folder) == N_CONFIGURATIONS


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_a_damaged_result_is_named_and_made_anew(folder, undisturbed, damage):
    snakemake(folder, settings(), TABLE)
    shard = folder / "results/tiny/fits" / SHARD / "part-000.parquet"
    content = bytearray(shard.read_bytes())
    if damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    printed = snakemake(folder, settings(), TABLE, succeeds=False)
    assert "part-000.parquet is damaged" in printed
    assert "run the same command again" in printed
    snakemake(folder, settings(), TABLE)
    assert table_of(folder) == table_of(undisturbed)
    assert n_fitted(folder) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(folder, undisturbed):
    results = folder / "results/tiny/fits"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", results]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted: {mounted.stderr}")
    try:
        printed = snakemake(folder, settings(), TABLE, succeeds=False)
        assert "No space left on device" in printed
        n_kept = len(kept(folder))
        assert 0 < n_kept < N_CONFIGURATIONS
        subprocess.run(["mount", "-o", "remount,size=80m", results], check=True)
        snakemake(folder, settings(), TABLE)
        assert table_of(folder) == table_of(undisturbed)
        assert n_fitted(folder) == N_CONFIGURATIONS - n_kept
    finally:
        subprocess.run(["umount", results], check=True)
