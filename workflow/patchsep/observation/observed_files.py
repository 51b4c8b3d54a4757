"""Files of observed maps: which one a band has, and its Q and U in one unit and convention."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.foreign_maps import (
    STATED,
    ForeignMap,
    UnusableMap,
    map_name,
    map_names,
    read_foreign_map,
    regraded,
)
from ..instrument.bandpass import Bandpasses
from ..instrument.instrument import label_of
from ..instrument.map_units import agreed_unit, parse_unit, ucmb_per
from ..lazy import healpy as hp

# Where a pattern has the name of the band.
BAND = "{band}"
# Keys of what files may not say, with the cards that do.
CARDS = {"unit": "TUNITn"} | STATED | {"polarization_convention": "POLCCONV"}
# Keys that bands may have of their own.
OF_BANDS = (*CARDS, "columns", "pixel_window")
CONVENTIONS = ("COSMO", "IAU")


@dataclass(frozen=True)
class BandFile:
    """What is said of a file with the map of a band.

    Attributes
    ----------
    key : str
        Of the configuration: observation.maps or observation.splits.0.
    number : int
        Of the band.
    label : str
        The band's name.
    path : str
    said : dict
        Values of keys of `OF_BANDS`, where they are given.
    """

    key: str
    number: int
    label: str
    path: str
    said: Mapping

    @property
    def content(self) -> tuple:
        """What tells one map from another."""
        return str(Path(self.path).resolve()), tuple(self.said.get("columns", ()))


@dataclass(frozen=True)
class StokesMap:
    """Q and U of a file.

    Attributes
    ----------
    qu : array (2, 12 n²)
        In µK_CMB, RING order and the COSMO convention; NaN where either is not known, or both 0.
    coordinates : str
        G, C or E: Galactic, celestial or ecliptic.
    unit, convention : str
        That the file has.
    """

    qu: np.ndarray
    coordinates: str
    unit: str
    convention: str

    @property
    def nside(self) -> int:
        return hp.npix2nside(self.qu.shape[1])

    @property
    def seen(self) -> np.ndarray:
        """Whether a pixel is known: bool array (12 n²,)."""
        return np.isfinite(self.qu[0])


def band_files(settings: Mapping, labels: Sequence[str]) -> dict[str, list[BandFile]]:
    """Files of every band, by the key that names them.

    Parameters
    ----------
    settings : mapping
        The section `observation`, of which `naming_problems` has none.
    labels : sequence of str
        Names of the bands.
    """
    of_bands = {label_of(name): own for name, own in settings.get("bands", {}).items()}
    general = {key: settings[key] for key in OF_BANDS if key in settings}
    return {
        key: [
            BandFile(key, number, label, path, general | of_bands.get(label, {}))
            for number, (label, path) in enumerate(_paths(named, labels).items())
        ]
        for key, named in _named(settings).items()
    }


def naming_problems(settings: Mapping, labels: Sequence[str]) -> list[str]:
    """What is wrong with the names of files and bands in the section `observation`."""
    named, known = _named(settings), ", ".join(labels)
    problems = [] if named else ["observation.maps: missing; name the maps, or observation.splits"]
    sections = {key: own for key, own in named.items() if isinstance(own, Mapping)}
    for key, own in {"observation.bands": settings.get("bands", {}), **sections}.items():
        problems += [
            f"{key}.{name}: the instrument has no such band; its bands are {known}"
            for name in own
            if label_of(name) not in labels
        ]
    for key, own in named.items():
        if isinstance(own, str) and BAND not in own:
            problems.append(
                f"{key}: {own!r} is one file for all bands; write {BAND} where its name has "
                f"that of the band, or give a section with the path for each of {known}"
            )
        elif lacking := [label for label in labels if label not in _paths(own, labels)]:
            problems.append(
                f"{key}: no map of {', '.join(lacking)}; add its path, or leave the band out of "
                "the instrument file"
            )
    if problems:
        return problems
    files = [file for of_key in band_files(settings, labels).values() for file in of_key]
    first = {}
    for file in files:
        other = first.setdefault(file.content, file)
        if not Path(file.path).is_file():
            problems.append(
                f"{file.key}: {file.path} of {file.label} does not exist; correct the path, or "
                "leave the band out of the instrument file"
            )
        elif other is not file:
            problems.append(
                f"{file.key}: {file.path} of {file.label} is that of {other.label} in {other.key} "
                "too; give each its own file, or its own columns in observation.bands"
            )
    return problems


def _named(settings) -> dict[str, str | Mapping]:
    """Patterns, or sections of paths, by key."""
    named = {"observation.maps": settings["maps"]} if "maps" in settings else {}
    splits = settings.get("splits", [])
    return named | {f"observation.splits.{number}": own for number, own in enumerate(splits)}


def _paths(named, labels) -> dict[str, str]:
    """Paths by the name of the band, in the order of the bands."""
    if isinstance(named, str):
        return {label: named.replace(BAND, label) for label in labels}
    given = {label_of(name): path for name, path in named.items()}
    return {label: given[label] for label in labels if label in given}


def read_stokes(file: BandFile, bandpasses: Bandpasses) -> StokesMap:
    """Read Q and U of a band.

    Raises
    ------
    UnusableMap
        If the file cannot be read, if neither it nor the configuration says what its numbers are,
        or if the two do not agree.
    """
    layout = {key: file.said[key] for key in STATED if key in file.said}
    found = [read_foreign_map(file.path, name, stated=layout) for name in _stokes_columns(file)]
    q, u = found
    if (q.nside, q.coordinates) != (u.nside, u.coordinates):
        raise UnusableMap(
            f"{file.path} has Q of nside {q.nside} in {q.coordinates} and U of nside {u.nside} in "
            f"{u.coordinates}; write both alike, or name others in observation.columns"
        )
    unit, convention = _unit(file, found), _convention(file, found)
    silent = {key: key in q.silent + u.silent and key not in layout for key in STATED}
    silent |= {"unit": not unit, "polarization_convention": not convention}
    if missing := [key for key in CARDS if silent[key]]:
        raise UnusableMap(
            f"{file.path} does not say its {', '.join(map(_in_words, missing))} "
            f"({', '.join(CARDS[key] for key in missing)}); state "
            f"{', '.join(f'observation.{key}' for key in missing)}"
        )
    qu = np.stack([regraded(one.values, one.nside, one.nested) for one in found])
    _refuse_one_map(file, qu)
    unknown = np.isnan(qu).any(axis=0) | (qu == 0).all(axis=0)
    qu *= ucmb_per(unit, bandpasses)[file.number]
    if convention == "IAU":
        qu[1] *= -1
    qu[:, unknown] = np.nan
    return StokesMap(qu, q.coordinates, unit, convention)


def _in_words(key) -> str:
    return key.replace("_", " ")


def _stokes_columns(file: BandFile) -> list[str]:
    """Names of the columns of Q and of U."""
    if "columns" in file.said:
        columns = [map_name(file.path, column) for column in file.said["columns"]]
        if columns[0] == columns[1]:
            raise UnusableMap(
                f"{file.path} has Q and U in one column, {columns[0]}; correct observation.columns"
            )
        return columns
    names = map_names(file.path)

    def of(stokes):
        """Names with a word for it."""
        word = re.compile(rf"(^|[^A-Z0-9]){stokes}((POL|STOKES)[A-Z]*)?($|[^A-Z0-9])")
        return [name for name in names if word.search(name.upper())]

    columns = [of(stokes) for stokes in "QU"]
    if [len(of_one) for of_one in columns] != [1, 1]:
        raise UnusableMap(
            f"{file.path} has the columns {', '.join(names)}, and it is not clear which are Q and "
            "U; name them in observation.columns, or give their numbers from 0 on; without Q and "
            "U leave the band out of the instrument file"
        )
    return [name for of_one in columns for name in of_one]


def _unit(file: BandFile, found: list[ForeignMap]) -> str:
    try:
        said = {parse_unit(one.unit) for one in found}
        if len(said) > 1:
            raise ValueError(f"Q has the unit {found[0].unit}, and U {found[1].unit}")
        return agreed_unit(said.pop(), file.said.get("unit"))
    except ValueError as error:
        raise UnusableMap(
            f"{file.path}: {error}; correct observation.unit, or the file's TUNITn; it may be K, "
            "mK or uK with _CMB or _RJ, or MJy/sr"
        ) from error


def _convention(file: BandFile, found: list[ForeignMap]) -> str:
    """COSMO or IAU; empty where nobody says it."""
    stated = file.said.get("polarization_convention", "")
    said = {one.convention for one in found} - {""} or {stated}
    if len(said) > 1 or not said <= {*CONVENTIONS, ""}:
        raise UnusableMap(
            f"{file.path} has POLCCONV = {', '.join(sorted(said))}, which is not read; make it "
            "COSMO or IAU"
        )
    (convention,) = said
    if stated not in (convention, ""):
        raise UnusableMap(
            f"{file.path} has POLCCONV = {convention}, and {stated} is stated; correct "
            "observation.polarization_convention, or the file"
        )
    return convention


def _refuse_one_map(file: BandFile, qu: np.ndarray):
    """Refuse Q and U that are one map, or of which one is no map."""
    known = qu[:, np.isfinite(qu).all(axis=0)]
    if not known.any():
        raise UnusableMap(
            f"{file.path} has Q and U of no pixel: all are 0, UNSEEN, NaN or not listed; copy it "
            "again, or leave the band out of the instrument file"
        )
    if np.array_equal(*known):
        raise UnusableMap(
            f"{file.path} has the same map as Q and as U; correct observation.columns, or the file"
        )
    for stokes, values in zip("QU", known, strict=True):
        if np.ptp(values) == 0:
            raise UnusableMap(
                f"{file.path} has {stokes} = {values[0]:g} in all pixels; correct "
                "observation.columns, or the file"
            )
