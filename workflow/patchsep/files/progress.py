"""Progress of a shard: in its log, in a file beside it, and a lock while it is at work."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time

from filelock import FileLock, Timeout

from .whole import whole

log = logging.getLogger(__name__)

# Beside the shards' logs, the progress of each.
SUFFIX = ".progress.json"


@contextmanager
def exclusive(progress: str | Path) -> Iterator[None]:
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
            temporary.write_text(json.dumps(content), encoding="utf-8")


def read_progress(folder: str | Path) -> Iterator[dict]:
    """Progress of every shard that has started, of those whose files are below a folder.

    `shard` is the file's path, and of its fits there are `fits`, `fits_done`, `fits_kept` from
    before, `fits_per_second`, `unconverged`, and the time, `updated`, of the last of them.
    """
    for path in sorted(Path(folder).rglob(f"[!.]*{SUFFIX}")):
        shard = path.relative_to(folder).with_name(path.name.removesuffix(SUFFIX))
        yield {"shard": str(shard), **json.loads(path.read_text(encoding="utf-8"))}
