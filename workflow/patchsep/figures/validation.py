"""Figures of what is known or timed beside the chain: validation and benchmark."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..files.tables import read_table
from ..lazy import lines, stats
from ..lazy import pyplot as plt
from ..separation.partitions import COUNT
from .figure import Figure, labels_of, read_result, result, symbols_of
from .style import (
    COLOURS,
    D_ELL_LABEL,
    FULL_WIDTH,
    R_UPPER_LABEL,
    in_words,
    patches_of_all,
    plain_log_ticks,
)

OPTIMIZER_LABELS = {
    "newton": "patchsep",
    "optax_lbfgs": "L-BFGS (Optax)",
    "scipy_tnc": "TNC (SciPy, as FGBuster)",
    "furax_active_set": "active set (furax-cs)",
}
# What `snakemake nside_costs` times.
NSIDE_METHODS = {"kmeans": "K-means", "fields": "fields"}


def known_patches_table(files: dict, shown: dict) -> pd.DataFrame:
    """What is found on skies of known patches, by `truth`: the rows of three panels.

    Panel `scan` has `first_parameter_scans`, `selection` for every `criterion` the share of skies
    on which it selects the truth, and `pulls` the `pull` of every patch's `parameter`.
    """

    def read(paths):
        tables = [
            read_table(path).assign(truth=truth)
            for truth, path in zip(shown["truths"], paths, strict=True)
        ]
        return pd.concat(tables, ignore_index=True)

    is_true = read(files["selected"]).groupby(["truth", "criterion"], sort=False)["true"]
    panels = {
        "scan": first_parameter_scans(read(files["estimates"]), next(iter(shown["symbols"]))),
        "selection": is_true.mean().rename("share").reset_index(),
        "pulls": read(files["pulls"])[["truth", "parameter", "pull"]],
    }
    tables = [table.assign(panel=panel) for panel, table in panels.items()]
    return pd.concat(tables, ignore_index=True)


def first_parameter_scans(estimates: pd.DataFrame, parameter: str) -> pd.DataFrame:
    """r_upper68 against the number of patches of the first parameter, on skies of known patches.

    Parameters
    ----------
    estimates : DataFrame
        See `known_patches.select_on_sky`, of several skies, with the true configuration as `truth`.
    parameter : str

    Returns
    -------
    DataFrame
        `truth`, `n_patches_<parameter>`, and over skies the `median` of r_upper68 and its quantiles
        of 16 and 84 %, `low` and `high`; numbers of the other patches are the true ones.
    """
    n_patches = f"{COUNT}{parameter}"
    others, true = (estimates[name].str.split("-").str[1:] for name in ("configuration", "truth"))
    groups = estimates[others == true].groupby(["truth", n_patches], sort=False)["r_upper68"]
    quantiles = {"median": 0.5, "low": 0.16, "high": 0.84}
    table = pd.DataFrame({name: groups.quantile(q) for name, q in quantiles.items()})
    return table.reset_index().sort_values(["truth", n_patches], ignore_index=True)


def plot_known_patches(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """What is found on skies of known patches, a row per truth, of `known_patches_table`.

    Left: r_upper68 against the number of patches of the first parameter, the others being true.
    Middle: how often every criterion selects the truth. Right: pulls against Student's t.
    """
    symbols = shown["symbols"]
    first = next(iter(symbols))
    truths = list(data.loc[data["panel"] == "scan", "truth"].unique())
    figure, axes = plt.subplots(
        len(truths),
        3,
        figsize=(FULL_WIDTH, 0.27 * FULL_WIDTH * len(truths) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for (left, middle, right), true in zip(axes, truths):
        of_panel = dict(list(data[data["truth"] == true].groupby("panel")))
        scan = of_panel["scan"]
        n_patches = scan[f"{COUNT}{first}"]
        low, high, middle_values = (1e3 * scan[name] for name in ("low", "high", "median"))
        left.fill_between(n_patches, low, high, color=COLOURS[0], alpha=0.2, lw=0)
        left.plot(n_patches, middle_values, ".-", color=COLOURS[0])
        left.axvline(int(true.split("-")[0]), color="0.4", lw=0.8, ls="--")
        left.set(xscale="log", yscale="log", ylabel=R_UPPER_LABEL)
        plain_log_ticks(left.xaxis, subs=(1, 3))
        plain_log_ticks(left.yaxis)
        left.set_title(f"truth {true.replace('-', '/')}", loc="left")
        selection = of_panel["selection"]
        places = np.arange(len(selection))
        middle.barh(places, selection["share"], color=COLOURS[0], height=0.6)
        middle.set_yticks(places, [in_words(name) for name in selection["criterion"]])
        middle.set(xlim=(0, 1))
        middle.invert_yaxis()
        edges = np.linspace(-5, 5, 41)
        by_parameter = of_panel["pulls"].groupby("parameter", sort=False)["pull"]
        for colour, (name, pulls) in zip(COLOURS, by_parameter):
            right.hist(
                pulls, edges, density=True, histtype="step", color=colour, label=symbols[name]
            )
        right.plot(edges, stats.t.pdf(edges, shown["realizations"] - 1), color="0.4", lw=1)
        right.set(xlim=(-5, 5), yticks=[])
    axes[-1, 0].set_xlabel(f"Patches of {symbols[first]}")
    axes[-1, 1].set_xlabel("Skies on which the truth is selected")
    axes[-1, 2].set_xlabel("Pull of a patch's mean")
    axes[0, 2].legend()
    return figure


def plot_leakage(leakage: pd.DataFrame, _) -> plt.Figure:
    """What estimators measure on skies of E modes alone and of B modes alone.

    `leakage` is that of `validation.leakage` of several estimators: on the left what E modes
    leave, mean and scatter; on the right the B modes found, over those that are there.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(FULL_WIDTH, 0.42 * FULL_WIDTH), layout="constrained"
    )
    for colour, (name, rows) in zip(COLOURS, leakage.groupby("estimator", sort=False)):
        factor = rows["ell"] * (rows["ell"] + 1) / (2 * np.pi)
        left.plot(rows["ell"], factor * rows["from_e"].abs(), color=colour, label=name)
        left.plot(rows["ell"], factor * rows["from_e_scatter"], color=colour, ls=":")
        ratio, scatter = (rows[key] / rows["expected"] for key in ("from_b", "from_b_scatter"))
        right.plot(rows["ell"], ratio, color=colour)
        right.fill_between(
            rows["ell"], ratio - scatter, ratio + scatter, color=colour, alpha=0.2, lw=0
        )
        expected = factor * rows["expected"]
    left.plot(rows["ell"], expected, color="0.4", lw=1)
    handles = [
        *left.get_legend_handles_labels()[0],
        lines.Line2D([], [], color="k", label="mean"),
        lines.Line2D([], [], color="k", ls=":", label="scatter of a sky"),
        lines.Line2D([], [], color="0.4", lw=1, label="true BB"),
    ]
    right.axhline(1, color="0.4", lw=0.8)
    left.set(
        yscale="log",
        title="skies of E modes",
        ylabel=D_ELL_LABEL,
    )
    right.set(ylim=(0, 2), title="skies of B modes", ylabel="measured / true")
    for axis in (left, right):
        axis.set(xscale="log", xlabel=r"Multipole $\ell$", xlim=(2, rows["ell"].max()))
        plain_log_ticks(axis.xaxis)
    figure.legend(handles=handles, loc="outside upper center", ncols=6)
    return figure


