"""What an analysis hands out: cleaned maps, and tables of bandpowers as likelihoods take them."""

import numpy as np
import pandas as pd

from ..fields.fit import recover_cmb
from ..inference.field_skies import WholeSky, amplitudes_of
from ..inference.skies import cleaned_maps
from ..observation.observation import Observation
from .analyse import Analysis


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
