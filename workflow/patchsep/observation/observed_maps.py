"""Observed maps: what files of all bands have, brought to the nside and resolution of a run.

Maps of beams B_ℓ and, where they are means over pixels, of the pixel window W_ℓ are brought to the
common beam in harmonic space, by B^c_ℓ / (B_ℓ W_ℓ), and turned to Galactic coordinates on the way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..files.foreign_maps import UnusableMap
from ..instrument.bandpass import SIMULATED_NODES
from ..instrument.beam import Beam, Resolution
from ..instrument.instrument import Instrument
from ..instrument.pixel_window import pixel_window
from ..lazy import healpy as hp
from ..sky.harmonics import (
    STEPS_WITH_NOISE,
    analyze_exactly,
    synthesize,
    synthesize_filtered,
    to_galactic,
)
from .observed_files import BandFile, StokesMap, band_files, read_stokes

# What is told of every file.
READ = "nside", "coordinates", "unit", "convention"
# Pixels of which the beam has less within what was observed are not used.
WITHIN = 0.99
# So many pixels beyond the edge have the mean of their neighbours before the analysis: a step to
# zero there rings within.
CONTINUED = 8


@dataclass(frozen=True)
class ObservedMaps:
    """Maps of all bands, RING order, Galactic coordinates, COSMO convention.

    Attributes
    ----------
    maps : array (n_bands, 2, 12 nside²), µK_CMB
        NaN where not seen.
    splits : array (2, n_bands, 2, 12 nside²), or None
        Two maps of each band with noise of their own.
    seen : bool array (n_bands, 12 nside²)
        Pixels that a band observed and that can be used.
    files : DataFrame
        How every file was read: `key` of the configuration, `band`, `file`, `nside`, `coordinates`
        (G, C or E), `unit` and `convention`.
    """

    maps: np.ndarray
    splits: np.ndarray | None
    seen: np.ndarray
    files: pd.DataFrame


def read_observed_maps(
    settings: Mapping, instrument: Instrument, nside: int, resolution: Resolution | None
) -> ObservedMaps:
    """Read the maps, or splits, that a configuration names.

    Parameters
    ----------
    settings : mapping
        The section `observation`, with paths in full.
    instrument : Instrument
    nside : int
        Of the run.
    resolution : Resolution, or None
        That bands are brought to; None for maps that are taken as they are.

    Raises
    ------
    UnusableMap
        If a file cannot be read, is not what is stated, or cannot be brought to the resolution.
    """
    bandpasses = instrument.bandpasses(SIMULATED_NODES)

    rows = []

    def read(file):
        stokes = read_stokes(file, bandpasses)
        rows.append(
            {
                "key": file.key,
                "band": file.label,
                "file": file.path,
                **{key: getattr(stokes, key) for key in READ},
            }
        )
        return at_resolution(stokes, file, instrument, nside, resolution)

    files = band_files(settings, instrument.labels)
    maps = {key: np.stack(list(map(read, of_bands))) for key, of_bands in files.items()}
    seen = np.all([np.isfinite(one[:, 0]) for one in maps.values()], axis=0)
    for one in maps.values():
        one[np.broadcast_to(~seen[:, None], one.shape)] = np.nan
    whole = maps.pop("observation.maps", None)
    splits = np.stack(list(maps.values())) if maps else None
    whole = splits.mean(axis=0) if whole is None else whole
    return ObservedMaps(whole, splits, seen, pd.DataFrame(rows))


def at_resolution(
    stokes: StokesMap,
    file: BandFile,
    instrument: Instrument,
    nside: int,
    resolution: Resolution | None,
) -> np.ndarray:
    """Q, U (2, 12 nside²) of a band in Galactic coordinates, NaN where they are not known.

    Raises
    ------
    UnusableMap
        If that cannot be.
    """
    refuse_layout(stokes, file, nside, resolution)
    if resolution is None:
        return stokes.qu
    lmax = 3 * nside - 1
    own = instrument.beams[file.number].window(lmax)
    if file.said.get("pixel_window"):
        own = own * pixel_window(stokes.nside, lmax)
    window = np.divide(resolution.window(lmax), own, out=np.zeros_like(own), where=own > 0)
    alm = analyze_exactly(_continued(stokes), 2, lmax, STEPS_WITH_NOISE)
    qu = synthesize_filtered(to_galactic(alm, stokes.coordinates), window, nside)
    qu[:, ~_within(stokes, nside, resolution)] = np.nan
    if np.isnan(qu).all():
        raise UnusableMap(
            f"{file.path} has no pixel as far from the edge of what was observed as the beam of "
            f"{resolution.fwhm:g} arcmin needs; use a smaller resolution.fwhm, or leave the band "
            "out of the instrument file"
        )
    return qu


def refuse_layout(
    stokes: StokesMap, file: BandFile, nside: int, resolution: Resolution | None
) -> None:
    """Refuse maps that cannot be brought to a run's nside, coordinates and resolution.

    Raises
    ------
    UnusableMap
    """
    if stokes.nside < nside:
        raise UnusableMap(
            f"{file.path} has nside {stokes.nside}, and the run {nside}; use nside {stokes.nside} "
            "or less, or a finer map"
        )
    if resolution is not None:
        return
    reasons = [f"has nside {stokes.nside}, and the run {nside}"] if stokes.nside > nside else []
    if stokes.coordinates != "G":
        reasons.append("is not in Galactic coordinates")
    if file.said.get("pixel_window"):
        reasons.append("has a pixel window")
    if reasons:
        raise UnusableMap(
            f"{file.path} {' and '.join(reasons)}; add the section resolution, with which maps are "
            "brought to the run's, or bring it there yourself"
        )


def _within(stokes: StokesMap, nside: int, resolution: Resolution) -> np.ndarray:
    """Pixels (12 nside²,) of which the common beam is within what was observed, but for a part."""
    if stokes.seen.all():
        return np.ones(12 * nside**2, bool)
    lmax = 3 * nside - 1
    alm = analyze_exactly(stokes.seen[None].astype(float), 0, lmax, STEPS_WITH_NOISE)
    (alm,) = to_galactic(alm, stokes.coordinates)
    beamed = hp.almxfl(alm, Beam(resolution.fwhm).window(lmax))
    return synthesize(beamed[None], 0, nside)[0] >= WITHIN


def _continued(stokes: StokesMap) -> np.ndarray:
    """Q and U with values beyond the edge of what was observed, and 0 farther away."""
    qu, known = np.nan_to_num(stokes.qu), stokes.seen.copy()
    missing = np.flatnonzero(~known)
    beside = hp.get_all_neighbours(stokes.nside, missing)
    for _ in range(CONTINUED):
        # A pixel that has but seven neighbours has -1 for the eighth.
        is_known = known[beside] & (beside >= 0)
        edge = is_known.any(axis=0)
        near, weights = beside[:, edge], is_known[:, edge]
        qu[:, missing[edge]] = np.sum(qu[:, near] * weights, axis=1) / weights.sum(axis=0)
        known[missing[edge]] = True
        missing, beside = missing[~edge], beside[:, ~edge]
    return qu
