"""Figures of what is judged: residual spectra, likelihoods of r, criteria, realisations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..inference.r_likelihood import bias_and_width
from ..sky.regions import COMBINED
from .style import (
    COLOURS,
    D_ELL_LABEL,
    FULL_WIDTH,
    R_UPPER_LABEL,
    area_grid,
    area_title,
    colours_of,
    in_words,
    plain_log_ticks,
    power_of_ten,
    with_series,
)

# Values of r that LiteBIRD aims at (arXiv:2604.08463, Fig. 10).
R_BAND = (1e-3, 4e-3)
LINES = {"total": "--", "observed": "--", "systematic": "-", "statistical": ":"}


def plot_residual_spectra(data: pd.DataFrame, kinds: list[str]) -> Figure:
    """BB spectra, a panel per area and a colour per method and set.

    Parameters
    ----------
    data : DataFrame
        `judging.shown_tables` of `judging.mean_spectra`.
    kinds : list of str
        Those that are drawn, of `LINES`.
    """
    data = with_series(data)
    areas = list(data["region"].unique())
    figure, axes = area_grid(areas, 0.36)
    colours = colours_of(list(data["series"].unique()))
    for axis, area in zip(axes, areas):
        rows = data[data["region"] == area]
        draw_spectra(axis, rows, kinds, colours)
        axis.set(title=area_title(area))
        axis.label_outer()
    figure.supxlabel(r"Multipole $\ell$", fontsize="medium")
    figure.supylabel(D_ELL_LABEL, fontsize="medium")
    handles = [
        *(Line2D([], [], color=colour, label=name) for name, colour in colours.items()),
        *spectra_handles(kinds),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def draw_spectra(axis, data: pd.DataFrame, kinds: list[str], colours: dict[str, str]):
    """D_ell of one area's `series`, with lensing and the band of r."""
    for name, rows in data.groupby("series", sort=False):
        factor = rows["ell"] * (rows["ell"] + 1) / (2 * np.pi)
        for kind in kinds:
            axis.plot(rows["ell"], factor * rows[kind], LINES[kind], color=colours[name])
    tensor, lensing = factor * rows["tensor"], factor * rows["lensing"]
    axis.fill_between(rows["ell"], *(r * tensor for r in R_BAND), color="0.8", lw=0)
    axis.plot(rows["ell"], lensing, color="0.4", lw=1)
    axis.set(xscale="log", yscale="log", xlim=(rows["ell"].min(), rows["ell"].max()))
    plain_log_ticks(axis.xaxis)
    highest = max(line.get_ydata().max() for line in axis.lines)
    axis.set_ylim(tensor.min() * R_BAND[0] / 100, 2 * highest)


def spectra_handles(kinds: list[str]) -> list:
    """The legend of `draw_spectra`, but for its colours."""
    return [
        *(Line2D([], [], color="k", ls=LINES[kind], label=kind) for kind in kinds),
        Patch(color="0.8", label=rf"$r\in[{power_of_ten(R_BAND[0])},\,{power_of_ten(R_BAND[1])}]$"),
        Line2D([], [], color="0.4", lw=1, label="lensing"),
    ]


def plot_r_likelihoods(data: pd.DataFrame) -> Figure:
    """Likelihoods of r, a panel per area and a colour per method and set.

    `data` is `judging.shown_tables` of likelihood curves. A curve whose r_hat lies beyond the
    panel is named with an arrow.
    """
    data = with_series(data)
    areas = list(data["region"].unique())
    figure, axes = area_grid(areas, 0.3)
    colours = colours_of(list(data["series"].unique()))
    for axis, area in zip(axes, areas):
        draw_likelihoods(axis, data[data["region"] == area], colours)
        axis.set(title=area_title(area))
    figure.supxlabel(r"$10^3\,r$", fontsize="medium")
    figure.supylabel(r"$L(r)/L(\hat r)$", fontsize="medium")
    return figure


def draw_likelihoods(axis, data: pd.DataFrame, colours: dict[str, str]):
    """Likelihoods of r of one area's `series`; their r_hat and widths are in the legend."""
    scaled = ["r", "r_hat", "sigma_r_minus", "sigma_r_plus", "r_upper68", "r_input"]
    data = data.assign(**1e3 * data[scaled])
    first = data.drop_duplicates("series")
    near = first[first["r_hat"] < 3 * first["r_upper68"].min()]
    right = (near["r_hat"] + 3.5 * near["sigma_r_plus"]).max()
    beyond = 0
    for name, rows in data.groupby("series", sort=False):
        r_hat, minus, plus = rows[["r_hat", "sigma_r_minus", "sigma_r_plus"]].iloc[0]
        if r_hat > right:
            axis.annotate(
                "",
                xy=(1, 0.3 + 0.1 * beyond),
                xytext=(0.9, 0.3 + 0.1 * beyond),
                xycoords="axes fraction",
                arrowprops={"arrowstyle": "->", "color": colours[name]},
            )
            beyond += 1
        else:
            inside = rows[rows["r"].between(r_hat - minus, r_hat + plus)]
            axis.fill_between(inside["r"], inside["likelihood"], color=colours[name], alpha=0.2)
        label = rf"{name}: ${r_hat:.2f}^{{+{plus:.2f}}}_{{-{minus:.2f}}}$"
        axis.plot(rows["r"], rows["likelihood"], color=colours[name], label=label)
    for r_input in first["r_input"].unique():
        axis.axvline(r_input, color="0.4", lw=0.8, ls="--")
    # The legend stands above the peaks.
    top = 1.1 + 0.14 * (len(first) + 1)
    axis.set(xlim=(max(data["r"].min(), -right / 2), right), ylim=(0, top))
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axis.legend(loc="upper right", title=r"$10^3\,r$")


