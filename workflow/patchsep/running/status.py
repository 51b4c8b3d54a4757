"""How far the shards of all runs are: `python -m patchsep.running.status`."""

import json
import sys
from pathlib import Path
from time import time

from ..files.columns import in_columns
from ..files.progress import read_progress
from ..files.whole import whole

# Beside the shards' logs, a list of all.
PLAN = "plan.json"
# Seconds without news after which a shard counts as silent.
SILENCE = 600


def write_plan(folder: str | Path, shards: list[str]):
    """Note which shards, paths as in `read_progress`, there will be, for `status`."""
    with whole(Path(folder) / PLAN) as temporary:
        temporary.write_text(json.dumps(shards), encoding="utf-8")


def status(folder: str | Path) -> str:
    """How far the shards of a run are, for a person to read, a line per method and region.

    Shards that have had no news for `SILENCE` seconds and are not done are counted as silent:
    they wait in a queue again, or something is wrong with them.
    """
    progress = {item["shard"]: item for item in read_progress(folder)}
    plan = json.loads((Path(folder) / PLAN).read_text(encoding="utf-8"))
    groups = {}
    for shard in plan:
        groups.setdefault(tuple(Path(shard).parts[:2]), []).append(progress.get(shard))
    columns = ["method", "region", "shards", "done", "at work", "silent", "fits done", "of"]
    table = [[*columns, "fits/s", "unconverged", "time left"]]
    for (method, region), shards in groups.items():
        started = [item for item in shards if item]
        open_ones = [item for item in started if item["fits_done"] < item["fits"]]
        silent = [item for item in open_ones if time() - item["updated"] > SILENCE]
        rate = sum(item["fits_per_second"] for item in open_ones if item not in silent)
        done, of = (sum(item[key] for item in started) for key in ("fits_done", "fits"))
        left = f"{(of - done) / rate:.0f} s" if rate else "" if done < of else "0 s"
        n_done, n_open = len(started) - len(open_ones), len(open_ones) - len(silent)
        unconverged = sum(item["unconverged"] for item in started)
        counts = [len(shards), n_done, n_open, len(silent), done, of, f"{rate:.1f}", unconverged]
        table.append([method, region, *map(str, counts), left])
    lines = in_columns(table, 2)
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
