"""Figures. Each function takes numbers and returns a matplotlib figure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from .files import whole
from .patches import PARAMETERS

# Okabe & Ito's colours, distinct to colour-blind readers; methods take them in order.
COLOURS = ["#009E73", "#CC79A7", "#E69F00", "#0072B2", "#D55E00", "#56B4E9"]
MASKED = "0.85"
FULL_WIDTH = 7.1  # inches, two columns
PARAMETER_LABELS = {
    "beta_dust": r"$\beta_\mathrm{d}$",
    "temp_dust": r"$T_\mathrm{d}$ [K]",
    "beta_synch": r"$\beta_\mathrm{s}$",
}
# Values of r that LiteBIRD aims at (arXiv:2604.08463, Fig. 10).
R_BAND = (1e-3, 4e-3)


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


def draw(paths: list[str], options: dict, plot: Callable[..., Figure], *arguments):
    """Make a figure in the style of the settings `figures`, and write it to every path."""
    with style(options["font_size"]):
        save(plot(*arguments), paths, options["resolution"])


def save(figure: Figure, paths: list[str], resolution: int):
    """Write a figure to every path (PDF, PNG), whole or not at all, and close it."""
    for path in paths:
        with whole(path) as temporary:
            # Without a date, the same figure is the same file.
            metadata = {"CreationDate": None} if temporary.suffix == ".pdf" else None
            figure.savefig(temporary, dpi=resolution, metadata=metadata)
    plt.close(figure)


def method_colours(methods: list[str]) -> dict[str, str]:
    """A colour for every method."""
    return {method: COLOURS[index % len(COLOURS)] for index, method in enumerate(methods)}


def draw_map(axes, values: np.ndarray, **style):
    """Draw a full-sky map (RING, NaN = masked) on projected axes, Galactic longitude to the left.

    `style` goes to `pcolormesh`, whose mesh is returned.
    """
    longitude = np.linspace(-np.pi, np.pi, 801)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 401)
    centres = np.meshgrid(
        (longitude[1:] + longitude[:-1]) / 2, (latitude[1:] + latitude[:-1]) / 2, indexing="xy"
    )
    pixels = hp.ang2pix(hp.npix2nside(len(values)), *np.degrees(centres), lonlat=True)
    axes.set_facecolor(MASKED)
    mesh = axes.pcolormesh(
        -longitude, latitude, np.ma.masked_invalid(values)[pixels], rasterized=True, **style
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    return mesh


def plot_regions(labels: np.ndarray, names: list[str], projection: str = "mollweide") -> Figure:
    """The Galactic regions and their shares of the sky.

    `labels` (n_pixels,) are 0 where masked and 1 + the index in `names` elsewhere.
    """
    figure, axes = plt.subplots(
        figsize=(0.6 * FULL_WIDTH, 0.42 * FULL_WIDTH),
        subplot_kw={"projection": projection},
        layout="constrained",
    )
    colours = plt.get_cmap("viridis")(np.linspace(0.9, 0.15, len(names)))
    draw_map(
        axes,
        np.where(labels > 0, labels, np.nan),
        cmap=ListedColormap(colours),
        vmin=0.5,
        vmax=len(names) + 0.5,
    )
    shares = [np.mean(labels == index) for index in range(len(names) + 1)]
    handles = [
        Patch(color=colour, label=f"{_area_title(name)}, {share:.0%} of the sky")
        for name, colour, share in zip(names, colours, shares[1:])
    ]
    handles.append(Patch(color=MASKED, label=f"masked, {shares[0]:.0%}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _map_grid(rows: list[str], projection: str, n_bars: int = 0):
    """A figure of maps, a row per name in `rows` and a column per spectral parameter."""
    height = FULL_WIDTH * (0.19 * len(rows) + 0.08 * n_bars + 0.04)
    figure, axes = plt.subplots(
        len(rows),
        len(PARAMETERS),
        figsize=(FULL_WIDTH, height),
        subplot_kw={"projection": projection},
        squeeze=False,
        layout="constrained",
    )
    for row, name in zip(axes, rows):
        row[0].text(
            -0.06, 0.5, name, transform=row[0].transAxes, rotation=90, va="center", ha="center"
        )
    for axis, parameter in zip(axes[0], PARAMETERS):
        axis.set_title(PARAMETER_LABELS[parameter].removesuffix(" [K]"))
    return figure, axes


def plot_patches(
    recovered: dict[str, dict[str, np.ndarray]], regions: np.ndarray, projection: str = "mollweide"
) -> Figure:
    """Patches of every method and spectral parameter.

    Parameters
    ----------
    recovered : dict of str to dict of str to array (n_pixels,)
        Map files of recovered skies by method, of which PATCH_* are drawn.
    regions : int array (n_pixels,)
        Region labels; patches of different regions are different patches.
    """
    figure, axes = _map_grid(list(recovered), projection)
    for row, maps in zip(axes, recovered.values()):
        for axis, parameter in zip(row, PARAMETERS):
            labels = maps[f"PATCH_{parameter.upper()}"]
            known = np.isfinite(labels)
            pairs = np.stack([regions[known], labels[known]], axis=1)
            patches = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
            colours = np.full(labels.shape, np.nan)
            # A patch's colour has no meaning but to tell it from its neighbours.
            colours[known] = np.random.default_rng(0).permutation(patches.max() + 1)[patches]
            draw_map(axis, colours, cmap="viridis")
            axis.set_xlabel(f"{patches.max() + 1} patches")
    return figure


def plot_parameters(
    true: dict[str, np.ndarray],
    recovered: dict[str, dict[str, np.ndarray]],
    projection: str = "mollweide",
) -> Figure:
    """True spectral parameters, and those that every method recovers from one realisation.

    Parameters
    ----------
    true : dict of str to array (n_pixels,)
        BETA_DUST, TEMP_DUST and BETA_SYNCH; NaN where the sky has no such parameter.
    recovered : dict of str to dict of str to array (n_pixels,)
        The same by method, NaN where masked.
    """
    figure, axes = _map_grid(["true", *recovered], projection, n_bars=2)
    kept = np.isfinite(next(iter(recovered.values()))["BETA_DUST"])
    for column, parameter in zip(axes.T, PARAMETERS):
        # Recovered values scatter more than true ones vary: they get a scale of their own.
        for group, maps in ((column[:1], [true]), (column[1:], recovered.values())):
            values = [np.where(kept, sky[parameter.upper()], np.nan) for sky in maps]
            if np.isnan(values).all():
                group[0].text(0, 0, "not in this model", ha="center", va="center")
                continue
            low, high = np.nanpercentile(values, [5, 95])
            for axis, sky in zip(group, values):
                mesh = draw_map(axis, sky, cmap="cividis", vmin=low, vmax=high)
            figure.colorbar(
                mesh,
                ax=group,
                location="bottom",
                label=PARAMETER_LABELS[parameter],
                extend="both" if low < high else "neither",
                shrink=0.8,
                aspect=30,
            )
    return figure


def plot_residual_spectra(
    spectra: dict[str, dict[str, pd.DataFrame]], templates: pd.DataFrame
) -> Figure:
    """Residual BB spectra, a panel per area and a colour per method.

    Parameters
    ----------
    spectra : dict of str to dict of str to DataFrame
        Area, then method, then `ell`, `total`, `systematic`, `statistical`, means over
        realisations in µK²_CMB.
    templates : DataFrame
        `cmb.cmb_spectra` for the lensing line and the band of r.
    """
    figure, axes = _area_grid(list(spectra), 0.36)
    colours = method_colours(list(next(iter(spectra.values()))))
    lines = {"total": "--", "systematic": "-", "statistical": ":"}
    for axis, (area, methods) in zip(axes, spectra.items()):
        for method, table in methods.items():
            ell = table["ell"]
            for kind, line in lines.items():
                d_ell = ell * (ell + 1) / (2 * np.pi) * table[kind]
                axis.plot(ell, d_ell, line, color=colours[method])
        cmb = templates[templates["ell"].between(ell.min(), ell.max())]
        factor = cmb["ell"] * (cmb["ell"] + 1) / (2 * np.pi)
        tensor = factor * cmb["bb_tensor"]
        axis.fill_between(cmb["ell"], *(r * tensor for r in R_BAND), color="0.8", lw=0)
        axis.plot(cmb["ell"], factor * cmb["bb_lensing"], color="0.4", lw=1)
        axis.set(xscale="log", yscale="log", xlim=(ell.min(), ell.max()), title=_area_title(area))
        plain_log_ticks(axis.xaxis)
        highest = max(line.get_ydata().max() for line in axis.lines)
        axis.set_ylim(tensor.min() * R_BAND[0] / 100, 2 * highest)
        axis.label_outer()
    figure.supxlabel(r"Multipole $\ell$")
    figure.supylabel(r"$\ell(\ell+1)\,C_\ell^{BB}/2\pi$  [$\mu\mathrm{K}^2_\mathrm{CMB}$]")
    handles = [
        *(Line2D([], [], color=colour, label=name) for name, colour in colours.items()),
        *(Line2D([], [], color="k", ls=line, label=kind) for kind, line in lines.items()),
        Patch(color="0.8", label=rf"$r\in[{_power(R_BAND[0])},\,{_power(R_BAND[1])}]$"),
        Line2D([], [], color="0.4", lw=1, label="lensing"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def plain_log_ticks(direction):
    """Numbers at 1, 2 and 5 of every decade of a logarithmic x or y axis."""
    direction.set_major_locator(LogLocator(subs=(1, 2, 5)))
    direction.set_major_formatter("{x:g}")
    direction.set_minor_formatter(NullFormatter())


def _area_grid(areas, panel_height):
    """Panels for areas, two or three abreast, and none left empty."""
    n_columns = 2 if len(areas) <= 4 else 3
    n_rows = -(-len(areas) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(FULL_WIDTH, FULL_WIDTH * (panel_height * n_rows + 0.1)),
        layout="constrained",
        sharey=True,
    )
    for axis in axes.flat[len(areas) :]:
        axis.remove()
    return figure, axes.flat


def _area_title(area):
    """hi_north is "hi-lat north"."""
    if area == "combined":
        return "all regions combined"
    ring, *side = area.split("_")
    return " ".join([f"{ring}-lat", *side])


def _power(value):
    mantissa, exponent = f"{value:.0e}".split("e")
    factor = "" if mantissa == "1" else rf"{mantissa}\times "
    return rf"{factor}10^{{{int(exponent)}}}"


def plot_r_likelihoods(
    curves: dict[str, dict[str, pd.DataFrame]], estimates: dict[str, dict[str, pd.Series]], r_input
) -> Figure:
    """Likelihoods of r, a panel per area and a colour per method.

    Parameters
    ----------
    curves : dict of str to dict of str to DataFrame
        Area, then method, then `r` and `likelihood`, one at the peak.
    estimates : dict of str to dict of str to Series
        The row of the summary table of the same area and method.
    r_input : float
        r of the simulated sky.

    A method whose r_hat lies beyond the panel is named with an arrow.
    """
    figure, axes = _area_grid(list(curves), 0.3)
    colours = method_colours(list(next(iter(curves.values()))))
    for axis, (area, methods) in zip(axes, curves.items()):
        rows = estimates[area]
        best = min(rows[method]["r_upper68"] for method in methods)
        right = 1e3 * max(
            rows[method]["r_hat"] + 3.5 * rows[method]["sigma_r_plus"]
            for method in methods
            if rows[method]["r_hat"] < 3 * best
        )
        beyond = 0
        for method, curve in methods.items():
            row, colour = rows[method], colours[method]
            r_hat, minus, plus = (
                1e3 * row[key] for key in ("r_hat", "sigma_r_minus", "sigma_r_plus")
            )
            text = rf"{method}: ${r_hat:.2f}^{{+{plus:.2f}}}_{{-{minus:.2f}}}$"
            if r_hat > right:
                axis.annotate(
                    "",
                    xy=(1, 0.3 + 0.1 * beyond),
                    xytext=(0.9, 0.3 + 0.1 * beyond),
                    xycoords="axes fraction",
                    arrowprops={"arrowstyle": "->", "color": colour},
                )
                beyond += 1
            else:
                inside = (
                    np.abs(1e3 * curve["r"] - (r_hat + (plus - minus) / 2)) < (plus + minus) / 2
                )
                axis.fill_between(
                    1e3 * curve["r"][inside], curve["likelihood"][inside], color=colour, alpha=0.2
                )
            axis.plot(1e3 * curve["r"], curve["likelihood"], color=colour, label=text)
        axis.axvline(1e3 * r_input, color="0.4", lw=0.8, ls="--")
        left = 1e3 * min(curve["r"].min() for curve in methods.values())
        # The legend stands above the peaks.
        top = 1.1 + 0.14 * (len(methods) + 1)
        axis.set(xlim=(max(left, -right / 2), right), ylim=(0, top), title=_area_title(area))
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axis.legend(loc="upper right", title=r"$10^3\,r$")
    figure.supxlabel(r"$10^3\,r$")
    figure.supylabel(r"$L(r)/L(\hat r)$")
    return figure


def plot_criteria(criteria: pd.DataFrame) -> Figure:
    """r_upper68 of every criterion's choice of all regions, a panel per method.

    `criteria` is that of `tables.criteria_table`. A point per set, with the bootstrap's error, and
    an open one for every further kind of pixel weights; methods without a choice are left out,
    unless none has one.
    """
    combined = criteria[criteria["region"] == "combined"]
    n_choices = combined.groupby("method", sort=False)["configuration"].nunique()
    methods = list(n_choices.index[n_choices > 1]) or list(n_choices.index)
    names, sets, weights = (
        list(combined[column].unique()) for column in ("criterion", "set", "pixel_weights")
    )
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
        of_method = combined[combined["method"] == method].groupby(
            ["set", "pixel_weights"], sort=False
        )
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
        axis.set(title=method, xscale="log")
        axis.grid(axis="x", which="both", color="0.9", lw=0.6)
        axis.set_axisbelow(True)
    panels[0][0].set_yticks(places, [name.replace("_", " ") for name in names])
    panels[0][0].invert_yaxis()
    figure.supxlabel(r"$10^3\,(\hat r + \sigma_+)$, all regions combined")
    marks = [(name, colour, colour) for name, colour in zip(sets, COLOURS)]
    if len(weights) > 1:
        marks += [(f"{name} weights", "k", face) for name, face in zip(weights, ("k", "w"))]
    handles = [
        Line2D([], [], marker="o", ls="", ms=4, color=edge, mfc=face, label=name.replace("_", " "))
        for name, edge, face in marks
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure
