"""Shards: how the fits of a method in a region are divided into jobs, and what a run costs.

A shard has some of the configurations and some of the realisations.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from zlib import crc32

import pandas as pd

# Stages in the order of the data; the others are seconds.
STAGES = (
    "simulate_foregrounds",
    "compute_cmb_spectra",
    "simulate_cmb",
    "draw_regions",
    "draw_patches",
    "fit_foreground_model",
    "draw_mock",
    "fit_patches",
    "estimate_r_of_configurations",
    "clean_sky",
    "estimate_r_of_set",
    "validate_selection",
    "evaluate_configurations",
)


@dataclass(frozen=True)
class Sky:
    """What a sky is drawn with.

    Attributes
    ----------
    noise_seed, realizations : int
        Of its noise.
    cmb_seed : int or None
        None for mock skies, which have the CMB of the training sky.
    r : float
    patch_seed : int or None
        None where patches are drawn with the seed of their method.
    """

    noise_seed: int
    realizations: int
    cmb_seed: int | None = None
    r: float = 0.0
    patch_seed: int | None = None


def realization_shards(n_realizations: int, per_shard: int) -> dict[str, list[int]]:
    """The realisations of a sky, cut into consecutive groups, by name."""
    firsts = range(0, n_realizations, per_shard)
    groups = [list(range(first, min(first + per_shard, n_realizations))) for first in firsts]
    return {f"realizations-{group[0]:05d}-{group[-1]:05d}": group for group in groups}


def configuration_shard(names: list[str], number: int, n_shards: int) -> list[str]:
    """The configurations of one shard: which shard one is in does not depend on the others."""
    return [name for name in names if crc32(name.encode()) % n_shards == number]


class Shards:
    """What of a `Plan` is fitted, in shards."""

    def shards(self, sky: str, method: str, region: str) -> list[str]:
        """Shards of a method in a region: of those of configurations that have any."""
        n_shards = self.settings["fit"]["configuration_shards"]
        names = self.configurations(method, region)
        numbers = [n for n in range(n_shards) if configuration_shard(names, n, n_shards)]
        return [
            f"{realizations}/shard-{number:03d}"
            for realizations, number in product(self.realization_shards(sky), numbers)
        ]

    def realization_shards(self, sky: str) -> dict[str, list[int]]:
        """Realisations of a sky that the grid is fitted to, by name of their shard."""
        per_shard = self.settings["fit"]["realizations_per_shard"]
        return realization_shards(self.gridded[sky].realizations, per_shard)

    def shard_files(self, wildcards) -> list[str]:
        """Tables of all shards of a method in a region."""
        sky, method, region = wildcards.sky, wildcards.method, wildcards.region
        folder = f"{self.results}/{sky}fits/{method}/{region}"
        return [f"{folder}/{shard}.parquet" for shard in self.shards(sky, method, region)]

    def shard_configurations(self, wildcards) -> list[str]:
        """The configurations of a shard."""
        names = self.configurations(wildcards.method, wildcards.region)
        n_shards = self.settings["fit"]["configuration_shards"]
        return configuration_shard(names, int(wildcards.shard), n_shards)

    def cross_validated(self, sky: str) -> bool:
        """Whether halves of the data of a sky are fitted too."""
        return sky == "" and "cross_validation" in self.criteria

    @cached_property
    def _grids(self):
        """Every (sky, method, region) whose grid is fitted; mocks only where there is a choice."""
        return [
            (sky, method, region)
            for sky, method, region in product(self.gridded, self.grid_methods, self.regions)
            if sky == "" or self.has_choice(method, region)
        ]

    @property
    def planned_shards(self) -> list[str]:
        """All shards of the run, as paths below a folder of all fits."""
        return [
            f"{sky}{method}/{region}/{shard}"
            for sky, method, region in self._grids
            for shard in self.shards(sky, method, region)
        ]

    @property
    def n_fits(self) -> int:
        """Fits of the grid: to all noise realisations and, in every shard, to foregrounds alone."""
        return sum(self._n_fits(*grid) for grid in self._grids)

    def _n_fits(self, sky, method, region):
        n_data = len(self.realization_shards(sky))
        if self.settings["fit"]["propagation"] == "nonlinear":
            n_data += self.gridded[sky].realizations
        n_configurations = len(self.configurations(method, region))
        n_draws = self.methods[method]["n_draws"]
        return n_configurations * n_draws * n_data * (1 + self.cross_validated(sky))


def describe_plan(n_fits: int, n_shards: int, fits_per_second: float | None) -> str:
    """What the grid of a run takes, for a person to read.

    Parameters
    ----------
    n_fits, n_shards : int
    fits_per_second : float, optional
        Of one shard, measured.
    """
    if not n_shards:
        return "no method has a grid of patches to fit"
    plan = f"{n_fits:,} fits in {n_shards:,} shards"
    if not fits_per_second:
        return f"{plan}; set fit.fits_per_second, which `make status` measures, to see the cost"
    hours = n_fits / fits_per_second / 3600
    return (
        f"{plan}, {hours / n_shards:.2g} h each and {hours:.3g} h in all "
        f"at {fits_per_second:g} fits/s"
    )


def measure_cost(benchmarks: str | Path, methods: list[str]) -> pd.DataFrame:
    """Time and memory of a run's jobs, by stage and method.

    Parameters
    ----------
    benchmarks : str or Path
        Folder of Snakemake's benchmark files, in paths that name stage and method.
    methods : list of str

    Returns
    -------
    DataFrame
        `stage`, `method` (empty where a stage has none), number of `jobs`, the sums of their wall
        times `wall_hours`, with jobs side by side more than what passed, of their processor times
        `cpu_hours`, and the largest `peak_memory_mb` of one. Of a job that ran several times the
        last time counts.
    """
    rows = []
    for path in sorted(Path(benchmarks).rglob("*.tsv")):
        parts = path.relative_to(benchmarks).with_suffix("").parts
        measured = pd.read_csv(path, sep="\t").iloc[-1]
        rows.append(
            {
                "stage": next(part for part in parts if part in STAGES),
                "method": next((part for part in parts if part in methods), ""),
                "jobs": 1,
                "wall_hours": measured["s"] / 3600,
                "cpu_hours": measured["cpu_time"] / 3600,
                "peak_memory_mb": measured["max_rss"],
            }
        )
    sums = dict.fromkeys(("jobs", "wall_hours", "cpu_hours"), "sum") | {"peak_memory_mb": "max"}
    table = pd.DataFrame(rows).groupby(["stage", "method"], sort=False).agg(sums).reset_index()
    return table.sort_values("stage", key=lambda stage: stage.map(STAGES.index), kind="stable")
