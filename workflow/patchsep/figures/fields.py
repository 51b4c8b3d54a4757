"""Figures of spectral parameters that are fields: their power spectra."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ..files.maps import read_maps, read_templates
from ..files.tables import read_table
from ..instrument.miscalibration import OF_BANDS
from ..lazy import healpy as hp
from ..lazy import lines, shapes
from ..lazy import pyplot as plt
from ..sky.regions import COMBINED
from .figure import Figure, symbols_of
from .style import FULL_WIDTH, colours_of, in_words, plain_log_ticks

# An octave whose error exceeds its power is told as an upper limit of so many errors.
LIMIT = 2
# Lines of the expected spectrum and of that found, and what is drawn of the true one.
LINES = {"expected": ":", "prior": "-"}
# Departure in units of its error at which colours of tests end.
SHOWN_PULL = 6
# Where the true spectrum is so many times below all else, a panel does not show it.
FAR_BELOW = 30


def octave_spectrum(values: np.ndarray, kept: np.ndarray, first, last) -> np.ndarray:
    """Pseudo-spectrum over f_sky of a map (12 nside²,) less its mean, in octaves of multipoles.

    Parameters
    ----------
    values : array
        NaN in all `kept` pixels gives NaN.
    kept : bool array (12 nside²,)
    first, last : int arrays (n_octaves,)
        Multipoles of every octave, averaged with 2 ell + 1.
    """
    if not np.isfinite(values[kept]).all():
        return np.full(len(first), np.nan)
    masked = np.zeros(len(values))
    masked[kept] = values[kept] - values[kept].mean()
    power = hp.anafast(masked, lmax=int(np.max(last)), pol=False) / kept.mean()
    ell = np.arange(len(power))
    return np.array(
        [
            np.average(power[low : high + 1], weights=2 * ell[low : high + 1] + 1)
            for low, high in zip(first, last)
        ]
    )


def parameter_spectra_table(files: dict, shown: dict) -> pd.DataFrame:
    """A row per method, spectral parameter and octave: what `evidence.measure_fields` tells.

    With the `upper_limit` where the error exceeds the power, and the `true` spectrum of the
    simulated sky; fields of methods with templates are what the templates lack. All are in the
    parameter's unit squared.
    """
    kept = read_maps(files["regions"])["REGION"] > 0
    truth = {name.lower(): values for name, values in read_maps(files["true"]).items()}
    templates = dict(zip(shown["templated"], files["templates"], strict=True))
    tables = []
    for method, path in zip(shown["methods"], files["spectra"], strict=True):
        known = read_templates(templates.get(method))
        for parameter, rows in read_table(path).groupby("parameter", sort=False):
            field = truth[parameter] - known.get(parameter, 0.0)
            true = octave_spectrum(field, kept, rows["ell_min"], rows["ell_max"])
            tables.append(rows.assign(method=method, true=true))
    if not tables:
        raise ValueError(f"no spectral parameter of {', '.join(shown['methods'])} is a field")
    table = pd.concat(tables, ignore_index=True)
    limit = table["power"].clip(lower=0) + LIMIT * table["error"]
    table["upper_limit"] = limit.where(table["error"] > table["power"])
    return table[["method", *table.columns.drop("method")]]


def plot_parameter_spectra(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """Power spectra of the spectral parameters, a panel each and a colour per method.

    `data` is that of `parameter_spectra_table`.
    """
    found = set(data["parameter"])
    symbols = {name: symbol for name, symbol in shown["symbols"].items() if name in found}
    figure, panels = plt.subplots(
        1,
        len(symbols),
        figsize=(FULL_WIDTH, 0.4 * FULL_WIDTH),
        squeeze=False,
        layout="constrained",
    )
    colours = colours_of(list(data["method"].unique()))
    for axis, (parameter, symbol) in zip(panels[0], symbols.items()):
        rows = data[data["parameter"] == parameter]
        draw_parameter(axis, rows, colours)
        unit = shown["units"][parameter]
        axis.set_title(rf"{symbol}  [$\mathrm{{{unit}}}^2$]" if unit else symbol)
    panels[0][0].set_ylabel(r"$\ell(\ell+1)\,C_\ell/2\pi$")
    figure.supxlabel(r"Multipole $\ell$", fontsize="medium")
    handles = [
        *(shapes.Patch(color=c, label=in_words(name)) for name, c in colours.items()),
        lines.Line2D([], [], color="k", marker="o", ms=3.5, ls="", label="data"),
        lines.Line2D([], [], color="k", lw=1, ls=LINES["prior"], label="prior found"),
        lines.Line2D([], [], color="k", lw=1, ls=LINES["expected"], label="expected"),
        lines.Line2D([], [], color="0.7", lw=3.5, label="true"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return figure


def draw_parameter(axis, data: pd.DataFrame, colours: dict[str, str]):
    """D_ell of one parameter, of all methods."""
    middle = np.sqrt(data["ell_min"] * data["ell_max"])
    factor = middle * (middle + 1) / (2 * np.pi)
    spectra = ["power", "error", "upper_limit", "true", *LINES]
    scaled = data[spectra].mul(factor, axis=0).assign(middle=middle)
    data = data.assign(**scaled)
    # Methods with templates have fields of their own, the others that of the sky.
    is_one = data.groupby("ell_min")["true"].nunique().le(1).all()
    for number, (method, rows) in enumerate(data.groupby("method", sort=False)):
        true = {"color": "0.7"} if is_one else {"color": colours[method], "alpha": 0.35}
        axis.plot("middle", "true", data=rows, lw=3.5, zorder=1, **true)
        for kind, style in LINES.items():
            axis.plot("middle", kind, style, data=rows, color=colours[method], lw=1)
        # Points of several methods stand side by side.
        rows = rows.assign(at=rows["middle"] * 1.08 ** (number - (len(colours) - 1) / 2))
        told = rows["upper_limit"].isna()
        _draw_points(axis, rows[told], "power", rows["error"][told], fmt="o", color=colours[method])
        limits = rows[~told]
        length = 0.5 * limits["upper_limit"]
        _draw_points(
            axis, limits, "upper_limit", length, fmt="_", uplims=True, color=colours[method]
        )
    axis.set(xscale="log", yscale="log")
    plain_log_ticks(axis.xaxis)
    points = data["power"].where(data["upper_limit"].isna(), data["upper_limit"])
    lowest = min(points.min(), data[list(LINES)].min().min())
    true = data["true"][data["true"] > lowest / FAR_BELOW]
    axis.set_ylim(bottom=np.min([lowest, *true]) / 1.5)


def _draw_points(axis, rows, column, error, **style):
    """Points at the middle of octaves, with a bar as wide as each."""
    width = [rows["at"] - rows["ell_min"], rows["ell_max"] - rows["at"]]
    axis.errorbar(
        rows["at"], rows[column], error, np.clip(width, 0, None), ms=3.5, elinewidth=0.9, **style
    )


def model_tests_table(files: dict, shown: dict) -> pd.DataFrame:
    """Rows of the table of the spectral model that are shown, all regions together.

    Those of one band, or of second moments and spinning dust, and of alarms: with `pull`, the mean
    departure over its error in one observation.
    """
    from ..fields.moments import ALL
    from ..fields.residual_tests import ALL_BANDS
    from ..fields.systematics import ANY

    table = read_table(files["table"])
    wanted = pd.MultiIndex.from_frame(table[["set", "method"]]).isin(shown["sets"])
    in_octaves = table["with_parameter"].str.contains(" ell ")
    joint = table["with_parameter"].isin([ALL, ANY, ALL_BANDS])
    rows = table[wanted & table["region"].eq(COMBINED) & ~in_octaves & ~joint]
    return rows.assign(pull=rows["moment"] / rows["error"]).reset_index(drop=True)


def plot_model_tests(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """What data ask for that the model lacks, in units of the error of one observation.

    `data` is that of `model_tests_table`. A column per set and method: gain, centre, angle and chi2
    of every band above, second moments of spectral parameters and spinning dust below.
    """
    from ..fields.residual_tests import CHI2
    from ..inference.tables import ALARM

    columns = [*OF_BANDS, CHI2]
    pairs = list(dict.fromkeys(zip(data["set"], data["method"])))
    is_of_band, alarm = data["parameter"].isin(columns), data["parameter"].eq(ALARM)
    bands = list(data.loc[is_of_band, "with_parameter"].unique())
    others = data[~is_of_band & ~alarm]
    kinds = list(dict.fromkeys(zip(others["parameter"], others["with_parameter"])))
    figure, panels = plt.subplots(
        2,
        len(pairs),
        figsize=(min(FULL_WIDTH, 1.7 + 1.1 * len(pairs)), 1.2 + 0.16 * (len(bands) + len(kinds))),
        height_ratios=(len(bands), len(kinds)),
        squeeze=False,
        layout="constrained",
    )
    several = data["method"].nunique() > 1
    look = {"cmap": "RdBu_r", "vmin": -SHOWN_PULL, "vmax": SHOWN_PULL, "aspect": "auto"}
    for (above, below), (name, method) in zip(panels.T, pairs):
        own = data[data["set"].eq(name) & data["method"].eq(method)]
        pulls = own.set_index(["parameter", "with_parameter"])["pull"]
        of_bands = [[pulls.get((kind, band), np.nan) for kind in columns] for band in bands]
        image = above.imshow(of_bands, **look)
        below.imshow([[pulls.get(kind, np.nan)] for kind in kinds], **look)
        (alarms,) = own[own["parameter"] == ALARM].to_dict("records")
        title = f"{in_words(name)}\n{in_words(method)}" if several else in_words(name)
        counted = f"alarm in {alarms['n_unlikely']} of {alarms['n_observations']}"
        above.set_title(f"{title}\n{counted}", fontsize="small")
        labels = [r"$\chi^2$" if kind == CHI2 else kind for kind in columns]
        above.set_xticks(range(len(columns)), labels, rotation=90, fontsize="x-small")
        below.set_xticks([])
        for axis in (above, below):
            axis.set_yticks([])
            axis.set_facecolor("0.8")
    for axis, names in (
        (panels[0][0], [_band_in_words(band) for band in bands]),
        (panels[1][0], [_in_symbols(*kind, shown["symbols"]) for kind in kinds]),
    ):
        axis.set_yticks(range(len(names)), names, fontsize="x-small")
    figure.colorbar(image, ax=panels, extend="both", aspect=40, label="departure / error")
    return figure


def _band_in_words(label: str) -> str:
    """A band's name in map files, as figures have it: 100GHZ, 37P5GHZ or LFT_40."""
    frequency = re.fullmatch(r"(\d+)(P\d+)?GHZ(_\d+)?", label)
    if not frequency:
        return label.replace("_", " ")
    whole, part, number = (one or "" for one in frequency.groups())
    return f"{whole}{part.replace('P', '.')} GHz{number.replace('_', ' ')}"


def _in_symbols(parameter, other, symbols) -> str:
    """A second moment in symbols, or spinning dust."""
    if parameter not in symbols:
        return parameter
    return rf"$\omega\,$({symbols[parameter]}, {symbols[other]})"


def _shows_tests(plan, methods, pairs) -> dict:
    fields = [pair for pair in pairs if pair[1] in plan.field_methods]
    return {"sets": fields, "symbols": symbols_of(plan)}


def _shows(plan, methods, pairs) -> dict:
    return {
        "methods": methods,
        "templated": [method for method in methods if plan.methods[method]["maps"]],
        "symbols": symbols_of(plan),
        "units": {parameter.name: parameter.unit for parameter in plan.model.parameters},
    }


FIGURES = {
    "parameter_spectra": Figure(
        "2 Fits",
        parameter_spectra_table,
        plot_parameter_spectra,
        shows=_shows,
        inputs=lambda plan, shown: {
            "spectra": [f"{plan.results}/fields/{name}_spectra.csv" for name in shown["methods"]],
            "templates": [
                f"{plan.results}/maps/templates_{name}.fits" for name in shown["templated"]
            ],
            "true": f"{plan.results}/maps/spectral_parameters.fits",
            "regions": f"{plan.results}/maps/regions.fits",
        },
        methods=lambda plan: plan.field_methods,
        strategy="fields",
        needs="fields",
    ),
    "model_tests": Figure(
        "5 r",
        model_tests_table,
        plot_model_tests,
        shows=_shows_tests,
        inputs=lambda plan, shown: {"table": f"{plan.results}/tables/spectral_model.csv"},
        methods=lambda plan: plan.field_methods,
        strategy="fields",
        needs="fields",
    ),
}
