"""Figures of what was selected: single realisations, residual spectra and likelihoods of r."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..files.tables import read_table
from ..lazy import lines, shapes
from ..lazy import pyplot as plt
from ..sky.regions import COMBINED
from .figure import Figure, of_strategy
from .style import (
    D_ELL_LABEL,
    FULL_WIDTH,
    colours_of,
    in_words,
    plain_log_ticks,
    power_of_ten,
    region_grid,
    region_title,
    shown_regions,
    with_series,
)

# Values of r that LiteBIRD aims at (arXiv:2604.08463, Fig. 10).
R_BAND = (1e-3, 4e-3)
LINES = {"total": "--", "observed": "--", "systematic": "-", "statistical": ":"}


def plot_residual_spectra(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """BB spectra, a panel per region and a colour per method and set.

    `data` is `sets.headline_tables` of `sets.mean_spectra`; the `kinds` that are shown are keys of
    `LINES`.
    """
    data, kinds = with_series(data), shown["kinds"]
    regions = shown_regions(data)
    figure, axes = region_grid(regions, 0.36)
    colours = colours_of(list(data["series"].unique()))
    ranges = []
    for axis, region in zip(axes, regions):
        rows = data[data["region"] == region]
        ranges.append(draw_spectra(axis, rows, kinds, colours))
        # Of small regions the first bins have no modes: where they are missing should be seen.
        axis.set(title=region_title(region), xlim=(data["ell"].min(), data["ell"].max()))
        axis.label_outer()
    lowest, highest = np.transpose(ranges)
    # Of all panels, which share it.
    axis.set_ylim(lowest.min() / 2, 2 * highest.max())
    figure.supxlabel(r"Multipole $\ell$", fontsize="medium")
    figure.supylabel(D_ELL_LABEL, fontsize="medium")
    handles = [
        *(lines.Line2D([], [], color=colour, label=name) for name, colour in colours.items()),
        *spectra_handles(kinds),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def draw_spectra(axis, data: pd.DataFrame, kinds: list[str], colours: dict[str, str]):
    """D_ell of one region's `series`, with lensing and the band of r; returns their range."""
    for name, rows in data.groupby("series", sort=False):
        factor = rows["ell"] * (rows["ell"] + 1) / (2 * np.pi)
        for kind in kinds:
            axis.plot(rows["ell"], factor * rows[kind], LINES[kind], color=colours[name])
    tensor, lensing = factor * rows["tensor"], factor * rows["lensing"]
    axis.fill_between(rows["ell"], *(r * tensor for r in R_BAND), color="0.8", lw=0)
    axis.plot(rows["ell"], lensing, color="0.4", lw=1)
    axis.set(xscale="log", xlim=(rows["ell"].min(), rows["ell"].max()))
    axis.set_yscale("log", nonpositive="mask")
    plain_log_ticks(axis.xaxis)
    drawn = np.concatenate([R_BAND[0] * tensor, *(line.get_ydata() for line in axis.lines)])
    # What is far below the band is of no account.
    return max(drawn[drawn > 0].min(), R_BAND[0] * tensor.min() / 50), drawn.max()


def spectra_handles(kinds: list[str]) -> list:
    """The legend of `draw_spectra`, but for its colours."""
    return [
        *(lines.Line2D([], [], color="k", ls=LINES[kind], label=kind) for kind in kinds),
        shapes.Patch(
            color="0.8", label=rf"$r\in[{power_of_ten(R_BAND[0])},\,{power_of_ten(R_BAND[1])}]$"
        ),
        lines.Line2D([], [], color="0.4", lw=1, label="lensing"),
    ]


def plot_r_likelihoods(data: pd.DataFrame, _) -> plt.Figure:
    """Likelihoods of r, a panel per region and a colour per method and set.

    `data` is `sets.headline_tables` of likelihood curves. A curve whose r_hat lies beyond the
    panel is named with an arrow.
    """
    data = with_series(data)
    regions = shown_regions(data)
    figure, axes = region_grid(regions, 0.3)
    colours = colours_of(list(data["series"].unique()))
    for axis, region in zip(axes, regions):
        draw_likelihoods(axis, data[data["region"] == region], colours)
        axis.set(title=region_title(region))
    figure.supxlabel(r"$10^3\,r$", fontsize="medium")
    figure.supylabel(r"$L(r)/L(\hat r)$", fontsize="medium")
    return figure


def draw_likelihoods(axis, data: pd.DataFrame, colours: dict[str, str]):
    """Likelihoods of r of one region's `series`; their r_hat and widths are in the legend."""
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


# What is shown of every realisation, with a label.
METRICS = {
    "variance": r"Variance of recovered CMB, $Q+U$ [$\mu\mathrm{K}^2$]",
    "nll": "NLL",
    "bb_sum": r"$\sum_\ell C_\ell^{BB}$ of the residual [$\mu\mathrm{K}^2$]",
}


