"""Figures of the grid: r and variance of every configuration."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..separation.partitions import N_PATCHES
from ..sky.spectral_model import PARAMETERS
from .style import (
    FULL_WIDTH,
    PARAMETER_LABELS,
    R_UPPER_LABEL,
    area_title,
    colours_of,
    in_words,
    plain_log_ticks,
)

# A scan has points enough to be a line.
FEWEST_POINTS = 3


def _region_panels(data: pd.DataFrame):
    """A figure, and its panels by region, side by side."""
    regions = list(data["region"].unique())
    figure, axes = plt.subplots(
        1,
        len(regions),
        figsize=(FULL_WIDTH, 0.4 * FULL_WIDTH),
        squeeze=False,
        layout="constrained",
    )
    return figure, dict(zip(regions, axes[0], strict=True))


def plot_variance_and_r(data: pd.DataFrame) -> Figure:
    """r_hat (open) and r_upper68 (filled) against the variance of the recovered CMB, by region.

    `data` has rows of `tables.configuration_table` of one method; the colour is the number of
    patches of all parameters.
    """
    figure, panels = _region_panels(data)
    n_patches = data[N_PATCHES].sum(axis=1)
    colours = {"norm": LogNorm(n_patches.min(), n_patches.max()), "cmap": "viridis"}
    for region, axis in panels.items():
        rows = data[data["region"] == region]
        total = n_patches[rows.index]
        points = axis.scatter(rows["variance"], 1e3 * rows["r_upper68"], 9, total, **colours)
        shades = points.cmap(points.norm(total))
        axis.scatter(
            rows["variance"], 1e3 * rows["r_hat"], 9, facecolors="none", edgecolors=shades, lw=0.7
        )
        axis.set(title=area_title(region), xlabel=r"Variance, $Q+U$ [$\mu\mathrm{K}^2$]")
        axis.set_yscale("symlog", linthresh=1)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_major_locator(plt.MaxNLocator(3))
        axis.ticklabel_format(axis="x", useOffset=False)
    axes = list(panels.values())
    axes[0].set_ylabel(r"$10^3\,r$")
    figure.colorbar(points, ax=axes, label="Patches, all three parameters")
    handles = [
        Line2D([], [], marker="o", ls="", ms=3.5, color="k", mfc=face, label=label)
        for face, label in (("k", r"$\hat r + \sigma_+$"), ("w", r"$\hat r$"))
    ]
    axes[-1].legend(handles=handles)
    return figure


def scans(configurations: pd.DataFrame) -> pd.DataFrame:
    """One-dimensional scans in a grid: along one parameter, the others the same.

    Parameters
    ----------
    configurations : DataFrame
        Rows of `tables.configuration_table` of one method.

    Returns
    -------
    DataFrame
        The rows of every scan of `FEWEST_POINTS` or more, with the `parameter` that it goes along
        and the values of the `others`; a configuration is in as many as cross in it.
    """
    values = configurations["configuration"].str.split("-", expand=True).astype(int)
    values.columns = PARAMETERS
    table, found = configurations.join(values), []
    for parameter in PARAMETERS:
        others = [name for name in PARAMETERS if name != parameter]
        for fixed, rows in table.groupby(["region", *others], sort=False):
            if len(rows) >= FEWEST_POINTS:
                label = ", ".join(
                    f"{PARAMETER_LABELS[name].removesuffix(' [K]')} {value}"
                    for name, value in zip(others, fixed[1:], strict=True)
                )
                along = rows.sort_values(parameter).assign(parameter=parameter, others=label)
                found.append(along)
    if not found:
        raise ValueError(f"no scan of {FEWEST_POINTS} configurations or more is in the grid")
    return pd.concat(found, ignore_index=True).drop(columns=list(PARAMETERS))


def plot_scans(data: pd.DataFrame) -> Figure:
    """r_upper68 along every one-dimensional scan: rows are regions, columns parameters.

    `data` is that of `scans`; the lowest point of a region is marked in all of its scans.
    """
    regions = list(data["region"].unique())
    figure, axes = plt.subplots(
        len(regions),
        len(PARAMETERS),
        figsize=(FULL_WIDTH, FULL_WIDTH * (0.3 * len(regions) + 0.08)),
        sharey="row",
        sharex="col",
        squeeze=False,
        layout="constrained",
    )
    for row, region in zip(axes, regions):
        of_region = data[data["region"] == region]
        best = of_region.loc[of_region["r_upper68"].idxmin(), "configuration"]
        for axis, parameter in zip(row, PARAMETERS):
            along = of_region[of_region["parameter"] == parameter]
            colours = colours_of(list(data.loc[data["parameter"] == parameter, "others"].unique()))
            for others, rows in along.groupby("others", sort=False):
                n_patches = rows[f"n_patches_{parameter}"]
                axis.plot(n_patches, 1e3 * rows["r_upper68"], ".-", ms=3, color=colours[others])
                chosen = rows["configuration"] == best
                axis.plot(n_patches[chosen], 1e3 * rows["r_upper68"][chosen], "k*", ms=8, zorder=3)
            axis.set(xscale="log", yscale="log")
            axis.label_outer()
            if region == regions[0] and colours:
                handles = [Line2D([], [], color=c, label=name) for name, c in colours.items()]
                axis.legend(handles=handles, loc="best", fontsize="x-small")
        plain_log_ticks(row[0].yaxis)
        row[0].set_ylabel(f"{area_title(region)}\n{R_UPPER_LABEL}")
    for axis, parameter in zip(axes[-1], PARAMETERS):
        axis.set_xlabel(f"Patches of {PARAMETER_LABELS[parameter].removesuffix(' [K]')}")
        plain_log_ticks(axis.xaxis, subs=(1,))
    return figure


def best_by_patches(configurations: pd.DataFrame) -> pd.DataFrame:
    """Of all configurations with as many patches of beta_dust that of the lowest r_upper68.

    `configurations` are rows of `tables.configuration_table`; methods and regions are kept apart.
    """
    lowest = configurations.groupby(["method", "region", N_PATCHES[0]], sort=False)["r_upper68"]
    return configurations.loc[lowest.idxmin()].sort_values(["method", N_PATCHES[0]])


def plot_r_and_patches(data: pd.DataFrame) -> Figure:
    """r_hat and sigma_r against patches of beta_dust, a colour per method: `best_by_patches`."""
    figure, panels = _region_panels(data)
    colours = colours_of(list(data["method"].unique()))
    for region, axis in panels.items():
        for method, rows in data[data["region"] == region].groupby("method", sort=False):
            axis.errorbar(
                rows[N_PATCHES[0]],
                1e3 * rows["r_hat"],
                1e3 * rows[["sigma_r_minus", "sigma_r_plus"]].T,
                fmt=".-",
                ms=4,
                lw=0.9,
                elinewidth=0.5,
                color=colours[method],
            )
        axis.axhline(0, color="0.4", lw=0.8, ls="--")
        axis.set(
            title=area_title(region),
            xscale="log",
            xlabel=f"Patches of {PARAMETER_LABELS['beta_dust']}",
        )
        axis.set_yscale("symlog", linthresh=1)
        for direction in (axis.xaxis, axis.yaxis):
            direction.set_major_formatter("{x:g}")
    next(iter(panels.values())).set_ylabel(r"$10^3\,\hat r$")
    handles = [Line2D([], [], color=c, label=in_words(name)) for name, c in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure
