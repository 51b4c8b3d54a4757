"""HEALPix maps from elsewhere, masks and templates, in the layouts that such files have."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..lazy import fits
from ..lazy import healpy as hp

# What the card COORDSYS may say, by healpy's letter. Without it, maps are taken as Galactic.
COORDINATES = {
    "G": ("", "G", "GAL", "GALACTIC"),
    "C": ("C", "Q", "CELESTIAL", "EQUATORIAL", "ICRS", "FK5", "J2000"),
    "E": ("E", "ECLIPTIC"),
}
# The same in the words of who states what a file does not say.
STATED_COORDINATES = {"galactic": "G", "celestial": "C", "ecliptic": "E"}
# The same for ORDERING, and whether it is nested.
ORDERINGS = {"": False, "RING": False, "NEST": True, "NESTED": True}
# What may be stated that files have a card of.
STATED = {"coordinates": "COORDSYS", "ordering": "ORDERING"}
# Maps that are much finer than what is wanted are rotated at this many times its resolution.
FINER = 8
# Pixels that are rotated at once: their angles and neighbours take 100 bytes each.
ROTATED_AT_ONCE = 1 << 20


class UnusableMap(ValueError):
    """A map, or regions made of maps, that cannot be used; the message says why, and the mend."""


@dataclass(frozen=True)
class ForeignMap:
    """A map as its file has it.

    Attributes
    ----------
    values : float array (12 n²,)
    nested : bool
        Whether pixels are in NESTED order, else in RING order.
    coordinates : str
        G, C or E: Galactic, celestial or ecliptic.
    unit, convention : str
        What its file says of its unit and its convention of polarization (cards TUNITn and
        POLCCONV); empty where it says nothing.
    silent : tuple of str
        Keys of `STATED` of which its file says nothing.
    """

    values: np.ndarray
    nested: bool = False
    coordinates: str = "G"
    unit: str = ""
    convention: str = ""
    silent: tuple[str, ...] = tuple(STATED)

    @property
    def nside(self) -> int:
        return hp.npix2nside(len(self.values))

    def at(self, nside: int) -> np.ndarray:
        """The map (12 nside²,) in RING order and Galactic coordinates; NaN where not known."""
        if self.coordinates == "G":
            return regraded(self.values, nside, self.nested)
        fine = regraded(self.values, min(self.nside, FINER * nside), self.nested)
        return regraded(_rotated(fine, self.coordinates), nside)


def _rotated(values: np.ndarray, coordinates: str) -> np.ndarray:
    """Values at the centres of Galactic pixels, linear between the others' centres; RING order."""
    rotate = hp.Rotator(coord=["G", coordinates])
    rotated = np.empty_like(values)
    for start in range(0, len(rotated), ROTATED_AT_ONCE):
        pixels = np.arange(start, min(start + ROTATED_AT_ONCE, len(rotated)))
        angles = rotate(*hp.pix2ang(hp.npix2nside(len(values)), pixels))
        rotated[pixels] = hp.get_interp_val(values, *angles)
    return rotated


def regraded(values: np.ndarray, nside: int, nested: bool = False) -> np.ndarray:
    """A map of any nside at another: (12 nside²,), RING order.

    Coarser pixels have the mean of what is known within them, NaN if that is nothing.
    """
    if hp.npix2nside(len(values)) == nside:
        return hp.reorder(values, n2r=True) if nested else values
    # healpy leaves UNSEEN out of a mean, but not NaN.
    graded = hp.ud_grade(
        np.where(np.isnan(values), hp.UNSEEN, values),
        nside,
        order_in="NESTED" if nested else "RING",
        order_out="RING",
    )
    return np.where(hp.mask_bad(graded), np.nan, graded)


def map_names(path: str | Path) -> list[str]:
    """Names of the maps in a file: columns of its HEALPix tables, or entries of an .npz file.

    Raises
    ------
    UnusableMap
        If it has none.
    """
    with _opened(path) as file:
        return _names(path, file)