def distribution_table(files: dict, shown: dict) -> pd.DataFrame:
    """`METRICS` of every `realization` of the training sky, of what every `method` has selected."""
    from ..inference.sets import headline

    tables = []
    paths = zip(shown["methods"], files["estimates"], files["spectra"], strict=True)
    for method, estimates, spectra in paths:
        rows = headline(shown["criterion"], read_table(estimates))
        selected = rows.set_index("region").loc[COMBINED, ["configuration", "pixel_weights"]]
        rows = read_table(spectra)
        is_selected = rows[list(selected.index)].eq(selected).all(axis=1)
        rows = rows[rows["region"].eq(COMBINED) & is_selected]
        rows = rows.assign(method=method, bb_sum=rows["total"].map(sum))
        tables.append(rows[["method", "configuration", "realization", *METRICS]])
    return pd.concat(tables, ignore_index=True)


def plot_distributions(data: pd.DataFrame, _) -> plt.Figure:
    """Distributions of METRICS over noise realisations, a colour per method, means dashed.

    `data` is that of `distribution_table`.
    """
    figure, axes = plt.subplots(
        1, len(METRICS), figsize=(FULL_WIDTH, 0.36 * FULL_WIDTH), layout="constrained"
    )
    colours = colours_of(list(data["method"].unique()))
    for axis, (metric, label) in zip(axes, METRICS.items()):
        for method, rows in data.groupby("method", sort=False):
            values = rows[metric].dropna()
            # Without a fit there is no NLL.
            if len(values):
                # Bins of its own: methods may lie many widths apart.
                axis.hist(values, 10, color=colours[method], alpha=0.35)
                axis.axvline(values.mean(), color=colours[method], ls="--")
        axis.set(xlabel=label, yticks=[])
        axis.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
        axis.xaxis.set_major_locator(plt.MaxNLocator(4))
    axes[0].set_ylabel("Realisations")
    handles = [
        shapes.Patch(color=colour, alpha=0.6, label=in_words(name))
        for name, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def headline_table(files: dict, shown: dict) -> pd.DataFrame:
    """`sets.headline_tables` of the pairs (set, method) that are shown."""
    from ..inference.sets import headline_tables

    tables = zip(map(read_table, files["estimates"]), map(read_table, files["tables"]), strict=True)
    return headline_tables(shown["criterion"], dict(zip(shown["sets"], tables, strict=True)))


def _distribution_inputs(plan, shown) -> dict:
    training = next(iter(plan.sets))
    methods = shown["methods"]
    return {
        "estimates": plan.r_of_sets([(training, method) for method in methods], ".csv"),
        "spectra": [f"{plan.results}/residuals/{method}_cleaned.parquet" for method in methods],
    }


def _of_sets(section: str, tables: str, plot, also: dict, **options) -> Figure:
    """A figure of the `tables` (spectra or curves) of sets and methods; `also` is shown too."""
    return Figure(
        section,
        headline_table,
        plot,
        shows=lambda plan, methods, pairs: {
            "sets": pairs,
            "criterion": plan.criteria[0],
            **also,
        },
        inputs=lambda plan, shown: {
            "estimates": plan.r_of_sets(shown["sets"], ".csv"),
            "tables": plan.r_of_sets(shown["sets"], f"_{tables}.parquet"),
        },
        **options,
    )


def _spectra(*kinds: str, **options) -> Figure:
    also = {"kinds": list(kinds)}
    return _of_sets("4 Residual spectra", "spectra", plot_residual_spectra, also, **options)


def _likelihoods() -> Figure:
    return _of_sets("5 r", "curves", plot_r_likelihoods, {})


def _binned_and_sources(plan) -> list[str]:
    """Methods whose patches follow recovered parameters, after those that recover them."""
    binned = of_strategy(plan, "recovered_parameters")
    return [*dict.fromkeys(plan.methods[method]["recovered_by"] for method in binned), *binned]


FIGURES = {
    "distributions": Figure(
        "2 Fits",
        distribution_table,
        plot_distributions,
        shows=lambda plan, methods, pairs: {"methods": methods, "criterion": plan.criteria[0]},
        inputs=_distribution_inputs,
    ),
    "residual_spectra": _spectra("total", "systematic", "statistical"),
    "binned_spectra": _spectra(
        "systematic", "statistical", methods=_binned_and_sources, strategy="recovered_parameters"
    ),
    "input_r_spectra": _spectra("observed", "systematic", "statistical"),
    "r_likelihoods": _likelihoods(),
    "few_and_many_patches": _likelihoods(),
    "input_r_likelihoods": _likelihoods(),
}
