"""Runs of the workflow as a user's commands, for tests: tiny skies in folders of their own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import yaml

from patchsep.files.progress import read_progress

ROOT = Path(__file__).parents[1]
# What reads the tables beside figures.
TABLES = {".csv": pd.read_csv, ".parquet": pd.read_parquet}

# Most of the time of runs and tests is compiling. All share what XLA has compiled, without its
# optimisations, which takes a third of the time.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
# As in every job: Numba would take ten seconds to compile PySM.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def tiny() -> dict:
    """The smallest settings of the whole chain."""
    return yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())


# What they have: methods, regions, and shards of a method in a region.
METHODS, REGIONS, SHARDS = 2, 3, 2
# Methods with something to choose.
GRIDS = 1
# Figures that are drawn where nothing else is said.
FIGURES = ("regions", "patches", "parameters", "residual_spectra", "r_likelihoods", "selection")
# In place of a value that `with_changes` takes away.
REMOVED = object()


def with_changes(settings: dict, changes: dict) -> dict:
    """The settings themselves, with other values for keys given as dotted paths."""
    for path, value in changes.items():
        *sections, key = path.split(".")
        section = settings
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
        if value is REMOVED:
            del section[key]
    return settings


def new_folder(parent: Path, name: str) -> Path:
    folder = parent / name
    (folder / "tests").mkdir(parents=True)
    shutil.copy(ROOT / tiny()["instrument"], folder / "tests")
    return folder


def command(folder: Path, settings: dict, *options) -> dict:
    """Arguments of subprocess for a Snakemake run in `folder`."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    program = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    return {
        "args": [*program, *options, "--cores", "2", "--configfile", "tiny.yaml"],
        "cwd": folder,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


def snakemake(folder: Path, settings: dict, *options, succeeds: bool = True) -> str:
    """Run Snakemake in `folder` with `settings`; returns what it printed."""
    done = subprocess.run(**command(folder, settings, *options), timeout=900)
    assert (done.returncode == 0) == succeeds, done.stdout
    return done.stdout


def jobs_of(printed):
    """Number of jobs by rule, of what a dry run prints."""
    jobs = re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in jobs if rule not in ("all", "total")}


@contextmanager
def running(folder: Path, settings: dict, *options):
    """A Snakemake run that goes on beside the test, all of whose processes end with it."""
    arguments = command(folder, settings, *options) | {"stdout": subprocess.DEVNULL}
    driver = subprocess.Popen(**arguments, start_new_session=True)
    try:
        yield driver
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()


def until(condition, what: str, timeout: float = 120):
    """Wait until a condition holds, and return what it returned."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.02)
    raise TimeoutError(f"{what}: not within {timeout} s")


# A scan of many configurations in one shard, for whatever may happen to it.

TABLE = "results/tiny/r/configurations/kmeans/hi.csv"
SHARD = "kmeans/hi/realizations-00000-00001"
N_CONFIGURATIONS = 12
# Fits of each: two noise realisations and the foregrounds alone.
N_DATA = 3


def scan() -> dict:
    """Twelve configurations that compile to few shapes."""
    changed = tiny()
    changed["noise"]["realizations"] = 2
    hi = {"beta_dust": list(range(4, 16)), "temp_dust": 2, "beta_synch": 2}
    changed["methods"]["kmeans"]["patches"]["hi"] = hi
    return changed


def without_fits(undisturbed: Path, name: str) -> Path:
    """A copy of a finished scan that lacks the fits and what follows from them."""
    copy = undisturbed.with_name(name)
    shutil.copytree(undisturbed, copy)
    for part in ("fits", "residuals", "r", "logs"):
        shutil.rmtree(copy / "results" / "tiny" / part)
    return copy


def kept(folder) -> list[Path]:
    """The configurations that are done; `*` would also match what a killed process was writing."""
    return sorted((folder / "results/tiny/fits" / SHARD / "configurations").glob("[!.]*.parquet"))


def fitting(folder: Path) -> psutil.Process | None:
    """The process that fits in a folder, the youngest one; None if there is none."""
    processes = [p for p in psutil.process_iter(["cmdline", "cwd"]) if p.info["cmdline"]]
    here = [p for p in processes if p.info["cwd"] == str(folder)]
    # Snakemake's own arguments name the rule too, and numbers of processes start over.
    scripts = [p for p in here if any(w.endswith("fit_patches.py") for w in p.info["cmdline"])]
    return max(scripts, key=psutil.Process.create_time, default=None)


def n_fitted(folder) -> int:
    """Configurations that the last attempt at the shard has fitted: all others were kept."""
    (progress,) = read_progress(folder / "results/tiny/logs/fit_patches")
    return N_CONFIGURATIONS - progress["fits_kept"] // N_DATA


def same_table(folder: Path, undisturbed: Path) -> bool:
    """Whether a scan has ended with the table of one that nothing happened to, bit for bit."""
    return (folder / TABLE).read_bytes() == (undisturbed / TABLE).read_bytes()


def are_drawn(names, results):
    """Check that figures of these names are there, with the tables of what they show."""
    for name in names:
        stem = results / "figures" / name
        assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        (table,) = (path for path in stem.parent.glob(f"{name}.*") if path.suffix in TABLES)
        assert len(TABLES[table.suffix](table)) > 2
