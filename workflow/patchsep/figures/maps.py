"""Figures of the sky: regions, patches, spectral parameters, residuals.

Their tables have a row per HEALPix pixel, in RING order, and NaN where the sky is masked.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..lazy import healpy as hp
from ..sky.spectral_model import PARAMETERS
from .style import FULL_WIDTH, PARAMETER_LABELS, area_title, in_words

MASKED = "0.85"


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


def _parameter_titles():
    return [PARAMETER_LABELS[parameter].removesuffix(" [K]") for parameter in PARAMETERS]


def plot_regions(data: pd.DataFrame, names: list[str], projection: str = "mollweide") -> Figure:
    """The Galactic regions and their shares of the sky.

    `region` of the data is 0 where masked and 1 + the index in `names` elsewhere.
    """
    labels = data["region"]
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
        Patch(color=colour, label=f"{area_title(name)}, {share:.0%} of the sky")
        for name, colour, share in zip(names, colours, shares[1:])
    ]
    handles.append(Patch(color=MASKED, label=f"masked, {shares[0]:.0%}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def patch_table(recovered: dict[str, dict[str, np.ndarray]], regions: np.ndarray) -> pd.DataFrame:
    """Patches of the whole sky, `<method>.<parameter>`; those of different regions differ.

    Parameters
    ----------
    recovered : dict of str to dict of str to array (n_pixels,)
        Map files of recovered skies by method, with PATCH_*.
    regions : int array (n_pixels,)
    """
    columns = {}
    for method, maps in recovered.items():
        for parameter in PARAMETERS:
            labels = maps[f"PATCH_{parameter.upper()}"]
            known = np.isfinite(labels)
            pairs = np.stack([regions[known], labels[known]], axis=1)
            patches = np.full(labels.shape, np.nan)
            patches[known] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
            columns[f"{method}.{parameter}"] = patches
    return pd.DataFrame(columns)


def plot_patches(data: pd.DataFrame, methods: list[str], projection: str = "mollweide") -> Figure:
    """Patches of every method and spectral parameter, of `patch_table`."""
    figure, axes = _map_grid([in_words(name) for name in methods], _parameter_titles(), projection)
    for row, method in zip(axes, methods):
        for axis, parameter in zip(row, PARAMETERS):
            patches = data[f"{method}.{parameter}"].to_numpy()
            known = np.isfinite(patches)
            n_patches = int(patches[known].max()) + 1
            colours = np.full(patches.shape, np.nan)
            # A patch's colour has no meaning but to tell it from its neighbours.
            order = np.random.default_rng(0).permutation(n_patches)
            colours[known] = order[patches[known].astype(int)]
            draw_map(axis, colours, cmap="viridis")
            axis.set_xlabel(f"{n_patches} patches")
    return figure


def parameter_table(
    true: dict[str, np.ndarray], recovered: dict[str, dict[str, np.ndarray]]
) -> pd.DataFrame:
    """True and recovered spectral parameters, `true.<parameter>` and `<method>.<parameter>`.

    Parameters
    ----------
    true : dict of str to array (n_pixels,)
        BETA_DUST, TEMP_DUST and BETA_SYNCH; NaN where the sky has no such parameter.
    recovered : dict of str to dict of str to array (n_pixels,)
        The same by method, NaN where masked.
    """
    kept = np.isfinite(next(iter(recovered.values()))["BETA_DUST"])
    return pd.DataFrame(
        {
            f"{name}.{parameter}": np.where(kept, maps[parameter.upper()], np.nan)
            for name, maps in {"true": true, **recovered}.items()
            for parameter in PARAMETERS
        }
    )


def plot_parameters(
    data: pd.DataFrame, methods: list[str], projection: str = "mollweide"
) -> Figure:
    """True spectral parameters, and those that every method recovers, of `parameter_table`."""
    names = ["true", *methods]
    figure, axes = _map_grid(
        [in_words(name) for name in names], _parameter_titles(), projection, n_bars=2
    )
    for column, parameter in zip(axes.T, PARAMETERS):
        # Recovered values scatter more than true ones vary: they get a scale of their own.
        for group, of_group in ((column[:1], names[:1]), (column[1:], names[1:])):
            values = [data[f"{name}.{parameter}"].to_numpy() for name in of_group]
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


def residual_table(cmb: np.ndarray, recovered: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """Recovered less true CMB of one realisation, `<method>.Q` and `<method>.U`, µK_CMB.

    Parameters
    ----------
    cmb : array (2, n_pixels)
    recovered : dict of str to dict of str to array (n_pixels,)
        Map files of recovered skies by method, with CMB_Q and CMB_U.
    """
    return pd.DataFrame(
        {
            f"{method}.{stokes}": maps[f"CMB_{stokes}"] - true
            for method, maps in recovered.items()
            for stokes, true in zip("QU", cmb, strict=True)
        }
    )


def plot_residual_maps(
    data: pd.DataFrame, methods: list[str], projection: str = "mollweide"
) -> Figure:
    """Residual Q and U of every method, of `residual_table`, with their mean squares."""
    figure, axes = _map_grid([in_words(name) for name in methods], ["Q", "U"], projection, 1)
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
