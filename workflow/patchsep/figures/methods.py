"""Figures of methods side by side: their r, with errors of templates, and by every criterion."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pandas as pd

from ..files.tables import read_table
from ..lazy import lines, shapes
from ..lazy import pyplot as plt
from ..sky.regions import COMBINED
from .figure import Figure, labels_of, result
from .style import (
    COLOURS,
    FULL_WIDTH,
    R_UPPER_LABEL,
    in_words,
    plain_log_ticks,
    region_title,
)

# Parameter whose templates' errors are compared, and what methods make of templates.
TEMPLATE = "temp_dust"
TEMPLATED = {"template": "bins of templates", "fields": "templates as means of fields"}
# Lines of methods without templates.
REFERENCES = ("-", "--", "-.", (0, (6, 1.5)), (0, (1, 1.5, 1, 1.5, 5, 1.5)))


def _rows(files, shown) -> pd.DataFrame:
    """Rows of the table of selections that are shown."""
    from ..inference.tables import combined_rows

    selection = read_table(files["selection"])
    return combined_rows(selection, shown["sets"], shown["criterion"], shown["theory"])


def method_table(files: dict, shown: dict) -> pd.DataFrame:
    """`tables.relative_to_first` of one criterion, all regions combined.

    Of the kinds that r is measured with: the first of every method, and as published.
    """
    from ..inference.sets import KINDS, of_first
    from ..inference.tables import as_published, relative_to_first

    samples = dict(zip(shown["sets"], map(read_table, files["samples"]), strict=True))
    rows = relative_to_first(_rows(files, shown), samples)
    return rows[of_first(rows, KINDS) | as_published(rows)].reset_index(drop=True)


def template_table(files: dict, shown: dict) -> pd.DataFrame:
    """Rows of one criterion, all regions combined, with what is known of templates' errors.

    That is the `strategy` that takes them, the rms `error` in the parameter's unit and its
    `coherence` in degrees.
    """
    rows = _rows(files, shown)
    rows = rows[rows["pixel_weights"].eq(shown["pixel_weights"])]
    known = pd.DataFrame(shown["known"], columns=["method", "strategy", "error", "coherence"])
    return rows.merge(known, "left")


# Of the kinds of bars.
HATCHES = ("", "////", "....", "xxxx")


def plot_methods(data: pd.DataFrame, _) -> plt.Figure:
    """Bias and, from there on, or from zero, sigma_+ of every method, a panel per set.

    Bars of a method are as long together as abs(bias) + sigma_+. `data` is that of `method_table`;
    there is a bar for each of the kinds that r is measured with there.
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
    figure.supxlabel(rf"$10^3\,(r - r_\mathrm{{in}})$, {region_title(COMBINED)}", fontsize="medium")
    handles = [
        shapes.Patch(color=COLOURS[4], label=r"bias, $\hat r - r_\mathrm{in}$"),
        shapes.Patch(color=COLOURS[5], label=r"$\sigma_+$"),
    ]
    if len(kinds) > 1:
        handles += [
            shapes.Patch(fc="0.7", ec="w", hatch=hatch, label=in_words(one))
            for one, hatch in zip(kinds, HATCHES)
        ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_template_errors(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """r with templates of `TEMPLATE` against their error, a panel per set.

    `data` is that of `template_table`; methods that have no template are what those with one are
    compared with.
    """
    from ..inference.r_likelihood import bias_and_width

    sets, residuals = (list(data[column].unique()) for column in ("set", "foreground_residual"))
    bias = 1e3 * (data["r_hat"] - data["r_input"])
    data = data.assign(bias=bias, total=bias_and_width(bias, 1e3 * data["sigma_r_plus"]))
    figure, panels = plt.subplots(
        len(residuals),
        len(sets),
        figsize=(FULL_WIDTH, 0.33 * FULL_WIDTH * len(residuals)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    templated = data[["strategy", "coherence"]].dropna().drop_duplicates()
    series = list(templated.sort_values(["strategy", "coherence"], ascending=[False, True]).values)
    # Of methods that are not in every row, as those without mock skies.
    styles = dict(zip(data.loc[data["error"].isna(), "method"].unique(), cycle(REFERENCES)))
    for row, residual in zip(panels, residuals):
        row[0].set_ylabel(f"residual {in_words(residual)}\n$10^3\\,r$")
        for axis, name in zip(row, sets):
            of_panel = data[data["set"].eq(name) & data["foreground_residual"].eq(residual)]
            references = of_panel[of_panel["error"].isna()]
            for method, total in zip(references["method"], references["total"]):
                axis.axhline(total, color="k", ls=styles[method], lw=0.8, label=in_words(method))
            for colour, (strategy, coherence) in zip(COLOURS, series):
                # Without an error there is nothing that could be coherent.
                of_line = of_panel["error"].eq(0) | of_panel["coherence"].eq(coherence)
                of_line &= of_panel["strategy"].eq(strategy)
                rows = of_panel[of_line].sort_values("error")
                axis.errorbar(
                    rows["error"],
                    rows["total"],
                    1e3 * rows["r_upper68_error"],
                    color=colour,
                    marker="o",
                    ms=3,
                    label=f"{TEMPLATED[strategy]}, errors of {coherence:g}°",
                )
                axis.plot(rows["error"], rows["bias"], color=colour, ls=":", marker=".", ms=3)
            axis.axhline(0, color="0.7", lw=0.6, zorder=0)
    for axis, name in zip(panels[0], sets):
        axis.set_title(in_words(name))
    figure.supxlabel(f"rms error of the template of {shown['labels'][TEMPLATE]}", fontsize="medium")
    labelled = (zip(*axis.get_legend_handles_labels()) for axis in panels[:, 0])
    handles = [
        *{label: handle for row in labelled for handle, label in row}.values(),
        lines.Line2D([], [], color="0.4", label=r"$|\hat r - r_\mathrm{in}| + \sigma_+$"),
        lines.Line2D([], [], color="0.4", ls=":", label=r"$\hat r - r_\mathrm{in}$"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def selection_table(files: dict, _) -> pd.DataFrame:
    """Rows of the table of selections, of all regions combined.

    Of several theory spectra, or models of foreground residuals, those of the first.
    """
    from ..inference.sets import of_first
    from ..inference.tables import with_whole_counts

    data = with_whole_counts(read_table(files["table"]))
    is_first = of_first(data, ["theory", "foreground_residual"])
    return data[data["region"].eq(COMBINED) & is_first]


def plot_selection(data: pd.DataFrame, _) -> plt.Figure:
    """r_upper68 of what every criterion selects in all regions, a panel per method.

    `data` is that of `selection_table`. A point per set, with the bootstrap's error, and an open
    one for every further kind of pixel weights; methods of which all criteria select the same are
    left out, unless there are no others.
    """
    n_selected = data.groupby("method", sort=False)["configuration"].nunique()
    methods = list(n_selected.index[n_selected > 1]) or list(n_selected.index)
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
    figure.supxlabel(f"{R_UPPER_LABEL}, {region_title(COMBINED)}", fontsize="medium")
    marks = [(name, colour, colour) for name, colour in zip(sets, COLOURS)]
    if len(weights) > 1:
        marks += [(f"{name} weights", "k", face) for name, face in zip(weights, ("k", "w"))]
    handles = [
        lines.Line2D([], [], marker="o", ls="", ms=4, color=edge, mfc=face, label=in_words(name))
        for name, edge, face in marks
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def _shows(plan, methods, pairs) -> dict:
    return {"sets": pairs, "criterion": plan.criteria[0], "theory": plan.theory[0]}


def _shows_templates(plan, *of) -> dict:
    templated = [name for name, method in plan.methods.items() if TEMPLATE in method["maps"]]
    known = [
        (
            method,
            plan.methods[method]["strategy"],
            plan.methods[method]["errors"].get(TEMPLATE, 0.0),
            plan.methods[method]["coherence"],
        )
        for method in templated
    ]
    return {
        **_shows(plan, *of),
        "pixel_weights": plan.settings["spectra"]["pixel_weights"][0],
        "known": known,
        "labels": labels_of(plan),
    }


FIGURES = {
    "methods": Figure(
        "5 r",
        method_table,
        plot_methods,
        shows=_shows,
        inputs=lambda plan, shown: {
            "selection": f"{plan.results}/tables/selection.csv",
            "samples": plan.r_of_sets(shown["sets"], "_samples.parquet"),
        },
    ),
    "template_errors": Figure(
        "5 r",
        template_table,
        plot_template_errors,
        shows=_shows_templates,
        inputs=lambda plan, shown: {"selection": f"{plan.results}/tables/selection.csv"},
        template=TEMPLATE,
    ),
    "selection": Figure(
        "5 r", selection_table, plot_selection, inputs=result("tables/selection.csv")
    ),
}
