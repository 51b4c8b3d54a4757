"""Published numbers beside those of a run."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..files.tables import read_table

# What is made of the values that are found in a table.
TAKES = {
    "value": lambda values: values.item(),
    "mean": lambda values: values.mean(),
    "sum": lambda values: values.sum(),
    "count": len,
    "mean_square": lambda values: np.mean(values**2),
}


def compare(numbers: list[dict], results: str | Path) -> pd.DataFrame:
    """Published numbers, those of a run, and why they differ.

    Parameters
    ----------
    numbers : list of dict
        Each with `number` (what it is), `unit`, `published` and its `source`, the `table` below
        `results` that has ours, `where` (values by column) and `column`, and optionally `take`,
        of `TAKES`, a `factor` to its unit, the column of its `error`, and the `reason` of a
        difference.
    results : str or Path
        Folder of the run.

    Returns
    -------
    DataFrame
        `number`, `unit`, `published`, `here`, `here_error`, `source` and `reason`. The error is
        that of the table or, of a mean, that of its rows' scatter.

    Raises
    ------
    ValueError
        If a table has no row of a number, or several where one is needed.
    """
    tables = {path: read_table(Path(results) / path) for path in {n["table"] for n in numbers}}
    return pd.DataFrame([_compare(number, tables[number["table"]]) for number in numbers])


def _compare(number, table):
    where, take = number.get("where", {}), number.get("take", "value")
    matches = [table[column].eq(value) for column, value in where.items()]
    selected = table[np.all(matches, axis=0)] if where else table
    if selected.empty or (take == "value" and len(selected) > 1):
        raise ValueError(
            f"published number {number['number']!r}: {len(selected)} rows of {number['table']} "
            f"are those of {where}; mend its `where`"
        )
    values, factor = selected[number["column"]], number.get("factor", 1)
    error = np.nan
    if "error" in number:
        error = factor * selected[number["error"]].item()
    elif take == "mean":
        error = factor * values.std(ddof=1) / np.sqrt(len(values))
    here = TAKES[take](values)
    return {
        "number": number["number"],
        "unit": number.get("unit", ""),
        "published": number["published"],
        "here": here if isinstance(here, str) else factor * here,
        "here_error": error,
        "source": number["source"],
        "reason": number.get("reason", ""),
    }
