"""What a run will cost, and what it has cost."""

from pathlib import Path

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
