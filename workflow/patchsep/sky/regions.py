"""Regions: disjoint rings of growing dust brightness, or cuts of the sky, or their hemispheres.

A cut of the sky is a section of the settings with one or more of `mask`, `hits`,
`galactic_latitude` and `dust_fraction`; it keeps the pixels that all of them keep, less those of
other cuts that it is `without`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from ..files.foreign_maps import UnusableMap, map_name, read_foreign_map
from ..files.maps import read_maps, write_maps
from ..instrument.noise_maps import noise_map_at
from ..lazy import fits
from ..lazy import healpy as hp

# What `regions.method` may be.
DUST_INTENSITY, PLANCK_MASKS, SKY_CUTS = "dust_intensity", "planck_masks", "sky_cuts"
# Parts of a cut that have a file, and keys that are said of the map in it.
MAPS_OF_CUTS = ("mask", "hits")
STATED = ("coordinates", "ordering", "nside")
HEMISPHERES = ("north", "south")
# Every pixel, masked or not: no region of the analysis.
FULL_SKY = "full_sky"
# All regions together.
COMBINED = "combined"
# How far beyond 0 and 1 masks may be, by the rounding of what made them.
ROUNDING = 1e-6


def region_names(areas: Sequence[str], split_hemispheres: bool) -> list[str]:
    """Names of the regions: rings or cuts, in their order, or the hemispheres of each."""
    if not split_hemispheres:
        return list(areas)
    return [f"{area}_{side}" for area in areas for side in HEMISPHERES]


def areas_of(settings: Mapping) -> list[str]:
    """Names of the rings, or of the cuts of the sky, of the settings `regions`."""
    return list(settings["sky_cuts" if settings["method"] == SKY_CUTS else "rings"])


def area_of_regions(settings: Mapping) -> dict[str, str]:
    """The ring or cut of every region of the settings `regions`, by the region's name."""
    split = settings["split_hemispheres"]
    return {name: area for area in areas_of(settings) for name in region_names([area], split)}


def cuts_of(settings: Mapping) -> dict[str, dict]:
    """Every cut of the sky in the settings `regions`, by its key in them."""
    cuts = {f"sky_cuts.{name}": cut for name, cut in settings.get("sky_cuts", {}).items()}
    return cuts | {key: settings[key] for key in ("footprint",) if key in settings}


def region_files(settings: Mapping, intensity: str) -> dict[str, str]:
    """Files that regions are drawn from, by the names that `regions_of` has for them.

    `intensity` is the file of dust intensity, which is needed for its levels only.
    """
    cuts = cuts_of(settings)
    files = {
        _file_name(key, kind): cut[kind]["file"]
        for key, cut in cuts.items()
        for kind in MAPS_OF_CUTS
        if kind in cut
    }
    if settings["method"] == PLANCK_MASKS:
        files["masks"] = str(find_mask_file(settings["mask_file"]))
    if settings["method"] == DUST_INTENSITY or any("dust_fraction" in cut for cut in cuts.values()):
        files["intensity"] = intensity
    return files


def _file_name(key, kind):
    return f"{key}_{kind}".replace(".", "_")


