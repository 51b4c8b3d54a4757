"""What all figures share. A figure is drawn from one table, which is written beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd

from ..files.tables import write_table
from ..files.whole import whole
from ..lazy import pyplot as plt
from ..lazy import ticker
from ..sky.regions import COMBINED, HEMISPHERES

# Okabe & Ito's colours, distinct to colour-blind readers; methods take them in order.
COLOURS = ["#009E73", "#CC79A7", "#E69F00", "#0072B2", "#D55E00", "#56B4E9"]
FULL_WIDTH = 7.1  # inches, two columns
R_UPPER_LABEL = r"$10^3\,(\hat r + \sigma_+)$"
D_ELL_LABEL = r"$\ell(\ell+1)\,C_\ell^{BB}/2\pi$  [$\mu\mathrm{K}^2_\mathrm{CMB}$]"
# Names of rings that are short for latitudes.
LATITUDES = ("hi", "mid", "low")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


@contextmanager
def style(font_size: float = 9.0) -> Iterator[None]:
    """Matplotlib settings shared by all figures."""
    settings = {
        "font.size": font_size,
        "axes.titlesize": font_size,
        "legend.fontsize": 0.85 * font_size,
        "legend.frameon": False,
        "axes.linewidth": 0.7,
        "lines.linewidth": 1.3,
        "xtick.direction": "in",
        "ytick.direction": "in",
        "xtick.top": True,
        "ytick.right": True,
        "mathtext.fontset": "stix",
        "font.family": "STIXGeneral",
        "pdf.fonttype": 42,
    }
    with plt.rc_context(settings):
        yield


def draw(output, options: dict, plot: Callable[..., plt.Figure], table: pd.DataFrame, shown: dict):
    """Draw a figure in the style of the settings `figures`, and write it with what it plots.

    Parameters
    ----------
    output :
        Paths `pdf`, `png` and `data`, the last of CSV or Parquet.
    options : dict
        `font_size` in points and `resolution` in dots per inch.
    plot, table, shown :
        See `figure.Figure`.
    """
    write_table(output.data, table)
    with style(options["font_size"]):
        save(plot(table, shown), [output.pdf, output.png], options["resolution"])


def save(figure: plt.Figure, paths: list[str], resolution: int):
    """Write a figure to every path (PDF, PNG), whole or not at all, and close it."""
    for path in paths:
        with whole(path) as temporary:
            # Without a date, the same figure is the same file.
            metadata = {"CreationDate": None} if temporary.suffix == ".pdf" else None
            figure.savefig(temporary, dpi=resolution, metadata=metadata)
    plt.close(figure)


def colours_of(names: list) -> dict:
    """A colour for every name."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def in_words(name: str) -> str:
    """A name of the configuration in a figure; 1p5 is 1.5."""
    words = ["AIC" if word == "aic" else word for word in name.split("_")]
    return " ".join(re.sub(r"^(\d+)p(\d+)$", r"\1.\2", word) for word in words)


def with_series(data: pd.DataFrame) -> pd.DataFrame:
    """Rows with the name of their curve, `series`: the method, and the set if there are several."""
    names = data["method"].map(in_words)
    if data["set"].nunique() > 1:
        names = names + ", " + data["set"].map(in_words)
    return data.assign(series=names)


def shown_regions(data) -> list[str]:
    """Regions of a table; all of them together only where there is more than one."""
    names = list(data["region"].unique())
    return [name for name in names if name != COMBINED or len(names) != 2]


def region_grid(regions: list[str], panel_height: float):
    """Panels for regions, two or three abreast, and none left empty."""
    n_columns = min(len(regions), 2 if len(regions) <= 4 else 3)
    n_rows = -(-len(regions) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(FULL_WIDTH, FULL_WIDTH * (panel_height * n_rows + 0.1)),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for axis in axes.flat[len(regions) :]:
        axis.remove()
    return figure, axes.flat


def region_title(region: str) -> str:
    """hi_north is "hi-lat north"; names of other rings are taken as they are, in words."""
    if region == COMBINED:
        return "all regions combined"
    ring, _, side = region.partition("_")
    if ring in LATITUDES and side in ("", *HEMISPHERES):
        return f"{ring}-lat {side}".strip()
    return in_words(region)


def patches_of_all(symbols: dict[str, str]) -> str:
    """Label of the number of patches of all spectral parameters together."""
    return f"Patches, all {NUMBERS[len(symbols)]} parameters"


def plain_log_ticks(direction, subs=(1, 2, 5)):
    """Plain numbers at these multiples of every decade of a logarithmic x or y axis."""
    direction.set_major_locator(ticker.LogLocator(subs=subs))
    direction.set_major_formatter("{x:g}")
    direction.set_minor_formatter(ticker.NullFormatter())


def power_of_ten(value: float) -> str:
    """1e-3 and the like in mathematical type."""
    mantissa, exponent = f"{value:.0e}".split("e")
    factor = "" if mantissa == "1" else rf"{mantissa}\times "
    return rf"{factor}10^{{{int(exponent)}}}"
