"""Galactic regions: disjoint rings of growing dust brightness, or their hemispheres."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.foreign_maps import UnusableMap, read_foreign_map
from ..files.maps import read_maps, write_maps
from ..lazy import fits
from ..lazy import healpy as hp

HEMISPHERES = ("north", "south")
# Every pixel, masked or not: no region of the analysis.
FULL_SKY = "full_sky"
# All regions together.
COMBINED = "combined"
# How far beyond 0 and 1 masks may be, by the rounding of what made them.
ROUNDING = 1e-6


def region_names(rings: Sequence[str], split_hemispheres: bool) -> list[str]:
    """Names of the regions: rings, from the cleanest sky on, or the hemispheres of each."""
    if not split_hemispheres:
        return list(rings)
    return [f"{ring}_{side}" for ring in rings for side in HEMISPHERES]


@dataclass(frozen=True)
class Regions:
    """Disjoint regions of the sky.

    Attributes
    ----------
    names : tuple of str
    labels : int array (n_pixels,), RING order
        0 where masked, otherwise 1 + the index in `names`.
    """

    names: tuple[str, ...]
    labels: np.ndarray

    @property
    def nside(self) -> int:
        return hp.npix2nside(len(self.labels))

    def pixels(self, name: str) -> np.ndarray:
        """Pixel indices (n,) of one region, of all `COMBINED`, or of the `FULL_SKY`."""
        if name == FULL_SKY:
            return np.arange(len(self.labels))
        if name == COMBINED:
            return np.flatnonzero(self.labels > 0)
        return np.flatnonzero(self.labels == 1 + self.names.index(name))

    def write(self, path: str | Path, about: str):
        """Write the labels as a map whose header has the names, `REGION1` and so on."""
        names = {f"REGION{index}": name for index, name in enumerate(self.names, start=1)}
        write_maps(path, {"REGION": self.labels}, "", about, header=names)

    @classmethod
    def read(cls, path: str | Path) -> "Regions":
        """Read what `write` wrote."""
        labels = read_maps(path)["REGION"]
        header = fits.getheader(path, 1)
        names = [header[f"REGION{index}"] for index in range(1, labels.max() + 1)]
        return cls(tuple(names), labels)


def draw_regions(
    cumulative: np.ndarray,
    rings: Sequence[str],
    split_hemispheres: bool = False,
    seen: np.ndarray | None = None,
) -> Regions:
    """Divide the sky into rings, or hemispheres of rings.

    Parameters
    ----------
    cumulative : bool array (n_rings, n_pixels)
        Nested masks, True where the sky is kept, from the smallest to the largest.
    rings : sequence of str
        Names of what each mask adds to the one before it.
    split_hemispheres : bool
    seen : bool array (n_pixels,), optional
        Whether enough bands see a pixel; others are masked.

    Raises
    ------
    UnusableMap
        If a mask does not contain the one before it, or a region has no pixel.
    """
    labels = np.zeros(cumulative.shape[1], dtype=np.int32)
    for ring in reversed(range(len(rings))):
        if ring and np.any(cumulative[ring - 1] & ~cumulative[ring]):
            raise UnusableMap(
                f"regions: mask {ring + 1} does not contain mask {ring}; list the masks from the "
                "smallest sky to the largest, each 1 where the sky is kept"
            )
        labels[cumulative[ring]] = ring + 1
    if split_hemispheres:
        nside = hp.npix2nside(len(labels))
        _, latitude = hp.pix2ang(nside, np.arange(len(labels)), lonlat=True)
        labels = np.where(labels > 0, 2 * labels - (latitude > 0), 0).astype(np.int32)
    if seen is not None:
        labels[~seen] = 0
    names = region_names(rings, split_hemispheres)
    for index, name in enumerate(names, start=1):
        if index not in labels:
            raise UnusableMap(
                f"regions: {name} has no pixel"
                f"{'' if seen is None else ' that enough bands see'}; choose other masks or sky "
                "fractions"
            )
    return Regions(tuple(names), labels)


def dust_intensity_masks(
    intensity: np.ndarray, sky_fractions: list[float], smoothing: float
) -> np.ndarray:
    """Masks keeping the `sky_fractions` of the sky with the faintest smoothed dust.

    Parameters
    ----------
    intensity : array (n_pixels,)
        Dust intensity; its unit does not matter.
    sky_fractions : list of n_rings floats
        Kept fraction of the sky of each nested mask, increasing.
    smoothing : float
        FWHM of the Gaussian smoothing, degrees.

    Returns
    -------
    bool array (n_rings, n_pixels)
    """
    smooth = hp.smoothing(intensity, fwhm=np.radians(smoothing))
    rank = np.empty(len(smooth), dtype=int)
    rank[np.argsort(smooth, kind="stable")] = np.arange(len(smooth))
    return np.stack([rank < round(fraction * len(smooth)) for fraction in sky_fractions])


def find_mask_file(candidates: str | list[str]) -> Path | None:
    """The first of the candidate paths that exists."""
    candidates = [candidates] if isinstance(candidates, str) else candidates
    return next((path for path in map(Path, candidates) if path.is_file()), None)


def planck_masks(path: Path, names: list[str], nside: int) -> np.ndarray:
    """Read nested Galactic masks.

    Parameters
    ----------
    path : Path
        Planck's HFI_Mask_GalPlane-apo0_2048_R2.00.fits (columns GAL020 … GAL099), or another
        file that `read_foreign_map` reads.
    names : list of n_rings str
        The masks from the smallest sky to the largest.
    nside : int
        Resolution wanted; finer masks are averaged, and kept where over one half. Pixels that
        are not known are not kept.

    Returns
    -------
    bool array (n_rings, n_pixels)

    Raises
    ------
    UnusableMap
        As `read_foreign_map`; if a mask is coarser than `nside`, or has values beyond 0 … 1.
    """
    return np.stack([_read_mask(path, name, nside) for name in names])


def _read_mask(path, name, nside) -> np.ndarray:
    mask = read_foreign_map(path, name, unknown=0.0)
    if mask.nside < nside:
        raise UnusableMap(
            f"{path}: {name} has nside {mask.nside}, and the run {nside}; use nside {mask.nside} "
            "or less"
        )
    lowest, highest = mask.values.min(), mask.values.max()
    if lowest < -ROUNDING or highest > 1 + ROUNDING:
        raise UnusableMap(
            f"{path}: {name} has values from {lowest:g} to {highest:g}; a mask is 1 where the sky "
            "is kept and 0 elsewhere"
        )
    return mask.at(nside) > 0.5


def full_sky(values: np.ndarray, pixels: np.ndarray, nside: int, fill: float = 0.0) -> np.ndarray:
    """Spread (..., n_pixels) over the sky: (..., 12 nside²), `fill` elsewhere."""
    sky = np.full((*values.shape[:-1], hp.nside2npix(nside)), fill, dtype=float)
    sky[..., pixels] = values
    return sky
