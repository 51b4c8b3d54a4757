"""Figures of the search for configurations."""

from __future__ import annotations

import pandas as pd

from ..lazy import pyplot as plt
from .figure import Figure, read_result, result
from .style import COLOURS, FULL_WIDTH

R_LABELS = {
    "predicted": r"$10^3\,(|\hat r| + \sigma_+)$ on mock skies",
    "fitted": r"$10^3\,(|\hat r| + \sigma_+)$ on the sky",
}
WIDTH = 0.42 * FULL_WIDTH


def plot_search(samplers: pd.DataFrame, _) -> plt.Figure:
    """The best that samplers have found so far: median and 16 to 84 % over their repeats.

    `samplers` is that of `search.compare_samplers`; a panel for each of `R_LABELS`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(FULL_WIDTH, WIDTH), layout="constrained")
    for axis, (column, label) in zip(axes, R_LABELS.items()):
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
    figure, (left, right) = plt.subplots(1, 2, figsize=(FULL_WIDTH, WIDTH), layout="constrained")
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
    right.set(xlabel=R_LABELS["fitted"], ylabel=R_LABELS["predicted"])
    return figure


FIGURES = {
    "search": Figure(
        "6 Validation", read_result, plot_search, inputs=result("search/samplers.csv")
    ),
    "prediction": Figure(
        "6 Validation", read_result, plot_prediction, inputs=result("search/evaluations.csv")
    ),
}
