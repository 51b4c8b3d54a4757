"""Figures of the sky: what is done to it, its regions, patches, spectral parameters, residuals.

Tables of maps have a row per HEALPix pixel, in RING order, and NaN where the sky is masked.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..files.maps import read_maps, read_polarization
from ..lazy import colors, shapes
from ..lazy import healpy as hp
from ..lazy import pyplot as plt
from .figure import Figure, labels_of, of_strategy, symbols_of
from .style import COLOURS, FULL_WIDTH, in_words, region_title

MASKED = "0.85"

# Colours of a map span at least this part of its values.
FLAT = 0.01

# The pipeline, drawn: what every stage takes from the others (arXiv:2604.08463, Fig. 3). Places
# are columns from the left and rows from the top; `after` are the stages before.
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
BOX_WIDTH, BOX_HEIGHT = 0.84, 0.62
# Stages that run for every configuration.
OF_THE_GRID = ("Patches", "Fits", "Residuals", "r")


def draw_map(axes, values: np.ndarray, **style):
    """Draw a full-sky map (RING, NaN = masked) on projected axes, Galactic longitude to the left.

    `style` goes to `pcolormesh`, whose mesh is returned.
    """
    longitude = np.linspace(-np.pi, np.pi, 801)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 401)
    centres = np.meshgrid(
        (longitude[1:] + longitude[:-1]) / 2, (latitude[1:] + latitude[:-1]) / 2, indexing="xy"
    )
    values = np.asarray(values)
    pixels = hp.ang2pix(hp.npix2nside(len(values)), *np.degrees(centres), lonlat=True)
    axes.set_facecolor(MASKED)
    mesh = axes.pcolormesh(
        -longitude, latitude, np.ma.masked_invalid(values)[pixels], rasterized=True, **style
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    return mesh


def _map_grid(rows: list[str], columns: list[str], projection: str, n_bars: int = 0):
    """A figure of maps, with names of its rows and columns."""
    height = FULL_WIDTH * (0.57 / len(columns) * len(rows) + 0.08 * n_bars + 0.06)
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(FULL_WIDTH, height),
        subplot_kw={"projection": projection},
        squeeze=False,
        layout="constrained",
    )
    for row, name in zip(axes, rows):
        row[0].text(
            -0.06, 0.5, name, transform=row[0].transAxes, rotation=90, va="center", ha="center"
        )
    for axis, name in zip(axes[0], columns):
        axis.set_title(name)
    return figure, axes


def _shows(plan, methods, pairs) -> dict:
    projection = plan.settings["figures"]["projection"]
    return {"methods": methods, "symbols": symbols_of(plan), "projection": projection}


def _recovered_files(plan, shown) -> list[str]:
    return [f"{plan.results}/maps/recovered_{method}.fits" for method in shown["methods"]]


def _recovered(files, shown) -> dict[str, dict[str, np.ndarray]]:
    """Map files of recovered skies, by method."""
    return dict(zip(shown["methods"], map(read_maps, files["recovered"]), strict=True))


def region_table(files: dict, _) -> pd.DataFrame:
    """`region` is 0 where masked and 1 + the index in the regions' names elsewhere."""
    return pd.DataFrame({"region": read_maps(files["regions"])["REGION"]})


def plot_regions(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """The Galactic regions and their shares of the sky, of `region_table`."""
    labels, names = data["region"], shown["regions"]
    figure, axes = plt.subplots(
        figsize=(0.6 * FULL_WIDTH, 0.42 * FULL_WIDTH),
        subplot_kw={"projection": shown["projection"]},
        layout="constrained",
    )
    colours = plt.get_cmap("viridis")(np.linspace(0.9, 0.15, len(names)))
    draw_map(
        axes,
        np.where(labels > 0, labels, np.nan),
        cmap=colors.ListedColormap(colours),
        vmin=0.5,
        vmax=len(names) + 0.5,
    )
    shares = [np.mean(labels == index) for index in range(len(names) + 1)]
    handles = [
        shapes.Patch(color=colour, label=f"{region_title(name)}, {share:.0%} of the sky")
        for name, colour, share in zip(names, colours, shares[1:])
    ]
    handles.append(shapes.Patch(color=MASKED, label=f"masked, {shares[0]:.0%}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def patch_table(files: dict, shown: dict) -> pd.DataFrame:
    """Patches of the whole sky, `<method>.<parameter>`; those of different regions differ."""
    regions = read_maps(files["regions"])["REGION"]
    columns = {}
    for method, maps in _recovered(files, shown).items():
        for parameter in shown["symbols"]:
            labels = maps[f"PATCH_{parameter.upper()}"]
            known = np.isfinite(labels)
            pairs = np.stack([regions[known], labels[known]], axis=1)
            patches = np.full(labels.shape, np.nan)
            patches[known] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
            columns[f"{method}.{parameter}"] = patches
    return pd.DataFrame(columns)


def shuffled(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels of patches (n_pixels,) in random order, NaN where there are none, and their number.

    A patch's colour has no meaning but to tell it from its neighbours.
    """
    known = np.isfinite(labels)
    patches, own = np.unique(labels[known], return_inverse=True)
    colours = np.full(labels.shape, np.nan)
    colours[known] = np.random.default_rng(0).permutation(len(patches))[own]
    return colours, len(patches)


def plot_patches(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """Patches of every method and spectral parameter, of `patch_table`."""
    methods = shown["methods"]
    figure, axes = _map_grid(
        [in_words(name) for name in methods], [*shown["symbols"].values()], shown["projection"]
    )
    for row, method in zip(axes, methods):
        for axis, parameter in zip(row, shown["symbols"]):
            colours, n_patches = shuffled(data[f"{method}.{parameter}"].to_numpy())
            draw_map(axis, colours, cmap="viridis")
            axis.set_xlabel(f"{n_patches} patches")
    return figure


def parameter_table(files: dict, shown: dict) -> pd.DataFrame:
    """Spectral parameters, `true.<parameter>` and as recovered, `<method>.<parameter>`.

    True ones are NaN where the sky has no such parameter.
    """
    recovered = _recovered(files, shown)
    kept = np.isfinite(next(iter(recovered.values()))[next(iter(shown["symbols"])).upper()])
    return pd.DataFrame(
        {
            f"{name}.{parameter}": np.where(kept, maps[parameter.upper()], np.nan)
            for name, maps in {"true": read_maps(files["true"]), **recovered}.items()
            for parameter in shown["symbols"]
        }
    )


def plot_parameters(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """True spectral parameters, and those that every method recovers, of `parameter_table`."""
    names = ["true", *shown["methods"]]
    figure, axes = _map_grid(
        [in_words(name) for name in names],
        [*shown["symbols"].values()],
        shown["projection"],
        n_bars=len(names),
    )
    for column, (parameter, label) in zip(axes.T, shown["labels"].items()):
        # Noise makes patches scatter much more than fields, and than the truth: each has a scale.
        for axis, name in zip(column, names):
            values = data[f"{name}.{parameter}"].to_numpy()
            if np.isnan(values).all():
                axis.text(0, 0, "not in this sky", ha="center", va="center")
                axis.set(xticks=[], yticks=[])
                continue
            low, high = np.nanpercentile(values, [5, 95])
            # A field that the data say nothing of is hardly more than its mean.
            if high - low < FLAT * abs(low + high):
                low, high = (low + high) / 2 + FLAT * abs(low + high) * np.array([-1, 1])
            mesh = draw_map(axis, values, cmap="cividis", vmin=low, vmax=high)
            figure.colorbar(
                mesh,
                ax=axis,
                location="bottom",
                label=label,
                extend="both" if low < high else "neither",
                shrink=0.8,
                aspect=30,
            )
    return figure


def residual_table(files: dict, shown: dict) -> pd.DataFrame:
    """Recovered less true CMB of one realisation, `<method>.Q` and `<method>.U`, µK_CMB."""
    cmb = read_polarization(files["cmb"])[0]
    return pd.DataFrame(
        {
            f"{method}.{stokes}": maps[f"CMB_{stokes}"] - true
            for method, maps in _recovered(files, shown).items()
            for stokes, true in zip("QU", cmb, strict=True)
        }
    )


def plot_residual_maps(data: pd.DataFrame, shown: dict) -> plt.Figure:
    """Residual Q and U of every method, of `residual_table`, with their mean squares."""
    methods = shown["methods"]
    rows = [in_words(name) for name in methods]
    figure, axes = _map_grid(rows, ["Q", "U"], shown["projection"], n_bars=1)
    limit = np.nanpercentile(np.abs(data), 95)
    for row, method in zip(axes, methods):
        for axis, stokes in zip(row, "QU"):
            residual = data[f"{method}.{stokes}"]
            mesh = draw_map(axis, residual, cmap="RdBu_r", vmin=-limit, vmax=limit)
            mean_square = 1e4 * np.mean(residual**2)
            axis.set_xlabel(rf"mean square ${mean_square:.1f}\times10^{{-4}}\,\mu\mathrm{{K}}^2$")
    figure.colorbar(
        mesh,
        ax=axes,
        location="bottom",
        label=r"recovered $-$ true CMB [$\mu\mathrm{K}_\mathrm{CMB}$]",
        extend="both",
        shrink=0.5,
        aspect=40,
    )
    return figure


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
            (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2),
            BOX_WIDTH,
            BOX_HEIGHT,
            fc="w",
            ec=colour,
            lw=1.2,
            zorder=2,
        )
        axes.add_patch(box)
        title = y + (0.17 if row.what else 0)
        axes.text(x, title, row.stage, ha="center", va="center", weight="bold", zorder=3)
        axes.text(x, y - 0.1, row.what, ha="center", va="center", fontsize="small", zorder=3)
        for before in row.after:
            x0, y0 = places[before]
            # From edge to edge, straight along the line between the centres.
            dx, dy = x - x0, y - y0
            cut = min(
                BOX_WIDTH / 2 / abs(dx) if dx else 1.0, BOX_HEIGHT / 2 / abs(dy) if dy else 1.0
            )
            axes.annotate(
                "",
                xy=(x - cut * dx, y - cut * dy),
                xytext=(x0 + cut * dx, y0 + cut * dy),
                arrowprops={"arrowstyle": "-|>", "color": "0.3", "shrinkA": 1, "shrinkB": 1},
            )
    axes.set(xlim=(-0.5, 2.5), ylim=(-2.4, 0.4))
    axes.axis("off")
    return figure


def _patches(**options) -> Figure:
    """Patches of methods."""
    return Figure(
        "1 Sky and patches",
        patch_table,
        plot_patches,
        shows=_shows,
        inputs=lambda plan, shown: {
            "regions": f"{plan.results}/maps/regions.fits",
            "recovered": _recovered_files(plan, shown),
        },
        suffix="parquet",
        needs="patches",
        **options,
    )


FIGURES = {
    "pipeline": Figure(
        "1 Sky and patches",
        pipeline_table,
        plot_pipeline,
        shows=lambda plan, methods, pairs: {"symbols": symbols_of(plan)},
    ),
    "regions": Figure(
        "1 Sky and patches",
        region_table,
        plot_regions,
        shows=lambda plan, methods, pairs: {
            "regions": list(plan.regions),
            "projection": plan.settings["figures"]["projection"],
        },
        inputs=lambda plan, shown: {"regions": f"{plan.results}/maps/regions.fits"},
        suffix="parquet",
        of=("simulated", "observed"),
    ),
    "patches": _patches(methods=lambda plan: plan.patch_methods),
    "kmeans_patches": _patches(
        methods=lambda plan: of_strategy(plan, "kmeans")[:1], strategy="kmeans"
    ),
    "binned_patches": _patches(
        methods=lambda plan: of_strategy(plan, "recovered_parameters"),
        strategy="recovered_parameters",
    ),
    "parameters": Figure(
        "2 Fits",
        parameter_table,
        plot_parameters,
        shows=lambda plan, *of: {**_shows(plan, *of), "labels": labels_of(plan)},
        inputs=lambda plan, shown: {
            "true": f"{plan.results}/maps/spectral_parameters.fits",
            "recovered": _recovered_files(plan, shown),
        },
        methods=lambda plan: plan.fitted_methods,
        suffix="parquet",
        needs="parameters",
    ),
    "residual_maps": Figure(
        "2 Fits",
        residual_table,
        plot_residual_maps,
        shows=_shows,
        inputs=lambda plan, shown: {
            "cmb": f"{plan.results}/maps/cmb.fits",
            "recovered": _recovered_files(plan, shown),
        },
        suffix="parquet",
    ),
}