def read_foreign_map(
    path: str | Path, name: str, unknown: float = np.nan, stated: Mapping | None = None
) -> ForeignMap:
    """Read a map by its name.

    Parameters
    ----------
    path : str or Path
        A FITS file with HEALPix tables of the full sky or of listed pixels, or an .npz file with
        maps in RING order and Galactic coordinates.
    name : str
        One of `map_names`.
    unknown : float
        Value of pixels that the file does not list, or marks as unseen, blank or not finite.
    stated : mapping, optional
        What is said of the map elsewhere: `coordinates` (one of `STATED_COORDINATES`), `ordering`
        (ring or nested) and `nside`. The first two hold where the file says nothing.

    Raises
    ------
    UnusableMap
        If the file, or that map, cannot be read or is in a layout that is not known, or not in
        the one that is stated.
    """
    with _opened(path) as file:
        names = _names(path, file)
        if names.count(name) != 1:
            how_many = "several maps" if name in names else "no map"
            raise UnusableMap(f"{path} has {how_many} {name}; it has {', '.join(names)}")
        what = f"{path}: {name}"
        with _refused(what):
            if _is_npz(path):
                found = ForeignMap(_complete(what, _known(what, file[name], unknown)))
            else:
                table = next(table for table in _tables(path, file) if name in _columns(table))
                found = _read_table(what, table, name, unknown)
            return _as_stated(what, found, stated or {})


def map_name(path: str | Path, column: str | int | None) -> str:
    """Name of the map in a file that has this name, this number from 0 on, or is the only one.

    Raises
    ------
    UnusableMap
        If there is no such map, or none of several is named.
    """
    names = map_names(path)
    if column is None and len(names) > 1:
        raise UnusableMap(f"{path} has the columns {', '.join(names)}; give the column of one")
    found = names[0] if column is None else column
    if isinstance(found, int):
        found = names[found] if found < len(names) else None
    if found not in names:
        raise UnusableMap(
            f"{path} has no column {column}; give one of {', '.join(names)}, or its number from 0 "
            f"to {len(names) - 1}"
        )
    return found


def read_parameter_map(path: str | Path, parameter: str) -> np.ndarray:
    """A map (12 n²,) of one spectral parameter, RING order, Galactic; NaN where it is not known."""
    found = find_parameter_map(path, parameter)
    return found.at(found.nside)


def find_parameter_map(path: str | Path, parameter: str) -> ForeignMap:
    """The map of one spectral parameter in a file.

    Of several it is the one with the parameter's name, as in `spectral_parameters.fits`.

    Raises
    ------
    UnusableMap
        If it cannot be told which is the parameter's, and as `read_foreign_map` does.
    """
    names = map_names(path)
    so_named = [name for name in names if name.lower() == parameter]
    of_parameter = so_named or names
    if len(of_parameter) > 1:
        mend = f"name {'only ' if so_named else ''}one of them {parameter.upper()}"
        raise UnusableMap(f"{path} has the columns {', '.join(names)}; {mend}")
    return read_foreign_map(path, of_parameter[0])


def _is_npz(path) -> bool:
    return Path(path).suffix.lower() == ".npz"


@contextmanager
def _opened(path) -> Iterator:
    """The open file; any error in reading it is one of what it holds."""
    with _refused(path), np.load(path) if _is_npz(path) else fits.open(path) as file:
        yield file


@contextmanager
def _refused(what) -> Iterator[None]:
    """Any error in reading a file, or a map in it, tells what cannot be used."""
    try:
        yield
    except UnusableMap:
        raise
    # What is no map, or half of one, can be anything to those who read it.
    except Exception as error:
        why = getattr(error, "strerror", None) or "it does not hold HEALPix maps, or is damaged"
        raise UnusableMap(
            f"{what} cannot be read: {why}; download or copy it again, or name another file"
        ) from error


def _names(path, file) -> list[str]:
    if _is_npz(path):
        return list(file.files)
    return [name for table in _tables(path, file) for name in _columns(table)]


def _tables(path, file) -> list:
    """The HEALPix tables among a FITS file's extensions."""
    tables = [
        hdu
        for hdu in file
        if isinstance(hdu, fits.BinTableHDU)
        and (_card(hdu, "PIXTYPE") == "HEALPIX" or "NSIDE" in hdu.header)
    ]
    if not tables:
        raise UnusableMap(
            f"{path} has no table of HEALPix maps (PIXTYPE = HEALPIX), or is damaged; write them "
            "with healpy.write_map, copy it again, or name another file"
        )
    return tables


def _card(table, keyword) -> str:
    return str(table.header.get(keyword, "")).strip().upper()


def _pixel_column(table) -> str | None:
    """The column of pixel indices, which tables have that do not list every pixel."""
    names, scheme = table.columns.names, _card(table, "INDXSCHM")
    indices = next((name for name in names if name.upper() == "PIXEL"), None)
    if scheme == "EXPLICIT" or (not scheme and (indices or _card(table, "OBJECT") == "PARTIAL")):
        return indices or names[0]
    return None


