"""A first look at observed maps, before anything is made of them: one page, without scripts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from ..files.whole import whole
from ..instrument.noise import WhiteNoise, beside_maps
from ..lazy import healpy as hp
from ..lazy import pyplot as plt
from .maps import MASKED
from .style import in_words, style

# Of a map's picture: dots along the equator, inches of one map, and dots per inch.
DOTS, INCHES, RESOLUTION = 500, 2.6, 105
# Colours end at this percentile of absolute values.
SHOWN = 98
# A map whose rms is below so much of what its noise alone should have, and splits whose difference
# is off by this part of what is expected and by so many errors of it, are told.
LEAST_RMS, MOST_OFF, ERRORS_OFF = 0.95, 0.05, 5.0
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 2em auto; max-width: 1150px; padding: 0 1em; color: #222 }}
table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ padding: 4px 9px; text-align: right; vertical-align: top; white-space: nowrap }}
td:last-child {{ white-space: normal }}
th {{ border-bottom: 2px solid #444 }}
tr:nth-child(even) td {{ background: #f4f4f4 }}
td:first-child, th:first-child, td:last-child, th:last-child {{ text-align: left }}
figure {{ display: inline-block; margin: 0.4em 1em 0.4em 0 }}
figcaption {{ font-weight: bold }}
.warnings {{ border: 2px solid #b00020; background: #fdecea; padding: 0.4em 1em }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""
COLUMNS = ["band", "frequency", "unit", "rms", "noise", "difference", "f_sky", "largest"]
COLUMNS += ["longitude", "latitude", "remarks"]
# Of the table in the page.
HEADINGS = {
    "band": "Band",
    "frequency": "GHz",
    "unit": "Unit",
    "rms": "rms",
    "noise": "Noise",
    "difference": "Split difference",
    "f_sky": "Sky",
    "largest": "Largest pixel (l, b)",
    "remarks": "Remarks",
}
LEGEND = (
    "Unit is that of the file; all else is in µK_CMB. rms are those of Q and U over what a band "
    "observes. Noise: what the instrument's description expects. Split difference: rms of half the "
    "difference of the two splits, over what is expected of noise, pixel by pixel; with noise that "
    "is correlated between pixels it may exceed 1. Largest pixel: of √(Q² + U²), with its Galactic "
    "coordinates."
)


@dataclass(frozen=True)
class ObservedBands:
    """Maps of an observation as they were read, and what is expected of them.

    Attributes
    ----------
    names : sequence of str
    frequencies : array (n_bands,), GHz
    units : sequence of str
        That files are in, as they or the configuration have it.
    maps : array (n_bands, 2, 12 nside²), µK_CMB
        RING order, Galactic; NaN where nothing is observed.
    noise : WhiteNoise
        Of the whole sky.
    splits : array (2, n_bands, 2, 12 nside²), or None
    hits : mapping of str to array (12 nside²,)
        Of bands that have any.
    """

    names: Sequence[str]
    frequencies: np.ndarray
    units: Sequence[str]
    maps: np.ndarray
    noise: WhiteNoise
    splits: np.ndarray | None
    hits: Mapping[str, np.ndarray]

    def table(self) -> pd.DataFrame:
        """A row per band: `band`, `frequency`, `unit`, `rms`, `noise`, `difference` (of splits,
        over its expectation; NaN without them), `f_sky`, `largest`, its `longitude` and `latitude`
        in degrees, and `remarks` on numbers that are not as they should be.
        """
        nside = hp.npix2nside(self.maps.shape[-1])
        sigma = np.broadcast_to(beside_maps(self.noise.sigma), self.maps.shape)
        seen = np.isfinite(self.maps).all(axis=1) & np.isfinite(sigma).all(axis=1)
        rows = []
        for number, name in enumerate(self.names):
            pixels = np.flatnonzero(seen[number])
            about = {
                "band": name,
                "frequency": self.frequencies[number],
                "unit": self.units[number],
                "f_sky": len(pixels) / self.maps.shape[-1],
            }
            if not len(pixels):
                rows.append(about | {"remarks": "nothing is observed"})
                continue
            qu, noise = self.maps[number][:, pixels], sigma[number][:, pixels]
            largest = pixels[np.argmax(np.hypot(*qu))]
            longitude, latitude = hp.pix2ang(nside, largest, lonlat=True)
            found = {
                "rms": _rms(qu),
                "noise": _rms(noise),
                "difference": np.nan,
                "largest": np.hypot(*self.maps[number][:, largest]),
                "longitude": longitude,
                "latitude": latitude,
            }
            if self.splits is not None:
                one, other = self.splits[:, number][..., pixels]
                found["difference"] = _rms((one - other) / 2 / noise)
            rows.append(about | found | {"remarks": "; ".join(_remarks(found, qu.size))})
        return pd.DataFrame(rows, columns=COLUMNS)

    def picture(self, sky: _Sky, number: int) -> str:
        """The maps of a band, half the difference of its splits, and its hits."""
        more = {}
        if self.splits is not None:
            one, other = self.splits[:, number]
            more["half the splits' difference, Q"] = (one - other)[0] / 2
        hits = self.hits.get(self.names[number])
        return sky.polarization(self.maps[number], "µK_CMB", more, hits)


def _rms(values) -> float:
    return float(np.sqrt(np.nanmean(np.square(values))))


def _remarks(found: Mapping[str, float], n_values: int) -> list[str]:
    """What numbers of a band say against its unit, its depth or its splits."""
    remarks = []
    if found["rms"] < LEAST_RMS * found["noise"]:
        remarks.append("the map has less than its noise: look at its unit, and at the depth")
    off = found["difference"] - 1
    # NaN, without splits, is not off.
    if abs(off) > max(MOST_OFF, ERRORS_OFF / np.sqrt(2 * n_values)):
        remarks.append(
            f"splits differ by {'more' if off > 0 else 'less'} than noise does: look at the depth, "
            "and whether they are splits of this map"
        )
    return remarks


def write_first_look(
    path: str | Path,
    title: str,
    bands: ObservedBands,
    masks: Mapping[str, np.ndarray],
    amplitudes: Mapping[str, np.ndarray],
    parameters: Mapping[str, float],
    warnings: Sequence[str],
):
    """Write a page with every map, its rms beside its noise, masks, and a fit of one patch.

    Parameters
    ----------
    path : str or Path
    title : str
    bands : ObservedBands
    masks : mapping of str to bool array (12 nside²,)
        True where the sky is kept, such as a footprint and regions.
    amplitudes : mapping of str to array (2, 12 nside²)
        Q, U of the components of a fit of one patch, by what they are called, with their unit;
        NaN where nothing is fitted.
    parameters : mapping of str to float
        The spectral parameters of that fit, by what they are called.
    warnings : sequence of str
        Of what is wrong with the maps.
    """
    table = bands.table()
    sky = _Sky(hp.npix2nside(bands.maps.shape[-1]))
    with style(9):
        pictures = {
            "Maps": [
                (f"{name}, {frequency:g} GHz", bands.picture(sky, number))
                for number, (name, frequency) in enumerate(zip(bands.names, bands.frequencies))
            ],
            "Foregrounds of a fit of one patch": [
                (name, sky.polarization(qu, "", {}, None)) for name, qu in amplitudes.items()
            ],
            "Masks": [
                (f"{in_words(name)}, {np.mean(mask):.1%} of the sky", sky.mask(mask))
                for name, mask in masks.items()
            ],
        }
    body = [
        _warned(warnings, table["band"][table["remarks"] != ""]),
        "<h2>Bands</h2>",
        _numbers(table),
        f"<p>{LEGEND}</p>",
    ]
    for heading, figures in pictures.items():
        body.append(f"<h2>{heading}</h2>")
        if heading.startswith("Foregrounds"):
            values = ", ".join(f"{name} = {value:.4g}" for name, value in parameters.items())
            body.append(f"<p>{escape(values)}</p>")
        body += [
            f'<figure><figcaption>{escape(name)}</figcaption><img alt="{escape(name)}" '
            f'src="data:image/png;base64,{picture}"></figure>'
            for name, picture in figures
        ]
    with whole(path) as temporary:
        page = PAGE.format(title=escape(title), body="\n".join(body))
        temporary.write_text(page, encoding="utf-8")


def _warned(warnings, remarked) -> str:
    """What is wrong, or that nothing is; `remarked` are the bands that the table remarks on."""
    told = [*warnings]
    if len(remarked):
        told.append(f"The table below has remarks on {', '.join(remarked)}.")
    if not told:
        return "<p>Nothing looks wrong.</p>"
    items = "".join(f"<li>{escape(text)}</li>" for text in told)
    return f'<div class="warnings"><h2>Warnings</h2><ul>{items}</ul></div>'


def _numbers(table: pd.DataFrame) -> str:
    """The table of bands, as people read it."""
    largest = [
        f"{row.largest:.4g} at ({row.longitude:.1f}°, {row.latitude:.1f}°)" if row.f_sky else ""
        for row in table.itertuples()
    ]
    shown = table.assign(
        f_sky=[f"{share:.1%}" for share in table["f_sky"]],
        difference=["" if np.isnan(d) else f"{d:.3f}" for d in table["difference"]],
        largest=largest,
    )
    shown = shown[list(HEADINGS)].rename(columns=HEADINGS)
    return shown.to_html(index=False, border=0, float_format="{:.4g}".format, na_rep="")


class _Sky:
    """Pictures of maps of one nside; where each dot lies on the sky is computed once."""

    def __init__(self, nside: int):
        projection = hp.projector.MollweideProj(xsize=DOTS)
        numbers = projection.projmap(
            np.arange(hp.nside2npix(nside)), lambda *vector: hp.vec2pix(nside, *vector)
        )
        self.outside = ~np.isfinite(numbers)
        self.pixels = np.where(self.outside, 0, numbers).astype(int)

    def draw(self, axis, values, **colours):
        """A map (12 nside²,) on axes, grey where it is NaN."""
        axis.set_axis_off()
        # One value for all of the sky, which is seen where the map is not known.
        sky = np.ma.masked_array(np.full(self.outside.shape, float(MASKED)), self.outside)
        axis.imshow(sky, cmap="gray", vmin=0, vmax=1, origin="lower")
        known = np.asarray(values, float)[self.pixels]
        image = np.ma.masked_array(known, self.outside | np.isnan(known))
        return axis.imshow(image, interpolation="nearest", origin="lower", **colours)

    def polarization(self, qu, unit: str, more: Mapping, hits) -> str:
        """Q and U (2, 12 nside²) with one scale, `more` maps with their own, and hits."""
        figure, axes = self._panels(2 + len(more) + (hits is not None))
        for axis, values, stokes in zip(axes, qu, "QU"):
            mesh = self.draw(axis, values, cmap="RdBu_r", **_symmetric(qu))
            axis.set_title(stokes)
        self._bar(figure, mesh, axes[:2], unit, extend="both")
        for axis, (name, values) in zip(axes[2:], more.items()):
            mesh = self.draw(axis, values, cmap="RdBu_r", **_symmetric(values))
            axis.set_title(name)
            self._bar(figure, mesh, axis, unit, extend="both")
        if hits is not None:
            mesh = self.draw(axes[-1], np.where(hits > 0, hits, np.nan), cmap="cividis")
            axes[-1].set_title("hits")
            self._bar(figure, mesh, axes[-1], "")
        return _encoded(figure)

    def mask(self, mask) -> str:
        figure, (axis,) = self._panels(1)
        self.draw(axis, np.where(mask, 1.0, np.nan), cmap="Blues", vmin=0, vmax=1.3)
        return _encoded(figure)

    @staticmethod
    def _panels(n):
        size = (n * INCHES, 0.8 * INCHES)
        figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
        return figure, axes[0]

    @staticmethod
    def _bar(figure, mesh, axes, label, **options):
        figure.colorbar(
            mesh, ax=axes, location="bottom", label=label, shrink=0.7, aspect=30, **options
        )


def _symmetric(values) -> dict[str, float]:
    """Limits of colours around 0."""
    known = np.abs(values[np.isfinite(values)])
    limit = np.percentile(known, SHOWN) if len(known) else 1.0
    return {"vmin": -limit, "vmax": limit}


def _encoded(figure) -> str:
    with BytesIO() as file:
        figure.savefig(file, format="png", dpi=RESOLUTION)
        plt.close(figure)
        return b64encode(file.getvalue()).decode()
