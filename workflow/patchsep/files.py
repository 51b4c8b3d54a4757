"""Files: HEALPix FITS maps and tables, written whole or not at all."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .lazy import fits
from .lazy import healpy as hp
from .provenance import fingerprint

# Key of a Parquet file's metadata.
FINGERPRINT = b"patchsep.fingerprint"


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes `path`'s name if all goes well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_maps(path: str | Path, maps: dict[str, np.ndarray], units: str | list[str], about: str):
    """Write full-sky maps in RING order, Galactic coordinates, one column per map.

    Parameters
    ----------
    maps : dict of str to array (n_pixels,)
        Columns by name; floats in float64, integers in int32. NaN becomes UNSEEN.
    units : str or list of str
        One unit for all or one per column.
    about : str
        What the file holds, for the header; several lines make several cards.
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
            column_names=list(maps),
            column_units=units,
            dtype=[column.dtype for column in columns],
            extra_header=[("POLCCONV", "COSMO")]
            + [("COMMENT", line) for line in about.splitlines()],
            overwrite=True,
        )
        with fits.open(temporary, mode="update") as file:
            for hdu in file:
                hdu.add_checksum(when="written")


class DamagedFile(OSError):
    """A file whose content is not what was written; it has been set aside."""


@contextmanager
def checked(path: str | Path) -> Iterator[None]:
    """Set a file aside that cannot be read: the workflow misses it then, and makes it again.

    Raises
    ------
    DamagedFile
        For any error in reading the file but that it is not there.
    """
    path = Path(path)
    try:
        yield
    except FileNotFoundError:
        raise
    # A flipped bit can be anything to those who read it.
    except Exception as error:
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        raise DamagedFile(
            f"{path} is damaged ({error}). It is now {aside.name}; "
            "run the same command again, which makes it anew"
        ) from error


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


def write_table(path: str | Path, table: pd.DataFrame):
    """Write a table as CSV or Parquet, by the path's ending; Parquet with its fingerprint."""
    with whole(path) as temporary:
        if temporary.suffix == ".csv":
            table.to_csv(temporary, index=False)
            return
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        own = {FINGERPRINT: fingerprint(arrow.to_pydict())}
        # Numbers hardly repeat: a dictionary of them would only add to them.
        pq.write_table(
            arrow.replace_schema_metadata(own), temporary, use_dictionary=False, compression="zstd"
        )


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV or Parquet table.

    Raises
    ------
    DamagedFile
        If a Parquet file does not hold what was written.
    """
    if Path(path).suffix == ".csv":
        return pd.read_csv(path)
    with checked(path):
        arrow = pq.read_table(path)
        if arrow.schema.metadata[FINGERPRINT].decode() != fingerprint(arrow.to_pydict()):
            raise ValueError("its content is not what was written")
        return arrow.to_pandas()


def write_polarization(path: str | Path, maps: np.ndarray, names: list[str], about: str):
    """Write Q, U maps (n_maps, 2, n_pixels) in µK_CMB as columns `name`_Q, `name`_U."""
    columns = {
        f"{name}_{stokes}": component
        for name, qu in zip(names, maps, strict=True)
        for stokes, component in zip("QU", qu, strict=True)
    }
    write_maps(path, columns, "uK_CMB", about)


def read_polarization(path: str | Path) -> np.ndarray:
    """Read what `write_polarization` wrote: array (n_maps, 2, n_pixels)."""
    columns = np.stack(list(read_maps(path).values()))
    return columns.reshape(-1, 2, columns.shape[-1])


def read_parameter_map(path: str | Path, parameter: str) -> np.ndarray:
    """A map of one spectral parameter, NaN where it is not known.

    Of several columns it is the one with the parameter's name, as in `spectral_parameters.fits`.

    Raises
    ------
    ValueError
        If it cannot be told which column is the parameter's.
    """
    columns, header = hp.read_map(path, field=None, dtype=float, h=True)
    names = [value.lower() for key, value in header if key.startswith("TTYPE")]
    if len(names) > 1 and parameter not in names:
        raise ValueError(
            f"{path} has the columns {', '.join(names)}; name one of them {parameter.upper()}"
        )
    values = columns[names.index(parameter)] if len(names) > 1 else columns
    return np.where(values == hp.UNSEEN, np.nan, values)


def read_guide(path: str | Path | None) -> dict[str, np.ndarray]:
    """Maps of the spectral parameters by name, as in `patches.PARAMETERS`; none without a path."""
    maps = read_maps(path) if path else {}
    return {name.lower(): values for name, values in maps.items()}


def write_partitions(
    path: str | Path, members: list[dict[tuple[str, int], np.ndarray]], pixels, nside, about
):
    """Write patch labels of a region, of every member of an ensemble, by parameter and value.

    Columns are <PARAMETER>_<value> of the first member and MEMBER_<number>_<PARAMETER>_<value>
    of the others. Outside of the region labels are -1.
    """
    columns = {}
    for number, partitions in enumerate(members):
        prefix = f"MEMBER_{number}_" if number else ""
        for (parameter, value), labels in partitions.items():
            sky = np.full(hp.nside2npix(nside), -1, dtype=np.int32)
            sky[pixels] = labels
            columns[f"{prefix}{parameter.upper()}_{value}"] = sky
    write_maps(path, columns, "", about)


def read_partitions(
    path: str | Path, pixels: np.ndarray
) -> list[dict[tuple[str, int], np.ndarray]]:
    """Read what `write_partitions` wrote: labels (n_pixels,) of every member."""
    members = {}
    for name, labels in read_maps(path).items():
        member, parameter, value = re.fullmatch(r"(?:MEMBER_(\d+)_)?(\w+)_(\d+)", name).groups("0")
        members.setdefault(member, {})[parameter.lower(), int(value)] = labels[pixels]
    return list(members.values())
