"""What is wrong with the files of observed maps, asked before the first job."""

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from ..files.foreign_maps import ForeignMap, UnusableMap
from ..instrument.bandpass import SIMULATED_NODES
from ..instrument.beam import Resolution
from ..instrument.instrument import Instrument
from ..instrument.noise import WhiteNoise
from ..lazy import healpy as hp
from ..sky.spectral_model import DUST_AND_SYNCHROTRON, SpectralModel
from .observed_files import BandFile, StokesMap, band_files, naming_problems, read_stokes
from .observed_maps import refuse_layout
from .usable import fewest_bands

# A dead pixel is so many times as bright as the median of the map, and as that of its neighbours.
BRIGHTER_THAN_MAP, BRIGHTER_THAN_NEIGHBOURS = 1e3, 1e2
# Splits whose difference has less of their rms are one map: float32 has 1e-7.
SAME = 1e-5
# rms of the map less the mean of its splits, over that of half of their difference: 0 but for
# rounding, and 1 where the map is one of the splits.
FARTHEST = 0.5
# Of the pixels that a map has, at least so many must have hits, or a variance.
LEAST_COVERED = 0.5


def observation_problems(
    settings: Mapping,
    instrument: Instrument,
    nside: int,
    resolution: Resolution | None,
    model: SpectralModel = DUST_AND_SYNCHROTRON,
) -> list[str]:
    """Problems of the section `observation`, each with its key, the file and the mend.

    Files are read as jobs will read them, but not brought to the resolution.

    Parameters
    ----------
    settings : mapping
        The section, with paths in full.
    instrument : Instrument
    nside : int
        Of the run.
    resolution : Resolution, or None
        That bands are brought to.
    model : SpectralModel
        What is fitted: a pixel needs as many bands as that asks for.
    """
    if problems := naming_problems(settings, instrument.labels):
        return problems
    bandpasses = instrument.bandpasses(SIMULATED_NODES)
    problems, first = [], {}
    seen = np.ones((len(instrument.labels), 12 * nside**2), bool)
    for of_band in zip(*band_files(settings, instrument.labels).values(), strict=True):
        found = []
        for file in of_band:
            try:
                stokes = read_stokes(file, bandpasses)
                refuse_layout(stokes, file, nside, resolution)
                _refuse_dead_pixels(stokes, file)
                _refuse_known(stokes, file, first)
                found.append(stokes)
                _refuse_splits(found, of_band)
            except UnusableMap as error:
                problems.append((file, str(error)))
            else:
                seen[file.number] &= _seen_at(nside, stokes)
    if problems:
        return _together(problems)
    return _coverage_problems(seen, instrument, nside, fewest_bands(model.components))


def _together(problems: list[tuple[BandFile, str]]) -> list[str]:
    """Problems in lines; what several files have in common is said once."""
    by_kind = {}
    for file, text in problems:
        # Without paths, bands and numbers.
        kind = (file.key, *filter(str.isalpha, text.split()))
        by_kind.setdefault(kind, []).append((file, text))
    lines = []
    for alike in by_kind.values():
        (file, text), others = alike[0], alike[1:]
        also = f"; so it is of {', '.join(other.label for other, _ in others)}" if others else ""
        lines.append(f"{file.key}: {text}{also}")
    return lines


def _refuse_dead_pixels(stokes: StokesMap, file: BandFile):
    brightness = np.hypot(*stokes.qu)
    bright = np.flatnonzero(brightness > BRIGHTER_THAN_MAP * np.nanmedian(brightness))
    beside = hp.get_all_neighbours(stokes.nside, bright)
    known = (beside >= 0) & stokes.seen[beside]
    # Of the neighbours that are known; without any, the map's median decides.
    typical = np.ma.median(np.ma.array(brightness[beside], mask=~known), axis=0).filled(0)
    dead = bright[brightness[bright] > BRIGHTER_THAN_NEIGHBOURS * typical]
    if len(dead):
        raise UnusableMap(
            f"{file.path} has {len(dead)} pixels that are {BRIGHTER_THAN_NEIGHBOURS:g} times as "
            f"bright as those around them, and more than {BRIGHTER_THAN_MAP:g} times as the map; "
            f"the first is {dead[0]} (RING), of {brightness[dead[0]]:.2g} µK_CMB; mark them UNSEEN "
            "in a copy"
        )