def without_files(settings: Mapping) -> dict:
    """The settings `regions` but for where files are, which does not change what is drawn."""
    return {
        key: without_files(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if isinstance(value, Mapping) or key not in ("file", "mask_file")
    }


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


def regions_of(
    settings: Mapping, files: Mapping[str, str], nside: int, seen: np.ndarray | None = None
) -> Regions:
    """Draw the regions that the settings `regions` describe.

    Parameters
    ----------
    settings : mapping
        Paths of files in it are not looked at.
    files : mapping
        As `region_files` returned them.
    nside : int
    seen : bool array (12 nside²,), optional
        Whether enough bands see a pixel.

    Raises
    ------
    UnusableMap
        As `planck_masks`, `rings_of`, `cut_sky` and `draw_regions` do.
    """
    cuts, dust = cuts_of(settings), {}
    if "intensity" in files:
        (intensity,) = read_maps(files["intensity"]).values()
        levels = [level for cut in cuts.values() for level in cut.get("dust_fraction", [])]
        if settings["method"] == DUST_INTENSITY:
            levels += settings["sky_fractions"]
        kept = dust_intensity_masks(intensity, levels, settings["smoothing"])
        dust = dict(zip(levels, kept, strict=True))
    drawn = {key: cut_sky(key, cut, files, nside, dust) for key, cut in cuts.items()}
    drawn = without_others(cuts, drawn)
    if settings["method"] == PLANCK_MASKS:
        masks = rings_of(planck_masks(files["masks"], settings["masks"], nside))
    elif settings["method"] == DUST_INTENSITY:
        masks = rings_of(np.stack([dust[level] for level in settings["sky_fractions"]]))
    else:
        masks = np.stack([drawn[f"sky_cuts.{name}"] for name in settings["sky_cuts"]])
    return draw_regions(
        masks, areas_of(settings), settings["split_hemispheres"], seen, drawn.get("footprint")
    )


def draw_regions(
    masks: np.ndarray,
    areas: Sequence[str],
    split_hemispheres: bool = False,
    seen: np.ndarray | None = None,
    footprint: np.ndarray | None = None,
) -> Regions:
    """Make regions of the sky of disjoint masks, or of their hemispheres.

    Parameters
    ----------
    masks : bool array (n_areas, n_pixels)
        True where the sky is kept, RING order.
    areas : sequence of str
        Their names.
    split_hemispheres : bool
    seen : bool array (n_pixels,), optional
        Whether enough bands see a pixel; others are masked.
    footprint : bool array (n_pixels,), optional
        Whether a pixel is in the footprint of a survey; others are masked.

    Raises
    ------
    UnusableMap
        If two masks have a pixel in common, or a region has no pixel.
    """
    within = {" in regions.footprint": footprint, " that enough bands see": seen}
    within = {where: kept for where, kept in within.items() if kept is not None}
    masks = masks & np.logical_and.reduce([np.ones(masks.shape[1], bool), *within.values()])
    for one, other in combinations(range(len(areas)), 2):
        if n_common := np.sum(masks[one] & masks[other]):
            raise UnusableMap(
                f"regions: {areas[one]} and {areas[other]} have {n_common} pixels in common; let "
                "one of them end where the other begins, or make them one"
            )
    labels = np.zeros(masks.shape[1], dtype=np.int32)
    for label, mask in enumerate(masks, start=1):
        labels[mask] = label
    if split_hemispheres:
        north = _latitude(hp.npix2nside(len(labels))) > 0
        labels = np.where(labels > 0, 2 * labels - north, 0).astype(np.int32)
    names = region_names(areas, split_hemispheres)
    for index, name in enumerate(names, start=1):
        if index not in labels:
            raise UnusableMap(
                f"regions: {name} has no pixel{''.join(within)}; choose other masks, sky fractions "
                "or cuts"
            )
    return Regions(tuple(names), labels)


def without_others(
    cuts: Mapping[str, Mapping], drawn: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What cuts of `cuts_of` keep, less the pixels of others that they are `without`."""
    left = dict(drawn)
    for key, cut in cuts.items():
        for other in cut.get("without", []):
            left[key] = left[key] & ~drawn[f"sky_cuts.{other}"]
    return left


def rings_of(cumulative: np.ndarray) -> np.ndarray:
    """What each mask adds to the one before it: bool array (n_rings, n_pixels).

    Parameters
    ----------
    cumulative : bool array (n_rings, n_pixels)
        Nested masks, True where the sky is kept, from the smallest to the largest.

    Raises
    ------
    UnusableMap
        If a mask does not contain the one before it.
    """
    for ring in reversed(range(1, len(cumulative))):
        if np.any(cumulative[ring - 1] & ~cumulative[ring]):
            raise UnusableMap(
                f"regions: mask {ring + 1} does not contain mask {ring}; list the masks from the "
                "smallest sky to the largest, each 1 where the sky is kept"
            )
    return np.diff(cumulative, axis=0, prepend=False)


def cut_sky(
    key: str,
    cut: Mapping,
    files: Mapping[str, str],
    nside: int,
    dust: Mapping[float, np.ndarray] | None = None,
) -> np.ndarray:
    """What a cut keeps of the sky: bool array (12 nside²,).

    Parameters
    ----------
    key : str
        Of `cuts_of`.
    cut : mapping
        In the words of the settings, complete.
    files : mapping
        As `region_files` returned them.
    nside : int
    dust : mapping, optional
        Where the sky is fainter in dust than so much of it, bool arrays (12 nside²,) by fraction.
        Without it levels of dust are not looked at, and more may be kept.

    Raises
    ------
    UnusableMap
        If a file cannot be used, or a part of the cut keeps no pixel.
    """
    parts = {}
    try:
        for kind in MAPS_OF_CUTS:
            if kind in cut:
                parts[kind] = _part(kind, cut[kind], files[_file_name(key, kind)], nside)
    except UnusableMap as error:
        raise UnusableMap(f"regions.{key}.{kind}: {error}") from error
    if "galactic_latitude" in cut:
        lowest, highest = cut["galactic_latitude"]
        latitude = np.abs(_latitude(nside))
        parts["galactic_latitude"] = (latitude >= lowest) & (latitude < highest)
    if dust and "dust_fraction" in cut:
        brighter, fainter = (dust[level] for level in cut["dust_fraction"])
        parts["dust_fraction"] = fainter & ~brighter
    for part, kept in parts.items():
        if not kept.any():
            limits = "threshold" if part in MAPS_OF_CUTS else "limits"
            where = f"{files[_file_name(key, part)]} " if part in MAPS_OF_CUTS else ""
            raise UnusableMap(
                f"regions.{key}.{part}: {where}keeps no pixel of nside {nside}; choose another "
                f"{limits}"
            )
    return np.logical_and.reduce([np.ones(12 * nside**2, bool), *parts.values()])


def _part(kind, section, path, nside) -> np.ndarray:
    """What the mask or the hits of a cut keep."""
    name = map_name(path, section.get("column"))
    stated = {key: section[key] for key in STATED if key in section}
    if kind == "mask":
        return _read_mask(path, name, nside, section["threshold"], stated)
    hits = noise_map_at(nside, read_foreign_map(path, name, stated=stated), path, kind)
    return hits > section["threshold"] * hits.max()


def _latitude(nside) -> np.ndarray:
    """Galactic latitude of every pixel in degrees, RING order."""
    return hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)[1]


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


def planck_masks(path: str | Path, names: list[str], nside: int) -> np.ndarray:
    """Read nested Galactic masks.

    Parameters
    ----------
    path : str or Path
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


def _read_mask(path, name, nside, threshold=0.5, stated=None) -> np.ndarray:
    mask = read_foreign_map(path, name, unknown=0.0, stated=stated)
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
    return mask.at(nside) > threshold


def full_sky(values: np.ndarray, pixels: np.ndarray, nside: int, fill: float = 0.0) -> np.ndarray:
    """Spread (..., n_pixels) over the sky: (..., 12 nside²), `fill` elsewhere."""
    sky = np.full((*values.shape[:-1], hp.nside2npix(nside)), fill, dtype=float)
    sky[..., pixels] = values
    return sky
