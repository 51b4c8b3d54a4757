"""Finished pieces of work, a file each, that a job which starts again need not do again."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .fingerprints import fingerprint
from .tables import read_table, write_table
from .whole import DamagedFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """Finished configurations, a Parquet file each.

    Attributes
    ----------
    folder : Path
    depends : str
        Fingerprint of what all of them depend on; files made with another are stale.
    """

    folder: Path
    depends: str

    def get(self, name: str, *parts) -> pd.DataFrame | None:
        """What is finished under a name, None if there is none, or a stale or damaged one.

        Parameters
        ----------
        name : str
        parts :
            What this one depends on beside `depends`, as `fingerprint` takes it.
        """
        try:
            table = read_table(self._path(name))
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            log.warning("%s", error)
            return None
        return table.drop(columns="key") if (table["key"] == self._key(parts)).all() else None

    def put(self, name: str, table: pd.DataFrame, *parts):
        """Keep a finished table, to be had by `get` with the same parts."""
        write_table(self._path(name), table.assign(key=self._key(parts)))

    def _path(self, name):
        return self.folder / f"{name}.parquet"

    def _key(self, parts):
        return fingerprint(self.depends, *parts)
