"""Exported maps written again as other people write theirs, with healpy and astropy alone."""

from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import healpy as hp
import numpy as np
from astropy.io import fits

# What a configuration says where headers do not.
WORDS = {"G": "galactic", "C": "celestial", "E": "ecliptic"}


def read_qu(path) -> np.ndarray:
    """Q, U (2, 12 nside²) of an exported file in µK_CMB, NaN where it is UNSEEN."""
    with fits.open(path) as file:
        qu = np.stack([file[1].data[name].ravel().astype(float) for name in "QU"])
    return np.where(hp.mask_bad(qu), np.nan, qu)


def in_unit(qu: np.ndarray, unit: str, frequency: float) -> np.ndarray:
    """Maps in µK_CMB in another unit, of a band that is narrow at a frequency in GHz."""
    scale, _, kind = unit.partition("_")
    if kind == "CMB":
        return qu * (1 * u.uK).to_value(u.Unit(scale))
    intensity = u.thermodynamic_temperature(frequency * u.GHz, T_cmb=2.7255 * u.K)
    brightness = (qu * u.uK).to(u.MJy / u.sr, equivalencies=intensity)
    if unit == "MJy/sr":
        return brightness.value
    rayleigh_jeans = u.brightness_temperature(frequency * u.GHz)
    return brightness.to_value(u.Unit(scale), equivalencies=rayleigh_jeans)


def rotated(qu: np.ndarray, coordinates: str, nside: int) -> np.ndarray:
    """Full-sky maps of Galactic coordinates in others, "C" or "E", rotated in harmonic space."""
    lmax = 3 * hp.npix2nside(qu.shape[-1]) - 1
    alm = hp.map2alm([0 * qu[0], *qu], lmax=lmax, iter=3)
    turned = hp.Rotator(coord=["G", coordinates]).rotate_alm(alm)
    return np.array(hp.alm2map(turned, nside, lmax=lmax)[1:])


@dataclass(frozen=True)
class Stranger:
    """How somebody writes maps.

    Attributes
    ----------
    unit : str
        K_CMB, mK_CMB, uK_CMB, K_RJ, mK_RJ, uK_RJ or MJy/sr.
    nested : bool
    coordinates : str
        G, C or E.
    convention : str
        COSMO, or IAU, whose U has the other sign.
    finer : int
        nside over that of the exported maps, where they are rotated.
    dtype : type
    columns : tuple of str
        Two names, or three with an intensity that is zero.
    partial : bool
        Whether only pixels that are seen are listed, by their numbers.
    pattern : str
        Of names of files, of band and part.
    silent : bool
        Whether headers have neither unit, coordinates nor convention.
    """

    unit: str = "K_CMB"
    nested: bool = True
    coordinates: str = "G"
    convention: str = "IAU"
    finer: int = 1
    dtype: type = np.float32
    columns: tuple[str, ...] = ("TEMPERATURE", "Q_POLARISATION", "U_POLARISATION")
    partial: bool = False
    pattern: str = "stranger_{band}{part}.fits"
    silent: bool = False

    def write(self, path: str | Path, qu: np.ndarray, frequency: float, seen=None):
        """Write Q, U (2, 12 nside²), Galactic, µK_CMB, NaN where they are not known.

        `seen` (12 n²,), in the coordinates of the file and RING order, says what is kept.
        """
        if self.coordinates != "G":
            qu = rotated(qu, self.coordinates, self.finer * hp.npix2nside(qu.shape[-1]))
        qu = in_unit(qu, self.unit, frequency) * [[1], [-1 if self.convention == "IAU" else 1]]
        if seen is not None:
            qu = np.where(seen, qu, np.nan)
        if len(self.columns) == 3:
            qu = np.stack([np.where(np.isnan(qu[0]), np.nan, 0.0), *qu])
        maps = np.where(np.isnan(qu), hp.UNSEEN, qu)
        hp.write_map(
            path,
            hp.reorder(maps, r2n=True) if self.nested else maps,
            nest=self.nested,
            dtype=self.dtype,
            partial=self.partial,
            coord=None if self.silent else self.coordinates,
            column_names=list(self.columns),
            column_units=None if self.silent else self.unit,
            extra_header=[] if self.silent else [("POLCCONV", self.convention)],
            overwrite=True,
        )

    def write_all(self, exported: Path, folder: Path, instrument, seen=None) -> dict:
        """Write all bands of exported maps again; returns the section `observation`.

        `instrument` has `labels` and `frequency`; `seen` is as of `write`.
        """
        parts = {"": "", "_split_1": "_A", "_split_2": "_B"}
        for label, frequency in zip(instrument.labels, instrument.frequency, strict=True):
            for theirs, own in parts.items():
                name = self.pattern.format(band=label, part=own)
                self.write(
                    folder / name, read_qu(exported / f"{label}{theirs}.fits"), frequency, seen
                )
        maps, *splits = (
            str(folder / self.pattern.format(band="{band}", part=own)) for own in parts.values()
        )
        section = {"maps": maps, "splits": splits, "columns": list(self.columns[-2:])}
        if self.silent:
            section |= {"unit": self.unit, "coordinates": WORDS[self.coordinates]}
            section |= {"polarization_convention": self.convention}
        return section
