"""The pipeline, drawn: what every stage takes from the others (arXiv:2604.08463, Fig. 3)."""

from __future__ import annotations

import pandas as pd

from ..lazy import pyplot as plt
from .figure import Figure, symbols_of
from .style import COLOURS, FULL_WIDTH

# Places are columns from the left and rows from the top; `after` are the stages before.
COLUMNS = ["stage", "what", "column", "row", "after"]
STAGES = [
    ("Sky", "foregrounds (PySM) + CMB (CAMB)\n+ noise in the instrument's bands", 0, 0, []),
    ("Regions", "disjoint, by dust, masks,\nhits or latitude", 0, 1, ["Sky"]),
    ("Patches", "per region, method and\n{symbols}: a grid of configurations", 0, 2, ["Regions"]),
    ("Fits", "spectral likelihood, configurations\n× noise realisations, in shards",
     1, 1, ["Sky", "Patches"]),
    ("Residuals", "systematic and statistical\nBB spectra", 1, 2, ["Fits"]),
    ("r", "likelihood of every configuration,\nregion by region", 2, 2, ["Residuals"]),
    ("Selection", "one configuration per region,\nby several criteria", 2, 1, ["r"]),
    ("Test skies", "r of all regions combined, on skies\nthat the selection has not seen",
     2, 0, ["Selection"]),
    ("Figures, tables, report", "", 1, 0, ["Test skies"]),
]  # fmt: skip
# Of a box, in units of the grid.
WIDTH, HEIGHT = 0.84, 0.62
# Stages that run for every configuration.
OF_THE_GRID = ("Patches", "Fits", "Residuals", "r")


def pipeline_table(_, shown: dict) -> pd.DataFrame:
    """`STAGES`, with the symbols of the spectral parameters."""
    table = pd.DataFrame(STAGES, columns=COLUMNS)
    names = ", ".join(shown["symbols"].values())
    return table.assign(what=[what.replace("{symbols}", names) for what in table["what"]])


def plot_pipeline(stages: pd.DataFrame, _) -> plt.Figure:
    """Boxes and arrows, of `STAGES`; what runs for every configuration is in colour."""
    figure, axes = plt.subplots(figsize=(FULL_WIDTH, 0.42 * FULL_WIDTH), layout="constrained")
    places = {row.stage: (row.column, -row.row) for row in stages.itertuples()}
    for row in stages.itertuples():
        x, y = places[row.stage]
        colour = COLOURS[0] if row.stage in OF_THE_GRID else "0.45"
        box = plt.Rectangle(
            (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, fc="w", ec=colour, lw=1.2, zorder=2
        )
        axes.add_patch(box)
        title = y + (0.17 if row.what else 0)
        axes.text(x, title, row.stage, ha="center", va="center", weight="bold", zorder=3)
        axes.text(x, y - 0.1, row.what, ha="center", va="center", fontsize="small", zorder=3)
        for before in row.after:
            x0, y0 = places[before]
            # From edge to edge, straight along the line between the centres.
            dx, dy = x - x0, y - y0
            cut = min(WIDTH / 2 / abs(dx) if dx else 1.0, HEIGHT / 2 / abs(dy) if dy else 1.0)
            axes.annotate(
                "",
                xy=(x - cut * dx, y - cut * dy),
                xytext=(x0 + cut * dx, y0 + cut * dy),
                arrowprops={"arrowstyle": "-|>", "color": "0.3", "shrinkA": 1, "shrinkB": 1},
            )
    axes.set(xlim=(-0.5, 2.5), ylim=(-2.4, 0.4))
    axes.axis("off")
    return figure


FIGURES = {
    "pipeline": Figure(
        "1 Sky and patches",
        pipeline_table,
        plot_pipeline,
        shows=lambda plan, methods, pairs: {"symbols": symbols_of(plan)},
    )
}
