"""Files: HEALPix FITS maps and tables, written whole or not at all."""

import unicodedata
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np

from ..lazy import fits
from ..lazy import healpy as hp
from .whole import checked, whole

# Characters that have no ASCII letter at their root, in words of headers.
TRANSLITERATED = str.maketrans(
    {"µ": "u", "μ": "u", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "×": "x", "–": "-", "—": "-", "…": "..."}
    | dict.fromkeys("‘’", "'")
    | dict.fromkeys("“”", '"')
)

# Words of headers for the FWHM in arcmin of the Gaussian beam of maps, and for the multipole of
# their high-pass filter.
RESOLUTION = {"fwhm": "FWHM", "high_pass": "HIGHPASS"}


def ascii_text(text: str) -> str:
    """A text in the printable ASCII of FITS headers: accents go, unknown letters become "?"."""
    plain = unicodedata.normalize("NFKD", text.translate(TRANSLITERATED))
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    spaced = (" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in letters)
    return "".join(letter if letter.isascii() else "?" for letter in spaced)


def write_maps(
    path: str | Path,
    maps: dict[str, np.ndarray],
    units: str | list[str],
    about: str,
    header: dict[str, str] | None = None,
):
    """Write full-sky maps in RING order, Galactic coordinates, one column per map.

    Parameters
    ----------
    maps : dict of str to array (n_pixels,)
        Columns by name; floats in float64, integers in int32. NaN becomes UNSEEN.
    units : str or list of str
        One unit for all or one per column.
    about : str
        What the file holds, for the header; several lines make several cards.
    header : dict of str to str, optional
        More of the header, by keyword. All text is written as `ascii_text`.
    """
    columns = [
        values.astype(np.int32)
        if np.issubdtype(values.dtype, np.integer)
        else np.where(np.isnan(values), hp.UNSEEN, values)
        for values in maps.values()
    ]
    with whole(path) as temporary:
        hp.write_map(
            temporary,
            columns,
            nest=False,
            coord="G",
            column_names=list(map(ascii_text, maps)),
            column_units=ascii_text(units) if isinstance(units, str) else [*map(ascii_text, units)],
            dtype=[column.dtype for column in columns],
            extra_header=[("POLCCONV", "COSMO")]
            + [(keyword, ascii_text(text)) for keyword, text in (header or {}).items()]
            + [("COMMENT", ascii_text(line)) for line in about.splitlines()],
            overwrite=True,
        )
        with fits.open(temporary, mode="update") as file:
            for hdu in file:
                hdu.add_checksum(when="written")


def read_maps(path: str | Path) -> dict[str, np.ndarray]:
    """Read the columns of a map file; UNSEEN becomes NaN in columns of floats.

    Raises
    ------
    DamagedFile
        If the file's checksums are not those of its content.
    """
    with checked(path):
        with fits.open(path) as file:
            if not all(hdu.verify_checksum() == hdu.verify_datasum() == 1 for hdu in file):
                raise ValueError("its content is not what was written")
        columns, header = hp.read_map(path, field=None, dtype=None, h=True)
    names = [value for key, value in header if key.startswith("TTYPE")]
    columns = np.atleast_2d(columns) if len(names) == 1 else columns
    return {
        name: np.where(column == hp.UNSEEN, np.nan, column)
        if np.issubdtype(column.dtype, np.floating)
        # FITS has the other order of bytes, which not every library reads.
        else column.astype(column.dtype.newbyteorder("="))
        for name, column in zip(names, columns, strict=True)
    }


def write_polarization(
    path: str | Path,
    maps: np.ndarray,
    names: list[str],
    about: str,
    response: np.ndarray | None = None,
    resolution: Mapping[str, float] | None = None,
):
    """Write Q, U maps (n_maps, 2, n_pixels) in µK_CMB as columns `name`_Q, `name`_U.

    `response` (n_maps, 2, 2), what bands make of a sky's Q, U, and the `resolution` that they are
    brought to, in the words of the settings, go to the header.
    """
    columns = {
        f"{name}_{stokes}": component
        for name, qu in zip(names, maps, strict=True)
        for stokes, component in zip("QU", qu, strict=True)
    }
    header = resolution_header(resolution)
    if response is not None:
        entries = np.ravel(response).tolist()
        header |= zip(_response_keywords(len(response)), map(repr, entries), strict=True)
    write_maps(path, columns, "uK_CMB", about, header)


def resolution_header(resolution: Mapping[str, float] | None) -> dict[str, str]:
    """What headers say of maps that are brought to a resolution."""
    given = resolution or {}
    return {RESOLUTION[key]: repr(float(value)) for key, value in given.items()}


def read_resolution(path: str | Path) -> dict[str, float] | None:
    """The resolution of a map file, in the words of the settings, or None if it has no beam."""
    header = fits.getheader(path, 1)
    found = {key: float(header[word]) for key, word in RESOLUTION.items() if word in header}
    return found or None


def read_response(path: str | Path) -> np.ndarray | None:
    """The response of `write_polarization`, or None if the file has none."""
    header = fits.getheader(path, 1)
    keywords = _response_keywords(header["TFIELDS"] // 2)
    if keywords[0] not in header:
        return None
    return np.reshape([float(header[key]) for key in keywords], (-1, 2, 2))


def _response_keywords(n_maps) -> list[str]:
    """Of every entry: `R12_QU` is what U of the sky adds to Q of the twelfth map."""
    entries = product(range(1, 1 + n_maps), "QU", "QU")
    return [f"R{number}_{into}{of}" for number, into, of in entries]


def read_polarization(path: str | Path) -> np.ndarray:
    """Read what `write_polarization` wrote: array (n_maps, 2, n_pixels)."""
    columns = np.stack(list(read_maps(path).values()))
    return columns.reshape(-1, 2, columns.shape[-1])


def read_templates(path: str | Path | None) -> dict[str, np.ndarray]:
    """Maps of spectral parameters that patches follow, by parameter; none without a path."""
    maps = read_maps(path) if path else {}
    return {name.lower(): values for name, values in maps.items()}
