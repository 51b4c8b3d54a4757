"""Figures of observed maps: cleaned maps, bandpowers, r, null tests, what drives r, coverage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ..files.maps import read_maps
from ..files.tables import read_table
from ..inference.coverage import n_effective
from ..lazy import lines, shapes, stats
from ..lazy import pyplot as plt
from ..sky.regions import COMBINED
from .figure import Figure, labels_of, read_result, result
from .maps import draw_map
from .style import (
    COLOURS,
    D_ELL_LABEL,
    FULL_WIDTH,
    colours_of,
    in_words,
    plain_log_ticks,
    power_of_ten,
    region_title,
)

# Colours of a map of Q, U end at this percentile of its absolute values, those of a parameter at
# this one and what is as far from the other end.
SHOWN_OF_POLARIZATION, SHOWN_OF_PARAMETER = 98, 97
# A bandpower that is not above its error is told as an upper limit of so many errors.
LIMIT = 2
# Panels of a spectrum show so much less than the lowest curve or limit, and more than the highest.
BELOW, ABOVE = 0.3, 3.0
# Panels of likelihoods reach so many errors to either side.
SHOWN_SIGMA = 3.5
# Curves of a panel of bandpowers, by the table's column.
CURVES = {
    "lensing": ("0.4", "-", "lensing"),
    "residual": (COLOURS[4], "--", "foregrounds left, expected"),
    "noise_bias": (COLOURS[5], ":", "noise that is taken off"),
}
MODEL = COLOURS[3]
# Probabilities below which a test is conspicuous.
CONSPICUOUS = (0.05, 0.01)
# Intervals of r whose coverage is counted, percent.
CONTENTS = (68, 95)
KINDS = {"region": "Regions", "multipoles": "Multipoles", "band": "Bands"}


def cleaned_table(files: dict, _) -> pd.DataFrame:
    """Columns of the file of cleaned maps, a row per HEALPix pixel, NaN where masked."""
    return pd.DataFrame(read_maps(files["cleaned"]))


def plot_cleaned_maps(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """Q, U of the CMB and of every component, and the spectral parameters, of `cleaned_table`.

    What is `shown`: `components`, their reference frequencies in GHz by name, `labels` of the
    parameters by name, and the `projection`.
    """
    components = {"CMB": r"CMB [$\mu\mathrm{K}_\mathrm{CMB}$]"} | {
        name: rf"{in_words(name)} at {frequency:g} GHz [$\mu\mathrm{{K}}_\mathrm{{RJ}}$]"
        for name, frequency in shown["components"].items()
    }
    labels = shown["labels"]
    n_columns = max(len(components), min(len(labels), 3))
    n_rows = 2 + -(-len(labels) // n_columns)
    size = (FULL_WIDTH, FULL_WIDTH * (0.6 / n_columns * n_rows + 0.1))
    projected = {"projection": shown["projection"]}
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, subplot_kw=projected, layout="constrained"
    )
    unused = set(axes.flat)

    def with_bar(axis, values, below, label, **style):
        unused.discard(axis)
        mesh = draw_map(axis, values, **style)
        figure.colorbar(
            mesh, ax=below, location="bottom", label=label, extend="both", shrink=0.8, aspect=30
        )

    for column, (name, label) in zip(axes.T, components.items()):
        pair = data[[f"{name.upper()}_{stokes}" for stokes in "QU"]]
        limit = np.nanpercentile(np.abs(pair), SHOWN_OF_POLARIZATION)
        style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        unused.discard(column[0])
        draw_map(column[0], pair.iloc[:, 0], **style)
        with_bar(column[1], pair.iloc[:, 1], column[:2], label, **style)
    for axis, stokes in zip(axes[:2, 0], "QU"):
        axis.text(-0.06, 0.5, f"${stokes}$", transform=axis.transAxes, va="center", ha="center")
    for axis, (name, label) in zip(axes[2:].flat, labels.items()):
        values = data[name.upper()]
        ends = [100 - SHOWN_OF_PARAMETER, SHOWN_OF_PARAMETER]
        low, high = np.nanpercentile(values, ends)
        with_bar(axis, values, axis, label, cmap="cividis", vmin=low, vmax=high)
    for axis in unused:
        axis.remove()
    return figure


def bandpower_table(files: dict, _) -> pd.DataFrame:
    """Bandpowers that are used, r by region, and its likelihood, told apart by their `panel`."""
    bandpowers, r, curves = (read_table(files[name]) for name in ("bandpowers", "r", "curves"))
    of_all = r[r["ell_low"].isna()]
    parts = {
        "bandpowers": bandpowers[bandpowers["used"]],
        "likelihood": curves.merge(of_all.drop(columns=["ell_low", "ell_high"]), on="region"),
    }
    table = pd.concat([rows.assign(panel=panel) for panel, rows in parts.items()])
    return _each_once(table)


def _each_once(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of all regions; of one region alone, `combined` says the same again."""
    several = table["region"].nunique() > 2
    return table[table["region"].eq(COMBINED) | several].reset_index(drop=True)


