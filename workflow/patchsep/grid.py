"""The grid: configurations of patches × noise realisations, fitted in shards."""

import logging
from time import monotonic

import jax
import numpy as np
import pandas as pd

from .fit import separate
from .patches import PARAMETERS, Partitions, configuration_patches
from .sky import RegionSky

log = logging.getLogger(__name__)


def fit_configurations(
    names: list[str],
    partitions: Partitions,
    sky: RegionSky,
    realizations: list[int],
    **settings,
) -> pd.DataFrame:
    """Fit every configuration to every realisation of one region.

    Parameters
    ----------
    names : list of str
        Configurations, see `patches.configurations`.
    partitions : dict
        Labels by value.
    sky : RegionSky
    realizations : list of int
        Numbers of the noise realisations, see `RegionSky.observe`.
    settings :
        `bounds`, `start`, `max_iterations`, `tolerance`, `memory` of `fit.separate`.

    Returns
    -------
    DataFrame
        A row per configuration and realisation: `nll`, `iterations`, `gradient`,
        `converged`, `n_at_bounds` and, as lists over patches, the three parameters.
    """
    observations = np.stack([sky.observe(realization) for realization in realizations])
    log.info(
        "%s: %d configurations × %d realisations, %d pixels in %d bands, on %s",
        sky.region,
        len(names),
        len(realizations),
        len(sky.pixels),
        len(sky.frequencies),
        jax.devices()[0].device_kind,
    )
    tables, start = [], monotonic()
    for done, name in enumerate(names, start=1):
        patches = configuration_patches(name, partitions)
        result = separate(
            observations, sky.sigma, sky.frequencies, patches, components=(), **settings
        )
        table = pd.DataFrame({"configuration": name, "realization": realizations})
        for column in ("nll", "iterations", "gradient", "converged", "n_at_bounds"):
            table[column] = getattr(result, column)
        for parameter in PARAMETERS:
            table[parameter] = list(result.parameters[parameter])
        tables.append(table)
        elapsed = monotonic() - start
        log.info(
            "%s: %d fits, %d not converged, %.0f iterations on average; "
            "configuration %d of %d, %.0f s left",
            name,
            len(table),
            (~result.converged).sum(),
            result.iterations.mean(),
            done,
            len(names),
            elapsed / done * (len(names) - done),
        )
    return pd.concat(tables, ignore_index=True)
