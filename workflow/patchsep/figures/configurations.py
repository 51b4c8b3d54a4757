"""Figures of configurations: r and variance of all in the grid, and the search for the best."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pandas as pd

from ..files.tables import read_table
from ..lazy import colors, lines
from ..lazy import pyplot as plt
from ..separation.partitions import COUNT
from .figure import Figure, read_result, result, symbols_of
from .style import (
    COLOURS,
    FULL_WIDTH,
    R_UPPER_LABEL,
    colours_of,
    in_words,
    patches_of_all,
    plain_log_ticks,
    region_title,
)

# A scan has points enough to be a line.
FEWEST_POINTS = 3
# Panels of regions in a row.
MOST_ABREAST = 3
# What the search predicts of r, and what fits come to.
SEARCH_LABELS = {
    "predicted": r"$10^3\,(|\hat r| + \sigma_+)$ on mock skies",
    "fitted": r"$10^3\,(|\hat r| + \sigma_+)$ on the sky",
}
SEARCH_HEIGHT = 0.42 * FULL_WIDTH


def _region_panels(data: pd.DataFrame):
    """A figure, and its panels by region, up to three side by side."""
    regions = list(data["region"].unique())
    n_columns = min(len(regions), MOST_ABREAST)
    n_rows = -(-len(regions) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(FULL_WIDTH, 0.4 * FULL_WIDTH * n_rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(regions) :]:
        axis.remove()
    return figure, dict(zip(regions, axes.flat))


def plot_variance_and_r(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """r_hat (open) and r_upper68 (filled) against the variance of the recovered CMB, by region.

    `data` has rows of `tables.configuration_table` of one method; the colour is the number of
    patches of all parameters.
    """
    figure, panels = _region_panels(data)
    n_patches = sum(data[f"{COUNT}{parameter}"] for parameter in shown["symbols"])
    colours = {"norm": colors.LogNorm(n_patches.min(), n_patches.max()), "cmap": "viridis"}
    for region, axis in panels.items():
        rows = data[data["region"] == region]
        total = n_patches[rows.index]
        points = axis.scatter(rows["variance"], 1e3 * rows["r_upper68"], 9, total, **colours)
        shades = points.cmap(points.norm(total))
        axis.scatter(
            rows["variance"], 1e3 * rows["r_hat"], 9, facecolors="none", edgecolors=shades, lw=0.7
        )
        axis.set(title=region_title(region), xlabel=r"Variance, $Q+U$ [$\mu\mathrm{K}^2$]")
        axis.set_yscale("symlog", linthresh=1)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_major_locator(plt.MaxNLocator(3))
        axis.ticklabel_format(axis="x", useOffset=False)
    axes = list(panels.values())
    for axis in axes[::MOST_ABREAST]:
        axis.set_ylabel(r"$10^3\,r$")
    figure.colorbar(points, ax=axes, label=patches_of_all(shown["symbols"]))
    handles = [
        lines.Line2D([], [], marker="o", ls="", ms=3.5, color="k", mfc=face, label=label)
        for face, label in (("k", r"$\hat r + \sigma_+$"), ("w", r"$\hat r$"))
    ]
    axes[-1].legend(handles=handles)
    return figure


def scans(configurations: pd.DataFrame, symbols: dict[str, str]) -> pd.DataFrame:
    """One-dimensional scans in a grid: along one parameter, the others the same.

    Parameters
    ----------
    configurations : DataFrame
        Rows of `tables.configuration_table` of one method.
    symbols : dict of str to str
        Of the spectral parameters, in the order of a configuration's name.

    Returns
    -------
    DataFrame
        The rows of every scan of `FEWEST_POINTS` or more, with the `parameter` that it goes along
        and the values of the `others`; a configuration is in as many as cross in it.
    """
    values = configurations["configuration"].str.split("-", expand=True).astype(int)
    values.columns = list(symbols)
    table, found = configurations.join(values), []
    for parameter in symbols:
        others = [name for name in symbols if name != parameter]
        for fixed, rows in table.groupby(["region", *others], sort=False):
            if len(rows) >= FEWEST_POINTS:
                label = ", ".join(
                    f"{symbols[name]} {value}"
                    for name, value in zip(others, fixed[1:], strict=True)
                )
                along = rows.sort_values(parameter).assign(parameter=parameter, others=label)
                found.append(along)
    if not found:
        raise ValueError(f"no scan of {FEWEST_POINTS} configurations or more is in the grid")
    return pd.concat(found, ignore_index=True).drop(columns=list(symbols))


def plot_scans(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """r_upper68 along every one-dimensional scan: rows are regions, columns parameters.

    `data` is that of `scans`; the lowest point of a region is marked in all of its scans.
    """
    regions, parameters = list(data["region"].unique()), shown["symbols"]
    figure, axes = plt.subplots(
        len(regions),
        len(parameters),
        figsize=(FULL_WIDTH, FULL_WIDTH * (0.3 * len(regions) + 0.08)),
        sharey="row",
        sharex="col",
        squeeze=False,
        layout="constrained",
    )
    for row, region in zip(axes, regions):
        of_region = data[data["region"] == region]
        best = of_region.loc[of_region["r_upper68"].idxmin(), "configuration"]
        for axis, parameter in zip(row, parameters):
            along = of_region[of_region["parameter"] == parameter]
            colours = colours_of(list(data.loc[data["parameter"] == parameter, "others"].unique()))
            for others, rows in along.groupby("others", sort=False):
                n_patches = rows[f"{COUNT}{parameter}"]
                axis.plot(n_patches, 1e3 * rows["r_upper68"], ".-", ms=3, color=colours[others])
                lowest = rows["configuration"] == best
                axis.plot(n_patches[lowest], 1e3 * rows["r_upper68"][lowest], "k*", ms=8, zorder=3)
            axis.set(xscale="log", yscale="log")
            axis.label_outer()
            if region == regions[0] and colours:
                handles = [lines.Line2D([], [], color=c, label=name) for name, c in colours.items()]
                axis.legend(handles=handles, loc="best", fontsize="x-small")
        plain_log_ticks(row[0].yaxis)
        row[0].set_ylabel(f"{region_title(region)}\n{R_UPPER_LABEL}")
    for axis, symbol in zip(axes[-1], parameters.values()):
        axis.set_xlabel(f"Patches of {symbol}")
        plain_log_ticks(axis.xaxis, subs=(1,))
    return figure


def best_by_patches(configurations: pd.DataFrame, symbols: dict[str, str]) -> pd.DataFrame:
    """Of all configurations with as many patches of the first parameter that of least r_upper68.

    `configurations` are rows of `tables.configuration_table`; methods and regions are kept apart.
    """
    n_patches = f"{COUNT}{next(iter(symbols))}"
    lowest = configurations.groupby(["method", "region", n_patches], sort=False)["r_upper68"]
    return configurations.loc[lowest.idxmin()].sort_values(["method", n_patches])


def plot_r_and_patches(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """r_hat and sigma_r against patches of the first parameter, a colour per method.

    `data` is that of `best_by_patches`.
    """
    parameter, symbol = next(iter(shown["symbols"].items()))
    figure, panels = _region_panels(data)
    colours = colours_of(list(data["method"].unique()))
    for region, axis in panels.items():
        for method, rows in data[data["region"] == region].groupby("method", sort=False):
            axis.errorbar(
                rows[f"{COUNT}{parameter}"],
                1e3 * rows["r_hat"],
                1e3 * rows[["sigma_r_minus", "sigma_r_plus"]].T,
                fmt=".-",
                ms=4,
                lw=0.9,
                elinewidth=0.5,
                color=colours[method],
            )
        axis.axhline(0, color="0.4", lw=0.8, ls="--")
        axis.set(title=region_title(region), xscale="log", xlabel=f"Patches of {symbol}")
        axis.set_yscale("symlog", linthresh=1)
        for direction in (axis.xaxis, axis.yaxis):
            direction.set_major_formatter("{x:g}")
    for axis in list(panels.values())[::MOST_ABREAST]:
        axis.set_ylabel(r"$10^3\,\hat r$")
    handles = [lines.Line2D([], [], color=c, label=in_words(name)) for name, c in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def plot_search(samplers: pd.DataFrame, _) -> plt.Figure:
    """The best that samplers have found so far: median and 16 to 84 % over their repeats.

    `samplers` is that of `search.compare_samplers`; a panel for each of `SEARCH_LABELS`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(FULL_WIDTH, SEARCH_HEIGHT), layout="constrained")
    for axis, (column, label) in zip(axes, SEARCH_LABELS.items()):
        for colour, (sampler, rows) in zip(COLOURS, samplers.groupby("sampler", sort=False)):
            quantiles = (
                1e3 * rows.groupby("evaluation")[column].quantile([0.16, 0.5, 0.84]).unstack()
            )
            axis.plot(quantiles.index, quantiles[0.5], color=colour, label=sampler)
            axis.fill_between(
                quantiles.index, quantiles[0.16], quantiles[0.84], color=colour, alpha=0.2, lw=0
            )
        axis.set(xlabel="Configurations evaluated", ylabel=label)
    axes[0].legend()
    return figure


