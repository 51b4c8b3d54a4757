"""Faults: whatever happens to a run, the ordinary rerun ends with the tables of an undisturbed one.

One region, one shard of many configurations. What a shard had finished is not computed again.
"""

import os
import re
import signal
import subprocess

import pytest
from workflows import (
    N_CONFIGURATIONS,
    SHARD,
    TABLE,
    fitting,
    kept,
    n_fitted,
    running,
    same_table,
    scan,
    snakemake,
    until,
    without_fits,
)

pytestmark = pytest.mark.workflow


@pytest.fixture
def folder(undisturbed, request):
    return without_fits(undisturbed, re.sub(r"\W", "_", request.node.name))


def finish(folder):
    """The README's rerun: the same command, once the lock of a killed driver is removed."""
    snakemake(folder, scan(), TABLE, "--unlock")
    snakemake(folder, scan(), TABLE)


def test_a_killed_process_of_a_shard(folder, undisturbed):
    with running(folder, scan(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 3, "no configuration is done")
        fitting(folder).kill()
        assert driver.wait(60) != 0
    n_kept = len(kept(folder))
    assert n_kept < N_CONFIGURATIONS
    assert not (folder / TABLE).exists()
    finish(folder)
    assert same_table(folder, undisturbed)
    assert n_fitted(folder) == N_CONFIGURATIONS - n_kept


def test_a_killed_driver_whose_jobs_live_on(folder, undisturbed):
    """The rerun's shard waits for the orphan, and takes over what it did."""
    with running(folder, scan(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 2, "no configuration is done")
        driver.kill()
        driver.wait()
        assert "--unlock" in snakemake(folder, scan(), TABLE, succeeds=False)
        finish(folder)
    assert same_table(folder, undisturbed)
    assert n_fitted(folder) == 0


def test_a_killed_driver_with_all_its_jobs(folder, undisturbed):
    with running(folder, scan(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 2, "no configuration is done")
        shard = fitting(folder)
        os.killpg(driver.pid, signal.SIGKILL)
        shard.wait()
    n_kept = len(kept(folder))
    finish(folder)
    assert same_table(folder, undisturbed)
    assert n_fitted(folder) == N_CONFIGURATIONS - n_kept


def test_two_drivers_at_once(folder, undisturbed):
    with running(folder, scan(), TABLE) as driver:
        until(lambda: len(kept(folder)) >= 1, "no configuration is done")
        shard = fitting(folder)
        shard.suspend()
        assert "lock" in snakemake(folder, scan(), TABLE, succeeds=False)
        shard.resume()
        assert driver.wait(120) == 0
    assert same_table(folder, undisturbed)
    assert n_fitted(folder) == N_CONFIGURATIONS


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_a_damaged_result_is_named_and_made_anew(folder, undisturbed, damage):
    name = f"results/tiny/fits/{SHARD}/shard-000.parquet"
    snakemake(folder, scan(), name)
    shard = folder / name
    content = bytearray(shard.read_bytes())
    if damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    printed = snakemake(folder, scan(), TABLE, succeeds=False)
    assert "shard-000.parquet is damaged" in printed
    assert "run the same command again" in printed
    snakemake(folder, scan(), TABLE)
    assert same_table(folder, undisturbed)
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
        printed = snakemake(folder, scan(), TABLE, succeeds=False)
        assert "No space left on device" in printed
        n_kept = len(kept(folder))
        assert 0 < n_kept < N_CONFIGURATIONS
        subprocess.run(["mount", "-o", "remount,size=80m", results], check=True)
        snakemake(folder, scan(), TABLE)
        assert same_table(folder, undisturbed)
        assert n_fitted(folder) == N_CONFIGURATIONS - n_kept
    finally:
        subprocess.run(["umount", results], check=True)