def _columns(table) -> list[str]:
    return [name for name in table.columns.names if name != _pixel_column(table)]


def _read_table(what, table, name, unknown) -> ForeignMap:
    ordering, coordinates = _card(table, "ORDERING"), _card(table, "COORDSYS")
    if ordering not in ORDERINGS:
        raise UnusableMap(
            f"{what} has ORDERING = {ordering}, which is not read; convert it to RING or NESTED"
        )
    letter = next((key for key, words in COORDINATES.items() if coordinates in words), None)
    if letter is None:
        raise UnusableMap(
            f"{what} has COORDSYS = {coordinates}, which is not known; make it G, C or E for "
            "Galactic, celestial or ecliptic"
        )
    sentinels = [table.columns[name].null, table.header.get("BAD_DATA")]
    values = _known(what, table.data[name].ravel(), unknown, sentinels)
    if indices := _pixel_column(table):
        values = _spread(what, values, table.data[indices].ravel(), table.header, unknown)
    elif (nside := table.header.get("NSIDE")) and 12 * nside**2 != len(values):
        raise UnusableMap(
            f"{what} has {len(values)} pixels, and NSIDE = {nside} needs {12 * nside**2}; correct "
            "that card, or copy the file again"
        )
    return ForeignMap(
        _complete(what, values),
        ORDERINGS[ordering],
        letter,
        unit=str(table.columns[name].unit or "").strip(),
        convention=_card(table, "POLCCONV"),
        silent=tuple(key for key, keyword in STATED.items() if not _card(table, keyword)),
    )


def _as_stated(what, found, stated) -> ForeignMap:
    """The map in the layout that is stated, where its file says nothing of it."""
    letters = {letter: word for word, letter in STATED_COORDINATES.items()}
    said = {
        "coordinates": letters[found.coordinates],
        "ordering": "nested" if found.nested else "ring",
        "nside": found.nside,
    }
    for key, value in stated.items():
        if key not in found.silent and said[key] != value:
            raise UnusableMap(
                f"{what} has {key} {said[key]}, and {key} {value} is stated; correct or remove "
                "that key, or correct the file"
            )
    layout = said | stated
    return replace(
        found,
        nested=layout["ordering"] == "nested",
        coordinates=STATED_COORDINATES[layout["coordinates"]],
    )


def _spread(what, values, pixels, header, unknown) -> np.ndarray:
    """The values of listed pixels on the full sky."""
    if "NSIDE" not in header:
        raise UnusableMap(f"{what} lists pixels without NSIDE; add this card")
    n_pixels = 12 * header["NSIDE"] ** 2
    if len(pixels) and (pixels.min() < 0 or pixels.max() >= n_pixels):
        raise UnusableMap(
            f"{what} lists pixels {pixels.min()} … {pixels.max()}, and NSIDE = {header['NSIDE']} "
            f"has {n_pixels}; correct that card, or copy the file again"
        )
    counts = np.bincount(pixels.astype(np.int64), minlength=n_pixels)
    if counts.max() > 1:
        raise UnusableMap(f"{what} lists pixel {counts.argmax()} more than once; list each once")
    sky = np.full(n_pixels, float(unknown))
    sky[pixels] = values
    return sky


def _known(what, values, unknown, sentinels=()) -> np.ndarray:
    """The values as floats, `unknown` where they are a sentinel or not finite."""
    if values.dtype.kind not in "biuf":
        raise UnusableMap(f"{what} does not hold numbers; name another map")
    known = values.astype(float)
    if values.dtype.kind == "f":
        known[~np.isfinite(known)] = unknown
        sentinels = (hp.UNSEEN, *sentinels)
    for sentinel in sentinels:
        if sentinel is not None:
            # Not exactly: UNSEEN in single precision is another number.
            known[hp.mask_bad(known, badval=sentinel)] = unknown
    return known


def _complete(what, values) -> np.ndarray:
    """The values themselves, if there are as many as a map has pixels."""
    nside = round(np.sqrt(values.size / 12))
    if values.shape != (12 * nside**2,) or not hp.isnsideok(nside, nest=True):
        raise UnusableMap(
            f"{what} is no HEALPix map: its shape is {values.shape}; needed are 12 nside² values, "
            "nside a power of two"
        )
    return values
