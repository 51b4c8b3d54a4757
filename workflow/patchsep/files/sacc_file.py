"""Bandpowers in the format of SACC, which likelihoods of the Simons Observatory read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..lazy import linalg, sacc
from .whole import whole

DATA_TYPE = "cl_bb"
# Columns of bandpowers that are no tags: where a data point is, its value, and that it is one.
OF_POINT = ("region", "bb", "used")


def write_sacc(
    path: str | Path,
    bandpowers: pd.DataFrame,
    covariance: pd.DataFrame,
    windows: pd.DataFrame,
    beam: np.ndarray,
    about: Mapping[str, str | int | float],
):
    """Write the BB bandpowers of regions, with their windows and covariance, as one SACC file.

    Every region is a tracer, of quantity `cmb_polarization` and spin 2, whose auto-spectrum is of
    type `cl_bb`. Only bins that are used are written, of which a region may have none. The
    covariance of bins of different regions is 0: tables have none.

    Parameters
    ----------
    path : str or Path
        Ends with `.fits`.
    bandpowers : DataFrame
        Rows by `region` and bin, in the order of bins: `ell`, `bb` in µK²_CMB, and whether it is
        `used`. All other columns, such as what is expected of lensing and foregrounds, become tags
        of a bandpower.
    covariance : DataFrame
        Rows by `region`, `bin` and `other`, counted from 0 within the region: `covariance`, µK⁴.
    windows : DataFrame
        Rows by `region`, `bin` and `ell`, from multipoles that are the same for all bins of a
        region: `window`, what the bandpower has of the sky's spectrum there.
    beam : array (n_ell,)
        Effective beam of the maps from ℓ = 0 on. Bandpowers are those of the sky, without it.
    about : mapping
        Metadata of the file, such as `run`, `nside` and `estimator`.

    Raises
    ------
    ValueError
        If a bin of a region has no window or covariance, or one of several is given twice.
    """
    file = sacc.Sacc()
    file.metadata.update(about)
    blocks = []
    for region, rows in bandpowers.groupby("region", sort=False):
        used = np.flatnonzero(rows["used"])
        window = _matrix(windows, region, len(rows), used, "ell", "window")
        block = _matrix(covariance, region, len(rows), used, "other", "covariance")
        file.add_tracer(
            "Map",
            region,
            quantity="cmb_polarization",
            spin=2,
            ell=np.arange(len(beam)),
            beam=beam,
            map_unit="uK_CMB",
        )
        if not len(used):
            continue
        blocks.append(block.to_numpy()[:, used])
        seen = sacc.BandpowerWindow(window.columns.to_numpy(), window.to_numpy().T)
        for place, row in enumerate(rows.iloc[used].to_dict("records")):
            tags = {name: value for name, value in row.items() if name not in OF_POINT}
            file.add_data_point(
                DATA_TYPE, (region, region), row["bb"], window=seen, window_ind=place, **tags
            )
    if len(file):
        file.add_covariance(linalg.block_diag(*blocks))
    with whole(path) as temporary:
        file.save_fits(str(temporary), overwrite=True)


def _matrix(table, region, n_bins, used, column, values) -> pd.DataFrame:
    """The rows of a region's used bins as a matrix, or an error if any is missing."""
    of_region = table[table["region"] == region]
    matrix = of_region.pivot(index="bin", columns=column, values=values)
    if len(matrix) != n_bins or matrix.iloc[used].isna().any(axis=None):
        raise ValueError(
            f"write_sacc: of the {n_bins} bins of region {region} the table of {values} has "
            f"{len(matrix)}, or not all of their values by {column}; write it with one row for each"
        )
    return matrix.iloc[used]
