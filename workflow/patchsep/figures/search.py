"""Figures of the search for configurations, see `figures`."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..studies.search import ELL_RANGES, WORTH
from .style import COLOURS, FULL_WIDTH

WORTH_LABELS = {
    "promised": r"$10^3\,(|\hat r| + \sigma_+)$ on rehearsals",
    "judged": r"$10^3\,(|\hat r| + \sigma_+)$ on the sky",
}
WIDTH = 0.42 * FULL_WIDTH


def plot_search(samplers: pd.DataFrame) -> Figure:
    """The best that samplers have found so far: median and 16 to 84 % over their repeats.

    `samplers` is that of `search.compare_samplers`; a panel for each of `search.WORTH`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(FULL_WIDTH, WIDTH), layout="constrained")
    for axis, worth in zip(axes, WORTH):
        for colour, (sampler, rows) in zip(COLOURS, samplers.groupby("sampler", sort=False)):
            quantiles = (
                1e3 * rows.groupby("evaluation")[worth].quantile([0.16, 0.5, 0.84]).unstack()
            )
            axis.plot(quantiles.index, quantiles[0.5], color=colour, label=sampler)
            axis.fill_between(
                quantiles.index, quantiles[0.16], quantiles[0.84], color=colour, alpha=0.2, lw=0
            )
        axis.set(xlabel="Configurations evaluated", ylabel=WORTH_LABELS[worth])
    axes[0].legend()
    return figure


def plot_prediction(evaluations: pd.DataFrame) -> Figure:
    """Noise that is propagated against fits of it, of many configurations.

    `evaluations` has rows of `search.compare_with_fits`, with `promised`: on the left the ratio of
    their powers, on the right what is promised against what fits come to.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(FULL_WIDTH, WIDTH), layout="constrained")
    columns = [f"ratio_{low}" for low, _ in ELL_RANGES]
    left.boxplot(
        [evaluations[column] for column in columns],
        flierprops={"marker": ".", "markeredgecolor": COLOURS[3]},
        medianprops={"color": COLOURS[4]},
    )
    labels = [rf"${low}$–${high - 1}$" for low, high in ELL_RANGES[:-1]]
    left.set_xticks(range(1, 1 + len(columns)), [*labels, rf"$\geq {ELL_RANGES[-1][0]}$"])
    left.axhspan(0.9, 1.1, color="0.9", zorder=0)
    left.axhline(1, color="0.4", lw=0.8)
    left.set(xlabel=r"$\ell$", ylabel="noise power, predicted / fits")
    fits, predicted = (evaluations[f"seconds_{kind}"].median() for kind in ("fits", "predicted"))
    left.set_title(f"{fits:.2g} s for fits, {predicted:.2g} s predicted", fontsize="medium")
    right.plot(1e3 * evaluations["judged"], 1e3 * evaluations["promised"], ".", color=COLOURS[3])
    right.set(xlabel=WORTH_LABELS["judged"], ylabel=WORTH_LABELS["promised"])
    return figure