def plot_prediction(evaluations: pd.DataFrame, _) -> plt.Figure:
    """Noise that is propagated against fits of it, of many configurations.

    `evaluations` has rows of `search.compare_with_fits`, with `predicted`: on the left the ratio of
    their powers in ranges of multipoles that have bins, on the right what is predicted against what
    fits come to.
    """
    from ..studies.search import ELL_RANGES

    ranges = [(low, high) for low, high in ELL_RANGES if f"ratio_{low}" in evaluations]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(FULL_WIDTH, SEARCH_HEIGHT), layout="constrained"
    )
    left.boxplot(
        [evaluations[f"ratio_{low}"] for low, _ in ranges],
        flierprops={"marker": ".", "markeredgecolor": COLOURS[3]},
        medianprops={"color": COLOURS[4]},
    )
    highest = ELL_RANGES[-1][1]
    names = [
        rf"$\geq {low}$" if high == highest else rf"${low}$–${high - 1}$" for low, high in ranges
    ]
    left.set_xticks(range(1, 1 + len(ranges)), names)
    left.axhspan(0.9, 1.1, color="0.9", zorder=0)
    left.axhline(1, color="0.4", lw=0.8)
    left.set(xlabel=r"$\ell$", ylabel="noise power, predicted / fits")
    fits, predicted = (evaluations[f"seconds_{kind}"].median() for kind in ("fits", "predicted"))
    left.set_title(f"{fits:.2g} s for fits, {predicted:.2g} s predicted", fontsize="medium")
    right.plot(1e3 * evaluations["fitted"], 1e3 * evaluations["predicted"], ".", color=COLOURS[3])
    right.set(xlabel=SEARCH_LABELS["fitted"], ylabel=SEARCH_LABELS["predicted"])
    return figure


