"""What an analysis found, of all methods, as one table and in words."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..files.columns import in_columns
from ..files.versions import WARNING
from ..inference.tables import model_table, model_warnings
from ..sky.regions import COMBINED

# Columns of words.
N_WORDS = 3
# Null tests of which one in so many is expected below, are told.
UNLIKELY = 0.01
# Of the run, as the tables of simulated ones name a set of skies.
OBSERVED = "observed"


def observed_summary(r: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """r of every method, region and range of multipoles: rows of `Analysis.r_table`."""
    return pd.concat(
        [table.assign(method=name)[["method", *table]] for name, table in r.items()],
        ignore_index=True,
    )


def observed_warnings(
    summary: pd.DataFrame,
    null_tests: Mapping[str, pd.DataFrame],
    model_tests: Mapping[str, pd.DataFrame],
    of_maps: Sequence[str],
) -> list[str]:
    """What a reader of the result is to know.

    Parameters
    ----------
    summary : DataFrame
    null_tests, model_tests : dict of str to DataFrame
        By method.
    of_maps : sequence of str
        What looks wrong in the maps.
    """
    unconverged = summary[~summary["converged"]]["method"].unique()
    warnings = [*of_maps]
    warnings += [f"{name}: the fit of the maps did not converge" for name in unconverged]
    missing = summary[summary["r_hat"].isna()]
    warnings += [
        f"{row['method']}, {row['region']}: r is not measured, for a bandpower with its noise is "
        "not above 0, or no bin has modes enough; use wider bins or a larger region"
        for row in missing.to_dict("records")
    ]
    warnings += [
        f"{name}, {row['region']}: {row['test']}: probability {row['probability']:.2g}"
        for name, table in null_tests.items()
        for row in table[table["probability"] < UNLIKELY].to_dict("records")
    ]
    tests = [(OBSERVED, name, table) for name, table in model_tests.items()]
    return warnings + model_warnings(model_table(tests))


def observed_text(summary: pd.DataFrame, warnings: Sequence[str], run: str, figures: str) -> str:
    """The summary for a person to read, with r in units of 10⁻³."""
    cells = [["method", "region", "multipoles", "r_hat", "-sigma", "+sigma", "68 %", "95 %"]]
    for row in summary.to_dict("records"):
        ends = row["ell_low"], row["ell_high"]
        multipoles = "all" if pd.isna(ends[0]) else f"{ends[0]:g} to {ends[1]:g}"
        values = [f"{1e3 * row[name]:z.3f}" for name in ("r_hat", "sigma_r_minus", "sigma_r_plus")]
        intervals = [
            f"{1e3 * row[f'{name}_low']:z.2f} … {1e3 * row[f'{name}_high']:z.2f}"
            for name in ("r68", "r95")
        ]
        cells.append([row["method"], row["region"], multipoles, *values, *intervals])
    lines = [f"patchsep run '{run}': r x 1e3 of observed maps", ""]
    lines += in_columns(cells, N_WORDS)
    for warning in warnings:
        lines += ["", f"{WARNING}{warning}"]
    first = summary[summary["region"].eq(COMBINED) & summary["ell_low"].isna()].iloc[0]
    told = (
        f"{first['method']}: r = {1e3 * first['r_hat']:.2f} (-{1e3 * first['sigma_r_minus']:.2f} "
        f"+{1e3 * first['sigma_r_plus']:.2f}) e-3, and below "
        f"{1e3 * first['r95_physical_high']:.2f}e-3 at 95 % with r >= 0"
    )
    return "\n".join([*lines, "", told, f"figures: {figures}", ""])
