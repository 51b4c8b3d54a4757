"""What analyses hand out: cleaned maps, bandpowers as likelihoods take them, and words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..fields.fit import recover_cmb
from ..files.columns import in_columns
from ..files.versions import WARNING
from ..inference.tables import model_table, model_warnings
from ..observation.observation import Observation
from ..skies.cleaned_sky import cleaned_maps
from ..skies.field_skies import amplitudes_of
from ..skies.whole_sky import WholeSky
from ..sky.regions import COMBINED
from .analyse import Analysis

# Columns of words.
N_WORDS = 3
# Null tests of which one in so many is expected below, are told.
UNLIKELY = 0.01
# Of the run, as the tables of simulated ones name a set of skies.
OBSERVED = "observed"


def products_of(analysis: Analysis, observation: Observation, sky: WholeSky) -> dict:
    """Maps of the sky with their errors, as `files.maps.write_maps` takes them.

    Errors are the rms over mock skies of what is found less what these have.
    """
    cleaned, mocks = analysis.cleaned, analysis.mocks
    recovery = recover_cmb(cleaned.parameters, observation.maps, sky.bands)
    resolution = observation.resolution
    return cleaned_maps(
        cleaned.cmb,
        amplitudes_of(sky.model, recovery),
        cleaned.parameters,
        _rms(mocks.cleaned - mocks.cmb),
        _rms(mocks.parameter_errors),
        sky.pixels,
        sky.nside,
        sky.model,
        None if resolution is None else resolution.settings,
    )


def _rms(errors):
    return np.sqrt(np.mean(errors**2, axis=0))


def bandpower_table(analysis: Analysis) -> pd.DataFrame:
    """Bandpowers of all regions, see `Bandpowers.table`, with the column `region`."""
    return pd.concat(
        [
            one.table().assign(region=name)[["region", *one.table().columns]]
            for name, one in analysis.bandpowers.items()
        ],
        ignore_index=True,
    )


def covariance_table(analysis: Analysis) -> pd.DataFrame:
    """Covariance of the bins of every region, µK⁴: `region`, `bin`, `other`, `covariance`."""
    return _matrices(analysis, "other", "covariance", lambda one: one.covariance)


def window_table(analysis: Analysis) -> pd.DataFrame:
    """What a bandpower has of the sky's spectrum: `region`, `bin`, `ell`, `window`."""
    return _matrices(analysis, "ell", "window", lambda one: one.estimator.windows)


def _matrices(analysis, column, values, matrix_of):
    tables = []
    for name, one in analysis.bandpowers.items():
        matrix = matrix_of(one)
        rows, columns = np.indices(matrix.shape)
        tables.append(
            pd.DataFrame(
                {
                    "region": name,
                    "bin": rows.ravel(),
                    column: columns.ravel(),
                    values: matrix.ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


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
