"""What a run costs."""

import pandas as pd
import pytest

from patchsep.running.shards import describe_plan, measure_cost


def test_costs_are_summed_by_stage_and_method(tmp_path):
    jobs = {
        "test/unseen/sky_0/clean_sky/kmeans": (3600, 1800, 500),
        "fit_patches/kmeans/hi/realizations-00000-00009/shard-000": (7200, 7200, 900),
        "mocks/sky_0/fit_patches/kmeans/hi/realizations-00000-00009/shard-000": (1800, 900, 950),
        "fit_patches/uniform/hi/realizations-00000-00009/shard-000": (36, 36, 300),
        "draw_regions": (3.6, 1.8, 100),
    }
    for name, (seconds, cpu, memory) in jobs.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame({"s": [9e9, seconds], "cpu_time": [9e9, cpu], "max_rss": [1, memory]})
        table.to_csv(path, sep="\t", index=False)
    cost = measure_cost(tmp_path, ["kmeans", "uniform"])
    assert cost[["stage", "method", "jobs"]].to_numpy().tolist() == [
        ["draw_regions", "", 1],
        ["fit_patches", "kmeans", 2],
        ["fit_patches", "uniform", 1],
        ["clean_sky", "kmeans", 1],
    ]
    fits = cost.iloc[1]
    assert fits["wall_hours"] == pytest.approx(2.5)
    assert fits["cpu_hours"] == pytest.approx(2.25)
    assert fits["peak_memory_mb"] == 950


def test_the_plan_tells_fits_shards_and_their_cost():
    assert describe_plan(1_920_000, 240, 20.0) == (
        "1,920,000 fits in 240 shards, 0.11 h each and 26.7 h in all at 20 fits/s"
    )
    assert "fit.fits_per_second" in describe_plan(10, 1, None)