def plot_patch_classes(classes: pd.DataFrame, shown: dict) -> plt.Figure:
    """Residual BB of pixels by how much the true parameter varies within their patches.

    `classes` is that of `patch_classes.patch_classes`: a panel per parameter, a colour per class.
    """
    parameters = list(classes["parameter"].unique())
    figure, axes = plt.subplots(
        1,
        len(parameters),
        figsize=(FULL_WIDTH, 0.42 * FULL_WIDTH),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    styles = {"systematic": "-", "statistical": ":"}
    for axis, parameter in zip(axes[0], parameters):
        of_parameter = classes[classes["parameter"] == parameter].groupby("class")
        for colour, (_, rows) in zip(plt.cm.viridis(np.linspace(0, 0.9, 4)), of_parameter):
            # Single realisations scatter: averages over a sixth of a decade.
            octave = np.floor(6 * np.log10(rows["ell"]))
            factor = rows["ell"] * (rows["ell"] + 1) / (2 * np.pi)
            for kind, line in styles.items():
                smooth = (factor * rows[kind]).groupby(octave).mean()
                ell = rows["ell"].groupby(octave).mean()
                label = f"{rows['within'].iloc[0]:.2g}" if kind == "systematic" else None
                axis.plot(ell, smooth, line, color=colour, label=label)
        label = shown["labels"][parameter]
        axis.set(xscale="log", yscale="log", xlabel=r"Multipole $\ell$")
        axis.legend(title=f"within patches: {label}", ncols=2)
        plain_log_ticks(axis.xaxis)
    axes[0, 0].set_ylabel(D_ELL_LABEL)
    handles = [
        lines.Line2D([], [], color="k", ls=line, label=kind) for kind, line in styles.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_run_times(times: pd.DataFrame, shown: dict) -> plt.Figure:
    """Run time of one fit against its number of patches, per optimiser.

    `times` is that of `benchmark.time_fits`. Open symbols mark optimisers whose NLL ends
    more than 1e-3 above that of the best one, in the median over realisations.
    """
    n_patches = [f"{COUNT}{parameter}" for parameter in shown["symbols"]]
    times = times.assign(
        n_patches=times[n_patches].sum(axis=1),
        excess=times["nll"] - times.groupby([*n_patches, "realization"])["nll"].transform("min"),
    )
    figure, axes = plt.subplots(figsize=(FULL_WIDTH / 2, 2.9), layout="constrained")
    for colour, (optimizer, rows) in zip(COLOURS, times.groupby("optimizer", sort=False)):
        points = rows.groupby("n_patches")[["seconds_per_fit", "excess"]].median()
        axes.plot(
            points.index, points["seconds_per_fit"], color=colour, label=OPTIMIZER_LABELS[optimizer]
        )
        for marked, face in (((points["excess"] <= 1e-3), colour), (points["excess"] > 1e-3, "w")):
            axes.plot(
                points.index[marked],
                points["seconds_per_fit"][marked],
                "o",
                color=colour,
                markerfacecolor=face,
                markersize=4,
            )
    first = times.iloc[0]
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=patches_of_all(shown["symbols"]),
        ylabel="Run time of one fit [s]",
        title=f"{first['n_pixels']} pixels, {first['n_cores']} cores, {first['device']}",
    )
    axes.legend()
    return figure


def plot_optimizers(traces: pd.DataFrame, _) -> plt.Figure:
    """NLL above the lowest one, and projected gradient, against iterations, per optimiser.

    `traces` is that of `benchmark.trace_fits`.
    """
    figure, (above, below) = plt.subplots(
        2, sharex=True, figsize=(FULL_WIDTH / 2, 4.2), layout="constrained"
    )
    lowest = traces["nll"].min()
    for colour, (optimizer, rows) in zip(COLOURS, traces.groupby("optimizer", sort=False)):
        # Below 1e-6 differences of NLL are rounding.
        excess = np.maximum(rows["nll"] - lowest, 1e-6)
        above.plot(
            rows["iterations"], excess, ".-", color=colour, label=OPTIMIZER_LABELS[optimizer]
        )
        below.plot(rows["iterations"], rows["gradient"], ".-", color=colour)
    above.set(yscale="log", ylabel="NLL above the lowest")
    below.set(
        xscale="log",
        yscale="log",
        xlabel="Iterations",
        ylabel=r"Projected gradient [$\sigma$]",
    )
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def plot_nside_costs(table: pd.DataFrame, _) -> plt.Figure:
    """Time of every step, and memory, against nside, per method.

    `table` has the rows of `nside_costs.cost_at_nside`.
    """
    figure, (above, below) = plt.subplots(
        2, sharex=True, figsize=(FULL_WIDTH / 2, 4.4), layout="constrained"
    )
    for colour, (method, rows) in zip(COLOURS, table.groupby("method", sort=False)):
        label = NSIDE_METHODS[method]
        for style, (step, own) in zip(("-", "--"), rows[::-1].groupby("step", sort=False)):
            own = own.sort_values("nside")
            name = f"{label}: {step}"
            above.plot(own["nside"], own["seconds"], "o" + style, color=colour, ms=4, label=name)
        peak = rows.groupby("nside")["memory_gb"].max()
        below.plot(peak.index, peak, "o-", color=colour, ms=4)
    cores = table["n_cores"].iloc[0]
    above.set(xscale="log", yscale="log", ylabel=f"Time on {cores} cores [s]")
    # Less than a decade, of which the larger part is the same at all nside.
    below.set(ylim=(0, None), xlabel=r"$N_\mathrm{side}$", ylabel="Memory [GB]")
    below.set_xticks(sorted(table["nside"].unique()), sorted(table["nside"].unique()))
    below.set_xticks([], minor=True)
    figure.legend(*above.get_legend_handles_labels(), loc="outside upper center", fontsize="small")
    return figure


def _shows_known(plan, methods, pairs) -> dict:
    return {
        "truths": list(plan.truths),
        "realizations": plan.settings["validation"]["known_patches"]["realizations"],
        "symbols": symbols_of(plan),
    }


def _known_inputs(plan, shown) -> dict:
    folder = f"{plan.results}/validation/known_patches"
    return {
        table: [f"{folder}/{truth}_{table}.csv" for truth in shown["truths"]]
        for table in ("estimates", "selected", "pulls")
    }


def _cost_inputs(plan, shown) -> dict:
    folder = f"{plan.results}/benchmark/nside"
    return {
        f"{method}_{nside}": f"{folder}/{method}_{nside}.csv"
        for method in NSIDE_METHODS
        for nside in plan.settings["benchmark"]["nsides"]
    }


FIGURES = {
    "known_patches": Figure(
        "6 Validation",
        known_patches_table,
        plot_known_patches,
        shows=_shows_known,
        inputs=_known_inputs,
    ),
    "leakage": Figure(
        "6 Validation", read_result, plot_leakage, inputs=result("validation/leakage.csv")
    ),
    "patch_classes": Figure(
        "6 Validation",
        read_result,
        plot_patch_classes,
        shows=lambda plan, methods, pairs: {"labels": labels_of(plan)},
        inputs=result("validation/patch_classes/{method}.csv"),
        methods=lambda plan: plan.patch_methods,
        wildcard="method",
        needs="patches",
    ),
    "run_times": Figure(
        "7 Run times",
        read_result,
        plot_run_times,
        shows=lambda plan, methods, pairs: {"symbols": symbols_of(plan)},
        inputs=result("benchmark/run_times.csv"),
    ),
    "nside_costs": Figure(
        "7 Run times",
        lambda files, shown: pd.concat(map(read_table, files.values()), ignore_index=True),
        plot_nside_costs,
        inputs=_cost_inputs,
    ),
    "optimizers": Figure(
        "7 Run times", read_result, plot_optimizers, inputs=result("benchmark/optimizers.csv")
    ),
}
