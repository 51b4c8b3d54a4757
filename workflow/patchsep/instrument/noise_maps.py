"""Maps of hits and of noise variance that an instrument's description names."""

from pathlib import Path

import numpy as np

from ..files.foreign_maps import (
    ForeignMap,
    UnusableMap,
    find_parameter_map,
    map_names,
    read_foreign_map,
)
from .instrument import Instrument

# What an instrument may have maps of.
NOISE_MAPS = ("hits", "variance")


def read_noise_maps(instrument: Instrument, nside: int) -> list[tuple]:
    """Hits and variance of every band, each an array (1 or 2, 12 nside²) or None.

    Two where Q and U have variances of their own; a pixel that one of them does not see is not seen
    in the other. For values and what is raised see `read_noise_map`.
    """
    # Bands often share their hits.
    maps = {
        (kind, path): read_noise_map(path, kind, nside)
        for kind in NOISE_MAPS
        for path in paths_of(instrument, kind)
    }

    def of_band(kind, paths):
        return np.stack([maps[kind, path] for path in paths]) if paths else None

    bands = [
        (of_band("hits", hits), of_band("variance", variance))
        for hits, variance in zip(instrument.hits, instrument.variance, strict=True)
    ]
    for _, variance in bands:
        if variance is not None:
            variance[:, np.isinf(variance).any(axis=0)] = np.inf
    return bands


def paths_of(instrument: Instrument, kind: str) -> set[str]:
    """All files of maps of a kind."""
    return set().union(*getattr(instrument, kind))


def bands_that_see(instrument: Instrument, nside: int) -> np.ndarray:
    """Number of bands whose noise is finite in every pixel: int array (12 nside²,)."""

    def sees(hits, variance):
        if variance is not None:
            return np.isfinite(variance[0])
        return True if hits is None else hits[0] > 0

    return sum(
        np.ones(12 * nside**2, int) * sees(*of_band)
        for of_band in read_noise_maps(instrument, nside)
    )


def read_noise_realization(path: str | Path, nside: int) -> np.ndarray:
    """Q, U (2, 12 nside²) in µK_CMB of a file of noise; zero where it is not known.

    Raises
    ------
    UnusableMap
        If it cannot be read, is coarser than `nside`, not in Galactic coordinates (Q and U would
        turn with them), or has not one column of Q and one of U.
    """
    names = map_names(path)
    columns = [[name for name in names if name.upper().startswith(one)] for one in "QU"]
    if [len(one) for one in columns] != [1, 1]:
        raise UnusableMap(
            f"{path} has columns {', '.join(names)}; needed is one whose name begins with Q, and "
            "one with U"
        )
    maps = [read_foreign_map(path, name, stated={"coordinates": "galactic"}) for (name,) in columns]
    if maps[0].nside < nside:
        raise UnusableMap(
            f"{path} has nside {maps[0].nside}, and the run {nside}; use nside {maps[0].nside} or "
            "less, or finer realisations"
        )
    return np.nan_to_num(np.stack([one.at(nside) for one in maps]))


def read_noise_map(path: str | Path, kind: str, nside: int) -> np.ndarray:
    """A map of `hits`, or of the `variance` of Q, U or both in µK²_CMB: array (12 nside²,).

    Pixels that are unseen have no hits and an infinite variance.

    Raises
    ------
    UnusableMap
        If it cannot be read, is coarser than `nside` or has values that neither may have.
    """
    return noise_map_at(nside, find_parameter_map(path, kind), path, kind)


def noise_map_at(nside: int, found: ForeignMap, path: str | Path, kind: str) -> np.ndarray:
    """The same of a map that has been read from a file."""
    if found.nside < nside:
        raise UnusableMap(
            f"{path} has nside {found.nside}, and the run {nside}; use nside {found.nside} or "
            f"less, or a finer map of {kind}"
        )
    known = found.values[~np.isnan(found.values)]
    wrong = known < 0 if kind == "hits" else known <= 0
    if wrong.any() or not np.any(known > 0):
        needed = "0 or more" if kind == "hits" else "above 0"
        raise UnusableMap(
            f"{path}: {kind} is not {needed} in {wrong.sum()} of {len(known)} pixels, and above 0 "
            f"in {np.sum(known > 0)}; mark pixels that are not observed as UNSEEN"
        )
    values = found.at(nside)
    if kind == "hits":
        return np.where(np.isnan(values), 0.0, values)
    return np.where(np.isnan(values), np.inf, values * (nside / found.nside) ** 2)