def plot_bandpowers(data: pd.DataFrame, _) -> plt.Figure:
    """BB bandpowers of every region, of `bandpower_table`, with the likelihood of r beside them."""
    regions = list(data["region"].unique())
    figure, axes = plt.subplots(
        len(regions),
        2,
        figsize=(FULL_WIDTH, FULL_WIDTH * (0.26 * len(regions) + 0.14)),
        width_ratios=[1.7, 1],
        layout="constrained",
        sharex="col",
        squeeze=False,
    )
    for (left, right), region in zip(axes, regions):
        rows = data[data["region"] == region]
        likelihood = rows[rows["panel"] == "likelihood"]
        _draw_bandpowers(left, rows[rows["panel"] == "bandpowers"], likelihood)
        left.set_title(region_title(region))
        _draw_likelihood(right, likelihood)
    likelihoods = data[data["panel"] == "likelihood"]
    if len(likelihoods):
        lowest = likelihoods["r_hat"] - SHOWN_SIGMA * likelihoods["sigma_r_minus"]
        highest = likelihoods["r_hat"] + SHOWN_SIGMA * likelihoods["sigma_r_plus"]
        axes[0, 1].set_xlim(1e3 * lowest.min(), 1e3 * highest.max())
    axes[-1, 0].set_xlabel(r"Multipole $\ell$")
    axes[-1, 1].set_xlabel(r"$10^3\,r$")
    figure.supylabel(D_ELL_LABEL, fontsize="medium")
    handles = [
        lines.Line2D([], [], color="k", marker="o", ms=3, lw=0.8, label="bandpowers, 1 σ"),
        lines.Line2D([], [], color="k", marker="v", ms=3, lw=0, label=f"upper limits, {LIMIT} σ"),
        *(lines.Line2D([], [], color=c, ls=ls, label=name) for c, ls, name in CURVES.values()),
        shapes.Patch(color=MODEL, alpha=0.3, label="lensing + foregrounds + $r$, 68 %"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def _draw_bandpowers(axis, rows, likelihood):
    """Bandpowers of one region, and what they are made of; limits where they hardly exceed 0."""
    ell = rows["ell"].to_numpy()
    factor = ell * (ell + 1) / (2 * np.pi)
    bb, error = factor * rows["bb"], factor * rows["error"]
    measured = bb > error
    axis.errorbar(
        ell[measured],
        bb[measured],
        # A bar that reaches 0 has no end on a logarithmic axis.
        np.minimum([error[measured], error[measured]], [0.999 * bb[measured], error[measured]]),
        fmt="ko",
        ms=3,
        lw=0.8,
        zorder=3,
    )
    limits = bb + LIMIT * error
    is_limit = ~measured & (limits > 0)
    axis.plot(ell[is_limit], limits[is_limit], "kv", ms=3, zorder=3)
    shown = [bb[measured], limits[is_limit]]
    for column, (colour, dashes, _) in CURVES.items():
        curve = factor * rows[column]
        axis.plot(ell, curve.where(curve > 0), color=colour, ls=dashes)
        shown.append(curve[curve > 0])
    if len(likelihood):
        ends = likelihood[["r68_low", "r68_high"]].iloc[0]
        expected = rows["lensing"] + rows["other_bias"] + rows["residual"]
        between = [factor * (expected + r * rows["tensor"]) for r in ends]
        # What is below 0 lies below the panel.
        least = 1e-3 * factor.min() * rows["lensing"].min()
        axis.fill_between(
            ell, *(one.clip(lower=least) for one in between), color=MODEL, alpha=0.3, lw=0
        )
    shown = np.concatenate(shown)
    if len(shown):
        axis.set(ylim=(BELOW * shown.min(), ABOVE * shown.max()), yscale="log")
    axis.set_xscale("log")
    plain_log_ticks(axis.xaxis)


def _draw_likelihood(axis, rows):
    """The likelihood of r of one region, with its interval of 68 %."""
    if not len(rows):
        axis.text(0.5, 0.5, "$r$ is not measured", transform=axis.transAxes, ha="center")
        axis.set_yticks([])
        return
    first = rows.iloc[0]
    r = 1e3 * rows["r"]
    inside = rows["r"].between(first["r68_low"], first["r68_high"])
    axis.plot(r, rows["likelihood"], color=MODEL)
    axis.fill_between(r[inside], rows["likelihood"][inside], color=MODEL, alpha=0.3, lw=0)
    axis.axvline(0, color="0.4", lw=0.8, ls="--")
    value, minus, plus = 1e3 * first[["r_hat", "sigma_r_minus", "sigma_r_plus"]].astype(float)
    axis.set_title(rf"$10^3\,r = {value:.2f}^{{+{plus:.2f}}}_{{-{minus:.2f}}}$")
    axis.set_ylim(0, 1.1)
    axis.set_ylabel(r"$L(r)/L(\hat r)$")


def null_test_table(files: dict, _) -> pd.DataFrame:
    """Null tests of the analysis, each once."""
    return _each_once(read_table(files["table"]))


def plot_null_tests(data: pd.DataFrame, _) -> plt.Figure:
    """Probability of every null test, and how many there are below each with those expected.

    `data` has rows by `test` and `region`, with `probability`.
    """
    height = FULL_WIDTH * (0.032 * len(data) + 0.2)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(FULL_WIDTH, height), width_ratios=[1.1, 1], layout="constrained"
    )
    places = np.arange(len(data))
    lowest = 10 ** np.floor(np.log10(min(data["probability"].min(), CONSPICUOUS[-1])))
    for probability, shade in zip(CONSPICUOUS, ("0.93", "0.86"), strict=True):
        left.axvspan(lowest, probability, color=shade, lw=0)
    for test, colour in colours_of(list(data["test"].unique())).items():
        of_test = (data["test"] == test).to_numpy()
        left.plot(
            data["probability"][of_test], places[of_test], "o", color=colour, ms=4, clip_on=False
        )
    names = [
        test if region == COMBINED else f"{test}, {region_title(region)}"
        for test, region in zip(data["test"], data["region"])
    ]
    left.set_yticks(places, names)
    left.set(xscale="log", xlim=(lowest, 1), xlabel="Probability", ylim=(len(data) - 0.5, -0.5))
    plain_log_ticks(left.xaxis, subs=(1,))
    left.tick_params(axis="y", length=0)
    number, first = len(data), CONSPICUOUS[0]
    below = (data["probability"] <= first).sum()
    left.set_title(f"{below} of {number} at {first:g} or less, expected {first * number:.1f}")
    _draw_expected(right, number, number)
    _draw_cumulated(right, data["probability"], number, color=MODEL, label="found")
    right.set(xlim=(0, 1), ylim=(0, 1.02 * number), xlabel="Probability")
    right.set_ylabel("Tests with this or less")
    right.yaxis.set_major_locator(plt.MaxNLocator(integer=True))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _draw_expected(axis, number, scale):
    """How many of so many uniform values are at or below each, times scale / number, and 95 %."""
    p = np.linspace(0, 1, 201)
    low, high = np.array(stats.binom.interval(0.95, number, p)) * scale / number
    axis.fill_between(p, low, high, color="0.9", lw=0, label="95 %")
    axis.plot(p, scale * p, color="0.4", lw=0.8, ls="--", label="expected")


def _draw_cumulated(axis, values, scale, **style):
    """How many values are at or below each, `scale` being all of them."""
    steps = np.concatenate([[0], np.sort(values), [1]])
    counts = np.minimum(np.arange(len(steps)), len(values))
    axis.step(steps, counts * scale / len(values), where="post", **style)


def plot_coverage(data: pd.DataFrame, _) -> plt.Figure:
    """How often intervals hold r, and ranks and null tests, of rows of `certificate.certify`."""
    size, numbers = (FULL_WIDTH, 0.4 * FULL_WIDTH), data.groupby("r").size()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=size, layout="constrained")
    for axis, number in ((middle, numbers.min()), (right, n_effective(data[data["r"] == 0]))):
        _draw_expected(axis, number, 1)
        axis.set(xlim=(0, 1), ylim=(0, 1))
    left.hlines(np.divide(CONTENTS, 100), -0.5, 1.5, color="0.4", lw=0.8, ls="--")
    for number, (r, colour) in enumerate(colours_of(list(numbers.index)).items()):
        own = data[data["r"] == r]
        held = [sum(own[f"r{p}_low"].le(r) & own[f"r{p}_high"].ge(r)) for p in CONTENTS]
        found = np.divide(held, len(own))
        ends = [stats.binomtest(k, len(own)).proportion_ci(0.68, "wilson") for k in held]
        places = np.arange(len(CONTENTS)) + 0.2 * (number - (len(numbers) - 1) / 2)
        errors = np.abs(np.transpose(ends) - found)
        style = {"color": colour, "label": rf"$r = {power_of_ten(r) if r else 0}$"}
        left.errorbar(places, found, errors, fmt="o", ms=4, **style)
        _draw_cumulated(middle, own["tarp_rank"], 1, color=colour)
    # Null tests have names of several words.
    for test, colour in zip([name for name in data if " " in name], COLOURS[3:]):
        _draw_cumulated(right, data[test][data["r"] == 0], 1, color=colour, label=test)
    left.set_xticks(np.arange(len(CONTENTS)), [rf"{percent} %" for percent in CONTENTS])
    left.set(xlim=(-0.5, 1.5), xlabel="Content of the interval", ylabel="Skies whose $r$ it holds")
    middle.set(xlabel="Credibility", ylabel="Skies whose parameters it holds", title="TARP")
    right.set(xlabel="Probability", ylabel="Skies with this or less", title="Null tests, $r = 0$")
    handles = [one for axis in (left, right) for one in axis.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def plot_influence(data: pd.DataFrame, _) -> plt.Figure:
    """How far r moves, in its errors, without each region, multipole range and band.

    `data` has rows by `kind` and `name`: `shift` to first order, `left_out` when it really is, and
    `sigma`.
    """
    kinds = [kind for kind in KINDS if kind in set(data["kind"])]
    if not kinds:
        figure, axis = plt.subplots(figsize=(0.5 * FULL_WIDTH, 0.1 * FULL_WIDTH))
        axis.text(0.5, 0.5, "$r$ is not measured", ha="center", va="center")
        axis.axis("off")
        return figure
    counts = [int((data["kind"] == kind).sum()) for kind in kinds]
    figure, axes = plt.subplots(
        len(kinds),
        1,
        figsize=(0.75 * FULL_WIDTH, FULL_WIDTH * (0.045 * sum(counts) + 0.07 * len(kinds) + 0.1)),
        height_ratios=[count + 0.8 for count in counts],
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, kind in zip(axes.flat, kinds):
        rows = data[data["kind"] == kind]
        places = np.arange(len(rows))
        axis.axvspan(-1, 1, color="0.93", lw=0)
        axis.axvline(0, color="0.4", lw=0.8)
        for column, offset, colour in (
            ("left_out", -0.19, COLOURS[3]),
            ("shift", 0.19, COLOURS[5]),
        ):
            shift = rows[column] / rows["sigma"]
            axis.barh(places + offset, shift, 0.36, color=colour, lw=0)
            for place in places[shift.isna()]:
                axis.text(0, place + offset, " not measured", va="center", fontsize="x-small")
        names = map(region_title, rows["name"]) if kind == "region" else rows["name"]
        axis.set_yticks(places, list(names))
        axis.set(ylim=(len(rows) - 0.4, -0.6), title=KINDS[kind])
        axis.tick_params(axis="y", length=0)
    widest = np.nanmax(np.abs(data[["shift", "left_out"]].div(data["sigma"], axis=0)), initial=1.0)
    axes[-1, 0].set(xlim=(-1.1 * widest, 1.1 * widest))
    axes[-1, 0].set_xlabel(r"Change of $\hat r$ without it [$\sigma_r$]")
    handles = [
        shapes.Patch(color=COLOURS[3], label="left out"),
        shapes.Patch(color=COLOURS[5], label="to first order"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _of_method(section, table, plot, inputs, **options) -> Figure:
    return Figure(
        section, table, plot, inputs=inputs, wildcard="method", of=("observed",), **options
    )


def _files(**names: str) -> Callable[..., dict]:
    """Inputs by name, files in a method's folder of an observed run."""
    return lambda plan, shown: {
        key: f"{plan.results}/observed/{{method}}/{name}" for key, name in names.items()
    }


FIGURES = {
    "cleaned_maps": _of_method(
        "2 Fits",
        cleaned_table,
        plot_cleaned_maps,
        _files(cleaned="cleaned.fits"),
        shows=lambda plan, methods, pairs: {
            "components": {one.name: one.reference for one in plan.model.components},
            "labels": labels_of(plan),
            "projection": plan.settings["figures"]["projection"],
        },
        suffix="parquet",
    ),
    "bandpowers": _of_method(
        "5 r",
        bandpower_table,
        plot_bandpowers,
        _files(bandpowers="bandpowers.csv", r="r.csv", curves="r_curves.csv"),
    ),
    "null_tests": _of_method(
        "5 r", null_test_table, plot_null_tests, result("observed/{method}/null_tests.csv")
    ),
    "coverage": Figure(
        "6 Validation",
        read_result,
        plot_coverage,
        inputs=result("tables/certificate_skies.csv"),
        of=("observed",),
    ),
    "influence": _of_method(
        "5 r", read_result, plot_influence, result("observed/{method}/influence.csv")
    ),
}
