"""Shards: how the grid is divided into jobs, and how far each of them is.

A shard is a part of the configurations of a method in a region × a chunk of realisations.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time
from zlib import crc32

from filelock import FileLock, Timeout

from .files import whole

log = logging.getLogger(__name__)

# Beside the shards' logs: the progress of each, and a list of all.
SUFFIX, PLAN = ".progress.json", "plan.json"
SILENCE = 600


def chunks(n_realizations: int, per_chunk: int) -> dict[str, list[int]]:
    """The realisations of a run, cut into chunks, by name."""
    firsts = range(0, n_realizations, per_chunk)
    members = [list(range(first, min(first + per_chunk, n_realizations))) for first in firsts]
    return {f"realizations-{chunk[0]:05d}-{chunk[-1]:05d}": chunk for chunk in members}


def part_of(names: list[str], part: int, n_parts: int) -> list[str]:
    """The configurations of one part: which part one is in does not depend on the others."""
    return [name for name in names if crc32(name.encode()) % n_parts == part]


@contextmanager
def alone(progress: str | Path) -> Iterator[None]:
    """Wait until no other process is at the shard of this progress file.

    After a driver was killed its jobs may live on; the next one's then take over what they did.
    """
    lock = FileLock(Path(progress).with_suffix(".lock"), mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is at this shard: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Meter:
    """Progress of a shard, in the log and in a file."""

    def __init__(self, path: Path, n_configurations: int, fits_each: int):
        self.path, self.n_configurations, self.fits_each = path, n_configurations, fits_each
        self.start = monotonic()
        self.fitted = self.kept = self.unconverged = 0
        self.write()

    def tick(self, name: str, kept: bool, n_unconverged: int, iterations: float):
        """One more configuration is done, or was kept from before."""
        self.kept += kept
        self.fitted += not kept
        self.unconverged += n_unconverged
        self.write()
        if kept:
            log.info("%s: kept from before", name)
            return
        rate, left = self.pace()
        log.info(
            "%s: %d fits, %d not converged, %.0f iterations on average; "
            "configuration %d of %d, %.1f fits/s, %.0f s left",
            name,
            self.fits_each,
            n_unconverged,
            iterations,
            self.fitted + self.kept,
            self.n_configurations,
            rate,
            left,
        )

    def pace(self) -> tuple[float, float]:
        """Fits per second so far, and the seconds left at that pace."""
        rate = self.fitted * self.fits_each / max(monotonic() - self.start, 1e-9)
        missing = (self.n_configurations - self.fitted - self.kept) * self.fits_each
        return rate, missing / rate if rate else float("nan")

    def write(self):
        rate, _ = self.pace()
        content = {
            "fits": self.n_configurations * self.fits_each,
            "fits_done": (self.fitted + self.kept) * self.fits_each,
            "fits_kept": self.kept * self.fits_each,
            "fits_per_second": rate,
            "unconverged": self.unconverged,
            "updated": time(),
        }
        with whole(self.path) as temporary:
            temporary.write_text(json.dumps(content))


def read_progress(folder: str | Path) -> Iterator[dict]:
    """Progress of every shard that has started, of those whose files are below a folder.

    `shard` is the file's path, and of its fits there are `fits`, `fits_done`, `fits_kept` from
    before, `fits_per_second`, `unconverged`, and the time, `updated`, of the last of them.
    """
    for path in sorted(Path(folder).rglob(f"[!.]*{SUFFIX}")):
        shard = path.relative_to(folder).with_name(path.name.removesuffix(SUFFIX))
        yield {"shard": str(shard), **json.loads(path.read_text())}


def write_plan(folder: str | Path, shards: list[str]):
    """Note which shards, paths as in `read_progress`, there will be, for `status`."""
    with whole(Path(folder) / PLAN) as temporary:
        temporary.write_text(json.dumps(shards))


def status(folder: str | Path) -> str:
    """How far the shards of a run are, for a person to read, a line per method and region.

    Shards that have had no news for `SILENCE` seconds and are not done are counted as silent:
    they wait in a queue again, or something is wrong with them.
    """
    progress = {item["shard"]: item for item in read_progress(folder)}
    plan = json.loads((Path(folder) / PLAN).read_text())
    groups = {}
    for shard in plan:
        groups.setdefault(tuple(Path(shard).parts[:2]), []).append(progress.get(shard))
    lines = [
        f"{'method':<16}{'region':<12}{'shards':>7}{'done':>6}{'at work':>8}{'silent':>7}"
        f"{'fits done':>11}{'of':>9}{'fits/s':>8}{'unconverged':>12}{'time left':>11}"
    ]
    for (method, region), members in groups.items():
        started = [item for item in members if item]
        open_ones = [item for item in started if item["fits_done"] < item["fits"]]
        silent = [item for item in open_ones if time() - item["updated"] > SILENCE]
        rate = sum(item["fits_per_second"] for item in open_ones if item not in silent)
        done, of = (sum(item[key] for item in started) for key in ("fits_done", "fits"))
        left = f"{(of - done) / rate:.0f} s" if rate else "" if done < of else "0 s"
        lines.append(
            f"{method:<16}{region:<12}{len(members):>7}{len(started) - len(open_ones):>6}"
            f"{len(open_ones) - len(silent):>8}{len(silent):>7}{done:>11}{of:>9}{rate:>8.1f}"
            f"{sum(item['unconverged'] for item in started):>12}{left:>11}"
        )
    return "\n".join([*lines, "Fits, rates and times are of the shards that have started."])


def main(results: str = "results"):
    """Print the status of every run below a folder."""
    plans = sorted(Path(results).glob(f"*/logs/fit_patches/{PLAN}"))
    if not plans:
        sys.exit(f"There are no shards yet below {results}/.")
    for plan in plans:
        print(f"{plan.parents[2].name}\n{status(plan.parent)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
