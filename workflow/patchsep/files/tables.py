"""Tables in CSV and Parquet."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .fingerprints import fingerprint
from .whole import checked, whole

# Key of a Parquet file's metadata.
FINGERPRINT = b"patchsep.fingerprint"


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
