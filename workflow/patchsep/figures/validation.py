"""Figures of what is not part of a run: validation and benchmark, see `figures`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import t as student_t

from ..separation.partitions import N_PATCHES
from .style import (
    COLOURS,
    D_ELL_LABEL,
    FULL_WIDTH,
    PARAMETER_LABELS,
    R_UPPER_LABEL,
    in_words,
    plain_log_ticks,
)

OPTIMIZER_LABELS = {
    "newton": "patchsep",
    "optax_lbfgs": "L-BFGS (Optax)",
    "scipy_tnc": "TNC (SciPy, as FGBuster)",
    "furax_active_set": "active set (furax-cs)",
}


def plot_leakage(leakage: pd.DataFrame) -> Figure:
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
        Line2D([], [], color="k", label="mean"),
        Line2D([], [], color="k", ls=":", label="scatter of a sky"),
        Line2D([], [], color="0.4", lw=1, label="true BB"),
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


def plot_known_patches(
    scans: pd.DataFrame, choices: pd.DataFrame, pulls: pd.DataFrame, n_realizations: int
) -> Figure:
    """What is found on skies of known patches, a row per truth.

    Parameters
    ----------
    scans, choices, pulls : DataFrame
        `beta_dust_scans` and tables of `known_patches`, of all skies, each with the true
        configuration as its column `truth`.
    n_realizations : int
        Noise realisations of each sky.

    Left: r_upper68 against the number of beta_dust patches, the others being true. Middle: how
    often every criterion chooses the truth. Right: pulls against Student's t.
    """
    truths = list(scans["truth"].unique())
    figure, axes = plt.subplots(
        len(truths),
        3,
        figsize=(FULL_WIDTH, 0.27 * FULL_WIDTH * len(truths) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for (left, middle, right), true in zip(axes, truths):
        scan = scans[scans["truth"] == true]
        n_patches, low, high, middle_values = (
            scan[N_PATCHES[0]],
            *(1e3 * scan[name] for name in ("low", "high", "median")),
        )
        left.fill_between(n_patches, low, high, color=COLOURS[0], alpha=0.2, lw=0)
        left.plot(n_patches, middle_values, ".-", color=COLOURS[0])
        left.axvline(int(true.split("-")[0]), color="0.4", lw=0.8, ls="--")
        left.set(xscale="log", yscale="log", ylabel=R_UPPER_LABEL)
        plain_log_ticks(left.xaxis, subs=(1, 3))
        plain_log_ticks(left.yaxis)
        left.set_title(f"truth {true.replace('-', '/')}", loc="left")
        of_truth = choices[choices["truth"] == true]
        rates = of_truth.groupby("criterion", sort=False)["true"].mean()
        places = np.arange(len(rates))
        middle.barh(places, rates, color=COLOURS[0], height=0.6)
        middle.set_yticks(places, [in_words(name) for name in rates.index])
        middle.set(xlim=(0, 1))
        middle.invert_yaxis()
        edges = np.linspace(-5, 5, 41)
        of_truth = pulls[pulls["truth"] == true]
        for colour, (name, rows) in zip(COLOURS, of_truth.groupby("parameter", sort=False)):
            # The label without its unit: pulls have none.
            label = PARAMETER_LABELS[name].split(" [")[0]
            right.hist(
                rows["pull"], edges, density=True, histtype="step", color=colour, label=label
            )
        right.plot(edges, student_t.pdf(edges, n_realizations - 1), color="0.4", lw=1)
        right.set(xlim=(-5, 5), yticks=[])
    axes[-1, 0].set_xlabel("Patches of " + PARAMETER_LABELS["beta_dust"])
    axes[-1, 1].set_xlabel("Skies on which the truth is chosen")
    axes[-1, 2].set_xlabel("Pull of a patch's mean")
    axes[0, 2].legend()
    return figure


def beta_dust_scans(estimates: pd.DataFrame) -> pd.DataFrame:
    """r_upper68 against the number of beta_dust patches on skies of known patches.

    Parameters
    ----------
    estimates : DataFrame
        See `known_patches.search`, of several skies, with the true configuration as `truth`.

    Returns
    -------
    DataFrame
        `truth`, `n_patches_beta_dust`, and over skies the `median` of r_upper68 and its quantiles
        of 16 and 84 %, `low` and `high`; numbers of the other patches are the true ones.
    """
    others, true = (estimates[name].str.split("-").str[1:] for name in ("configuration", "truth"))
    groups = estimates[others == true].groupby(["truth", N_PATCHES[0]], sort=False)["r_upper68"]
    quantiles = {"median": 0.5, "low": 0.16, "high": 0.84}
    table = pd.DataFrame({name: groups.quantile(q) for name, q in quantiles.items()})
    return table.reset_index().sort_values(["truth", N_PATCHES[0]], ignore_index=True)


def plot_patch_classes(classes: pd.DataFrame) -> Figure:
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
    lines = {"systematic": "-", "statistical": ":"}
    for axis, parameter in zip(axes[0], parameters):
        of_parameter = classes[classes["parameter"] == parameter].groupby("class")
        for colour, (_, rows) in zip(plt.cm.viridis(np.linspace(0, 0.9, 4)), of_parameter):
            # Single realisations scatter: averages over a sixth of a decade.
            octave = np.floor(6 * np.log10(rows["ell"]))
            factor = rows["ell"] * (rows["ell"] + 1) / (2 * np.pi)
            for kind, line in lines.items():
                smooth = (factor * rows[kind]).groupby(octave).mean()
                ell = rows["ell"].groupby(octave).mean()
                label = f"{rows['within'].iloc[0]:.2g}" if kind == "systematic" else None
                axis.plot(ell, smooth, line, color=colour, label=label)
        label = PARAMETER_LABELS[parameter]
        axis.set(xscale="log", yscale="log", xlabel=r"Multipole $\ell$")
        axis.legend(title=f"within patches: {label}", ncols=2)
        plain_log_ticks(axis.xaxis)
    axes[0, 0].set_ylabel(D_ELL_LABEL)
    handles = [Line2D([], [], color="k", ls=line, label=kind) for kind, line in lines.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_run_times(times: pd.DataFrame) -> Figure:
    """Run time of one fit against its number of patches, per optimiser.

    `times` is that of `benchmark.time_fits`. Open symbols mark optimisers whose NLL ends
    more than 1e-3 above that of the best one, in the median over realisations.
    """
    times = times.assign(
        n_patches=times[N_PATCHES].sum(axis=1),
        excess=times["nll"] - times.groupby([*N_PATCHES, "realization"])["nll"].transform("min"),
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
        xlabel="Patches, all three parameters",
        ylabel="Run time of one fit [s]",
        title=f"{first['n_pixels']} pixels, {first['n_cores']} cores, {first['device']}",
    )
    axes.legend()
    return figure


def plot_optimizers(traces: pd.DataFrame) -> Figure:
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
