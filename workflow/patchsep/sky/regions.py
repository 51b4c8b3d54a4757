"""Galactic regions: disjoint rings of growing dust brightness, or their hemispheres."""

import os
from pathlib import Path

import numpy as np

from ..lazy import healpy as hp

# Rings from the cleanest sky towards the Galactic plane.
RINGS = ("hi", "mid", "low")
HEMISPHERES = ("north", "south")
# Every pixel, masked or not: no region of the analysis.
FULL_SKY = "full_sky"
# All regions together.
COMBINED = "combined"


def region_names(zones: str) -> list[str]:
    """Names of the regions: three `rings`, or six for `north_south`."""
    if zones == "rings":
        return list(RINGS)
    return [f"{ring}_{side}" for ring in RINGS for side in HEMISPHERES]


def draw_regions(cumulative: np.ndarray, zones: str) -> np.ndarray:
    """Label pixels by region.

    Parameters
    ----------
    cumulative : bool array (3, n_pixels)
        Nested masks, True where the sky is kept, from the smallest to the largest.
    zones : {"rings", "north_south"}

    Returns
    -------
    int array (n_pixels,)
        0 where masked, otherwise 1 + the index in `region_names(zones)`.

    Raises
    ------
    ValueError
        If a mask does not contain the one before it, or a region has no pixel.
    """
    labels = np.zeros(cumulative.shape[1], dtype=np.int32)
    for ring in reversed(range(len(RINGS))):
        if ring and np.any(cumulative[ring - 1] & ~cumulative[ring]):
            raise ValueError(
                f"regions: mask {ring + 1} does not contain mask {ring}; "
                "list the masks from the smallest sky to the largest"
            )
        labels[cumulative[ring]] = ring + 1
    if zones == "north_south":
        nside = hp.npix2nside(len(labels))
        _, latitude = hp.pix2ang(nside, np.arange(len(labels)), lonlat=True)
        labels = np.where(labels > 0, 2 * labels - (latitude > 0), 0).astype(np.int32)
    for index, name in enumerate(region_names(zones), start=1):
        if index not in labels:
            raise ValueError(f"regions: {name} has no pixel; choose other masks or sky fractions")
    return labels


def region_pixels(labels: np.ndarray, region: str, zones: str) -> np.ndarray:
    """Pixel indices (n,) of one region, or of the `FULL_SKY`, in RING order."""
    if region == FULL_SKY:
        return np.arange(len(labels))
    return np.flatnonzero(labels == 1 + region_names(zones).index(region))


def dust_intensity_masks(
    intensity: np.ndarray, sky_fractions: list[float], smoothing: float
) -> np.ndarray:
    """Masks keeping the `sky_fractions` of the sky with the faintest smoothed dust.

    Parameters
    ----------
    intensity : array (n_pixels,)
        Dust intensity; its unit does not matter.
    sky_fractions : list of 3 floats
        Kept fraction of the sky of each nested mask, increasing.
    smoothing : float
        FWHM of the Gaussian smoothing, degrees.

    Returns
    -------
    bool array (3, n_pixels)
    """
    smooth = hp.smoothing(intensity, fwhm=np.radians(smoothing))
    rank = np.empty(len(smooth), dtype=int)
    rank[np.argsort(smooth, kind="stable")] = np.arange(len(smooth))
    return np.stack([rank < round(fraction * len(smooth)) for fraction in sky_fractions])


def find_mask_file(candidates: str | list[str]) -> Path | None:
    """The first of the candidate paths that exists; `${VARIABLES}` are expanded."""
    candidates = [candidates] if isinstance(candidates, str) else candidates
    paths = (Path(os.path.expandvars(candidate)).expanduser() for candidate in candidates)
    return next((path for path in paths if path.is_file()), None)


def mask_columns(path: Path) -> dict[str, int]:
    """Names of the masks in a file and their nside."""
    if path.suffix == ".npz":
        with np.load(path) as masks:
            return {name: hp.npix2nside(masks[name].size) for name in masks.files}
    from astropy.io import fits

    with fits.open(path) as file:
        return {name: file[1].header["NSIDE"] for name in file[1].columns.names}


def planck_masks(path: Path, names: list[str], nside: int) -> np.ndarray:
    """Read nested Galactic masks.

    Parameters
    ----------
    path : Path
        Planck's HFI_Mask_GalPlane-apo0_2048_R2.00.fits (columns GAL020 … GAL099), or an
        .npz with one RING map per mask under the same names.
    names : list of 3 str
        The masks from the smallest sky to the largest.
    nside : int
        Resolution wanted; finer masks are averaged, and kept where over one half.

    Returns
    -------
    bool array (3, n_pixels)
    """

    def read(name):
        if path.suffix == ".npz":
            with np.load(path) as masks:
                return masks[name].astype(float)
        field = list(mask_columns(path)).index(name)
        return hp.read_map(path, field=field, dtype=float)

    return np.stack([hp.ud_grade(read(name), nside) > 0.5 for name in names])


def full_sky(values: np.ndarray, pixels: np.ndarray, nside: int, fill: float = 0.0) -> np.ndarray:
    """Spread (..., n_pixels) over the sky: (..., 12 nside²), `fill` elsewhere."""
    sky = np.full((*values.shape[:-1], hp.nside2npix(nside)), fill, dtype=float)
    sky[..., pixels] = values
    return sky
