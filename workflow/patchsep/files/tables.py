"""Tables in CSV and Parquet, and as pages to look at."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .fingerprints import fingerprint
from .whole import checked, whole

# Key of a Parquet file's metadata.
FINGERPRINT = b"patchsep.fingerprint"
# A page by itself: a report shows it in a frame.
PAGE = """<!doctype html>
<meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 13px sans-serif; margin: 1em }}
table {{ border-collapse: collapse }}
th, td {{ padding: 3px 9px; text-align: right; white-space: nowrap }}
th {{ background: #fff; border-bottom: 2px solid #444; position: sticky; top: 0 }}
tr:nth-child(even) {{ background: #f2f2f2 }}
</style>
{table}
"""


def write_table(path: str | Path, table: pd.DataFrame):
    """Write a table as CSV, Parquet or HTML, by the path's ending; Parquet with its fingerprint.

    HTML is to look at: its numbers have four digits.
    """
    with whole(path) as temporary:
        if temporary.suffix == ".html":
            rows = table.to_html(index=False, border=0, float_format="{:.4g}".format, na_rep="")
            page = PAGE.format(title=Path(path).stem, table=rows)
            temporary.write_text(page, encoding="utf-8")
            return
        if temporary.suffix == ".csv":
            table.to_csv(temporary, index=False)
            return
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        own = {FINGERPRINT: fingerprint(arrow.to_pydict())}
        # Numbers hardly repeat: a dictionary of them would only add to them.
        pq.write_table(
            arrow.replace_schema_metadata(own), temporary, use_dictionary=False, compression="zstd"
        )


def write_tables(paths: Iterable[str | Path], table: pd.DataFrame):
    """Write a table to several files, see `write_table`."""
    for path in paths:
        write_table(path, table)


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