def _refuse_known(stokes: StokesMap, file: BandFile, first: dict):
    """Refuse a map that another file has too, in whatever order or unit of the same scale."""
    content = blake2b(np.ascontiguousarray(np.nan_to_num(stokes.qu), np.float32)).digest()
    other = first.setdefault(content, file)
    if other is not file:
        raise UnusableMap(
            f"{file.path} of {file.label} has the same map as {other.path} of {other.label} in "
            f"{other.key}; give each its own"
        )


def _refuse_splits(found: list[StokesMap], files: tuple[BandFile, ...]):
    """Refuse splits that are one map, or whose mean is not the map, once all of a band are read."""
    is_split = [file.key != "observation.maps" for file in files]
    if len(found) < len(files) or not any(is_split):
        return
    if len({(one.nside, one.coordinates) for one in found}) > 1:
        raise UnusableMap(
            f"{', '.join(file.path for file in files)} are not of one nside and in the same "
            "coordinates; bring the splits and the map of a band to the same"
        )
    known = np.all([one.seen for one in found], axis=0)
    if not known.any():
        raise UnusableMap(
            f"{', '.join(file.path for file in files)} have no pixel in common; give splits of the "
            "same part of the sky"
        )
    one, other = (
        stokes.qu[:, known] for stokes, split in zip(found, is_split, strict=True) if split
    )
    half = np.std(one - other) / 2
    if half < SAME * np.std(one):
        raise UnusableMap(
            f"{files[-1].path} has the same map as {files[-2].path}, but for {half:.1g} µK_CMB; "
            "give two with noise of their own"
        )
    if is_split[0]:
        return
    off = np.std(found[0].qu[:, known] - (one + other) / 2)
    if off > FARTHEST * half:
        raise UnusableMap(
            f"{files[0].path} is not the mean of {files[-2].path} and {files[-1].path}: the rms of "
            f"the difference is {off:.3g} µK_CMB, {off / half:.2g} times the noise that the splits "
            "show; give the splits of this map, or leave out observation.maps, which then is their "
            "mean"
        )


def _seen_at(nside: int, stokes: StokesMap) -> np.ndarray:
    """Pixels (12 nside²,) of the run that a map has at least half of."""
    if stokes.seen.all():
        return np.ones(12 * nside**2, bool)
    covered = ForeignMap(stokes.seen.astype(float), coordinates=stokes.coordinates)
    return covered.at(nside) >= 0.5


def _coverage_problems(seen, instrument, nside, fewest) -> list[str]:
    problems = []
    if instrument.has_noise_maps:
        noise = WhiteNoise.of(instrument, nside).sigma
        has_noise = np.isfinite(noise).reshape(len(noise), -1, noise.shape[-1]).all(axis=1)
        both = seen & has_noise
        problems = [
            f"observation.maps: {label} has a map in {of_map.sum()} pixels, and hits or a variance "
            f"in {common.sum()} of them; the one is of another part of the sky, or in other "
            "coordinates or another order than is said"
            for label, of_map, common in zip(instrument.labels, seen, both, strict=True)
            if common.sum() < LEAST_COVERED * of_map.sum()
        ]
        seen = both
    most = seen.sum(axis=0).max()
    if not problems and most < fewest:
        problems = [
            f"observation.maps: no pixel is seen by more than {most} bands, and {fewest} are "
            f"needed; bands see {', '.join(map(str, seen.sum(axis=1)))} pixels, so look at their "
            "masks, or leave out bands that see another part of the sky"
        ]
    return problems