def _without_scan(plan, methods: list[str]) -> str:
    """What `scans` would say of the configurations of methods."""
    tables = [
        pd.DataFrame({"configuration": plan.configurations(method, region), "region": region})
        for method, region in product(methods, plan.regions)
    ]
    try:
        scans(pd.concat(tables, ignore_index=True), symbols_of(plan))
    except ValueError as error:
        return str(error)
    return ""


def _grid(plot, methods, rows: Callable = lambda table, symbols: table, **options) -> Figure:
    """A figure of all configurations of methods, or of those `rows` of them."""

    def table(files, shown):
        from ..inference.tables import configuration_table

        if not shown["regions"]:
            raise ValueError("no method has several configurations to choose from")
        tables = map(read_table, files["estimates"])
        estimates = dict(zip(shown["regions"], tables, strict=True))
        return rows(configuration_table(estimates), shown["symbols"])

    return Figure(
        "3 Grid",
        table,
        plot,
        shows=lambda plan, methods, pairs: {
            "regions": [(method, region) for method in methods for region in plan.regions],
            "symbols": symbols_of(plan),
        },
        inputs=lambda plan, shown: {
            "estimates": [plan.r_of_grid(method, region) for method, region in shown["regions"]]
        },
        methods=methods,
        needs="patches",
        **options,
    )


FIGURES = {
    "scans": _grid(plot_scans, lambda plan: plan.grid_methods[:1], scans, missing=_without_scan),
    "variance_and_r": _grid(plot_variance_and_r, lambda plan: plan.grid_methods[:1]),
    "r_and_patches": _grid(plot_r_and_patches, lambda plan: plan.grid_methods, best_by_patches),
    "search": Figure(
        "6 Validation", read_result, plot_search, inputs=result("search/samplers.csv")
    ),
    "prediction": Figure(
        "6 Validation", read_result, plot_prediction, inputs=result("search/evaluations.csv")
    ),
}
