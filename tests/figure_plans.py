"""A plan of a small run, for tests of what figures take from it and what they show."""

from functools import partial
from types import SimpleNamespace

from patchsep.running.plan import Plan

SYMBOLS = {
    "beta_dust": r"$\beta_\mathrm{d}$",
    "temp_dust": r"$T_\mathrm{d}$",
    "beta_synch": r"$\beta_\mathrm{s}$",
}


def plan_of(methods=None, sets=None, templated=None):
    """A plan of three methods, the first of which has a choice, and a test set of one of them.

    `templated` are more methods by their strategy, each with a template of one parameter.
    """
    strategies = {"kmeans": "kmeans", "uniform": "uniform", "binned": "recovered_parameters"}
    strategies |= templated or {}
    parameters = [
        SimpleNamespace(name=name, symbol=symbol, label=symbol, unit=unit)
        for (name, symbol), unit in zip(SYMBOLS.items(), ("", "K", ""))
    ]
    folder = SimpleNamespace(results="results/small")
    return SimpleNamespace(
        results=folder.results,
        r_of_sets=partial(Plan.r_of_sets, folder),
        r_of_grid=partial(Plan.r_of_grid, folder),
        truths={"8-3-2": [8, 3, 2], "1-1-1": [1, 1, 1]},
        settings={
            "figures": {"methods": methods or {}, "sets": sets or {}, "projection": "hammer"},
            "spectra": {"pixel_weights": ["uniform"]},
            "validation": {"known_patches": {"realizations": 3}},
            "benchmark": {"nsides": [32, 64]},
        },
        model=SimpleNamespace(parameters=parameters, components=[]),
        regions=["hi", "low"],
        fitted_methods=list(strategies),
        methods={
            name: {
                "strategy": strategy,
                "recovered_by": "kmeans",
                "maps": {"temp_dust": "true"} if name in (templated or {}) else {},
                "errors": {"temp_dust": 0.5},
                "coherence": 3.0,
            }
            for name, strategy in strategies.items()
        },
        patch_methods=[name for name, strategy in strategies.items() if strategy != "fields"],
        field_methods=[name for name, strategy in strategies.items() if strategy == "fields"],
        criteria=["oracle", "variance"],
        theory=["consistent"],
        sets={"training": [""], "unseen": ["test/unseen/sky_0/"]},
        estimated=[*(("training", name) for name in strategies), ("unseen", "kmeans")],
        grid_methods=["kmeans"],
    )