def plot_criteria(data: pd.DataFrame) -> Figure:
    """r_upper68 of every criterion's choice of all regions, a panel per method.

    `data` is that of `tables.criteria_table`, of all regions combined. A point per set, with the
    bootstrap's error, and an open one for every further kind of pixel weights; methods without a
    choice are left out, unless none has one.
    """
    n_choices = data.groupby("method", sort=False)["configuration"].nunique()
    methods = list(n_choices.index[n_choices > 1]) or list(n_choices.index)
    names, weights = (list(data[column].unique()) for column in ("criterion", "pixel_weights"))
    data = data[data["method"].isin(methods)]
    sets = list(data["set"].unique())
    figure, panels = plt.subplots(
        1,
        len(methods),
        figsize=(FULL_WIDTH * min(1, 0.5 * len(methods)), 0.8 + 0.33 * len(names)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    places = np.arange(len(names))
    for axis, method in zip(panels[0], methods):
        of_method = data[data["method"] == method].groupby(["set", "pixel_weights"], sort=False)
        for (name, pixel_weights), rows in of_method:
            number, rows = sets.index(name), rows.set_index("criterion")
            axis.errorbar(
                1e3 * rows.loc[names, "r_upper68"],
                places + 0.5 * ((number + 0.5) / len(sets) - 0.5),
                xerr=1e3 * rows.loc[names, "r_upper68_error"],
                fmt="o",
                ms=4,
                capsize=2,
                color=COLOURS[number],
                markerfacecolor=COLOURS[number] if pixel_weights == weights[0] else "w",
            )
        axis.set(title=in_words(method), xscale="log", ylim=(len(names) - 0.5, -0.5))
        plain_log_ticks(axis.xaxis)
        axis.grid(axis="x", which="both", color="0.9", lw=0.6)
        axis.set_axisbelow(True)
    panels[0][0].set_yticks(places, [in_words(name) for name in names])
    figure.supxlabel(f"{R_UPPER_LABEL}, {area_title(COMBINED)}", fontsize="medium")
    marks = [(name, colour, colour) for name, colour in zip(sets, COLOURS)]
    if len(weights) > 1:
        marks += [(f"{name} weights", "k", face) for name, face in zip(weights, ("k", "w"))]
    handles = [
        Line2D([], [], marker="o", ls="", ms=4, color=edge, mfc=face, label=in_words(name))
        for name, edge, face in marks
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


# Of the kinds of bars.
HATCHES = ("", "////", "....", "xxxx")


def plot_methods(data: pd.DataFrame) -> Figure:
    """Bias and, from there on, or from zero, sigma_+ of every method, a panel per set.

    Bars of a method are as long together as abs(bias) + sigma_+.

    Parameters
    ----------
    data : DataFrame
        Rows of `tables.criteria_table`, of one criterion and all regions combined, with the
        columns of `tables.relative_to_first`. A bar for each of the kinds that r is measured with.
    """
    sets, methods = (list(data[column].unique()) for column in ("set", "method"))
    kind = "residual " + data["foreground_residual"]
    if data["pixel_weights"].nunique() > 1:
        kind = data["pixel_weights"] + " weights, " + kind
    kinds = list(kind.unique())
    figure, panels = plt.subplots(
        1,
        len(sets),
        figsize=(FULL_WIDTH, 0.9 + 0.17 * len(methods) * (1 + len(kinds))),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    places = {method: place for place, method in enumerate(methods)}
    height = 0.8 / len(kinds)
    for axis, name in zip(panels[0], sets):
        rows = data[data["set"] == name]
        noise, bias = 1e3 * rows["sigma_r_plus"], 1e3 * (rows["r_hat"] - rows["r_input"])
        number = kind[rows.index].map(kinds.index)
        at = rows["method"].map(places) + height * (number - (len(kinds) - 1) / 2)
        options = {"height": 0.9 * height, "edgecolor": "w", "lw": 0}
        hatches = [HATCHES[i] for i in number]
        left = bias.clip(lower=0)
        axis.barh(at, noise, left=left, color=COLOURS[5], hatch=hatches, **options)
        axis.barh(at, bias, color=COLOURS[4], **options)
        error = 1e3 * rows["r_upper68_error"]
        axis.errorbar(left + noise, at, xerr=error, fmt="none", ecolor="k", elinewidth=0.8)
        for place, end, row in zip(at, left + noise + error, rows.itertuples()):
            if row.ratio != 1:
                change = f" {100 * (row.ratio - 1):+.0f} ± {100 * row.ratio_error:.0f} %"
                change = change.replace("-", "\N{MINUS SIGN}")
                axis.text(end, place, change, va="center", fontsize="xx-small")
        low = min(0, 1.1 * bias.min())
        axis.set(title=in_words(name), xlim=(low, 1.75 * (left + noise).max()))
        axis.tick_params(axis="y", length=0)
    panels[0][0].set_yticks(range(len(methods)), [in_words(method) for method in methods])
    panels[0][0].set_ylim(len(methods) - 0.5, -0.5)
    figure.supxlabel(rf"$10^3\,(r - r_\mathrm{{in}})$, {area_title(COMBINED)}", fontsize="medium")
    handles = [
        Patch(color=COLOURS[4], label=r"bias, $\hat r - r_\mathrm{in}$"),
        Patch(color=COLOURS[5], label=r"$\sigma_+$"),
    ]
    if len(kinds) > 1:
        handles += [
            Patch(fc="0.7", ec="w", hatch=hatch, label=in_words(one))
            for one, hatch in zip(kinds, HATCHES)
        ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_template_errors(data: pd.DataFrame) -> Figure:
    """r with templates of temp_dust against their error, a panel per set.

    Parameters
    ----------
    data : DataFrame
        Rows of `tables.criteria_table` with the `error` in K and the `coherence` in degrees of the
        method's templates; methods that have none are what they are compared with.
    """
    sets, residuals = (list(data[column].unique()) for column in ("set", "foreground_residual"))
    bias = 1e3 * (data["r_hat"] - data["r_input"])
    data = data.assign(bias=bias, worth=bias_and_width(bias, 1e3 * data["sigma_r_plus"]))
    figure, panels = plt.subplots(
        len(residuals),
        len(sets),
        figsize=(FULL_WIDTH, 0.33 * FULL_WIDTH * len(residuals)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    coherences = sorted(data["coherence"].dropna().unique())
    for row, residual in zip(panels, residuals):
        row[0].set_ylabel(f"residual {in_words(residual)}\n$10^3\\,r$")
        for axis, name in zip(row, sets):
            shown = data[data["set"].eq(name) & data["foreground_residual"].eq(residual)]
            references = shown[shown["error"].isna()]
            lines = zip(("-", "--", "-."), references["method"], references["worth"])
            for style, method, worth in lines:
                axis.axhline(worth, color="k", ls=style, lw=0.8, label=in_words(method))
            for colour, coherence in zip(COLOURS, coherences):
                # Without an error there is nothing that could be coherent.
                of_line = shown["error"].eq(0) | shown["coherence"].eq(coherence)
                rows = shown[of_line].sort_values("error")
                axis.errorbar(
                    rows["error"],
                    rows["worth"],
                    1e3 * rows["r_upper68_error"],
                    color=colour,
                    marker="o",
                    ms=3,
                    label=f"templates, errors of {coherence:g}°",
                )
                axis.plot(rows["error"], rows["bias"], color=colour, ls=":", marker=".", ms=3)
            axis.axhline(0, color="0.7", lw=0.6, zorder=0)
    for axis, name in zip(panels[0], sets):
        axis.set_title(in_words(name))
    figure.supxlabel(r"rms error of the template of $T_\mathrm{d}$ [K]", fontsize="medium")
    handles = [
        *panels[0][0].get_legend_handles_labels()[0],
        Line2D([], [], color="0.4", label=r"$|\hat r - r_\mathrm{in}| + \sigma_+$"),
        Line2D([], [], color="0.4", ls=":", label=r"$\hat r - r_\mathrm{in}$"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


# What is shown of every realisation, with a label.
METRICS = {
    "variance": r"Variance of recovered CMB, $Q+U$ [$\mu\mathrm{K}^2$]",
    "nll": "NLL",
    "bb_sum": r"$\sum_\ell C_\ell^{BB}$ of the residual [$\mu\mathrm{K}^2$]",
}


def plot_distributions(data: pd.DataFrame) -> Figure:
    """Distributions of METRICS over noise realisations, a colour per method, means dashed.

    `data` has a row per `method` and `realization`.
    """
    figure, axes = plt.subplots(
        1, len(METRICS), figsize=(FULL_WIDTH, 0.36 * FULL_WIDTH), layout="constrained"
    )
    colours = colours_of(list(data["method"].unique()))
    for axis, (metric, label) in zip(axes, METRICS.items()):
        for method, rows in data.groupby("method", sort=False):
            # Bins of its own: methods may lie many widths apart.
            axis.hist(rows[metric], 10, color=colours[method], alpha=0.35)
            axis.axvline(rows[metric].mean(), color=colours[method], ls="--")
        axis.set(xlabel=label, yticks=[])
        axis.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
        axis.xaxis.set_major_locator(plt.MaxNLocator(4))
    axes[0].set_ylabel("Realisations")
    handles = [Patch(color=c, alpha=0.6, label=in_words(name)) for name, c in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure
