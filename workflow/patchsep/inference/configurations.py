"""The grid: configurations of patches × noise realisations, in shards that lose nothing.

A shard is some configurations and some realisations of one region. Each configuration is
kept when it is done, in a file of its own that carries the fingerprint of everything it
depends on; a shard that is started again, for whatever reason, computes what is missing.
"""

import logging
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from ..files.fingerprints import fingerprint
from ..files.progress import Meter, alone
from ..files.store import Store
from ..instrument.noise import FOREGROUNDS_ONLY
from ..lazy import healpy as hp
from ..observation.region_sky import RegionSky, observe, observe_halves
from ..separation.cleaning import clean, held_out_misfit
from ..separation.partitions import Partitions, configuration_patches, count_patches, patch_labels
from ..spectra.estimator import Estimator
from ..spectra.residuals import ResidualSpectra, cmb_variance, residual_spectra

log = logging.getLogger(__name__)

# Columns of a configuration's table that its `Cleaned` has.
MEASURED = [
    *("nll", "iterations", "gradient", "converged", "n_at_bounds"),
    *("information", "evidence"),
]
# What is averaged over noise realisations; all but the first two can choose a configuration.
AVERAGES = ["nll", "n_at_bounds", "variance", "information", "evidence", "held_out"]


def fit_configuration(
    configuration: str,
    members: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    data: np.ndarray,
    estimator: Estimator,
    halves: np.ndarray | None = None,
    propagation: str = "nonlinear",
    **settings,
) -> pd.DataFrame:
    """Fits and residual spectra of one configuration.

    Parameters
    ----------
    configuration : str
    members : list of dict
        See `patches.partition`.
    sky : RegionSky
    realizations : list of int
    data : array
        What `observe` makes of them.
    estimator : Estimator
        Of the residuals' spectra.
    halves : array, optional
        What `observe_halves` makes of them: the held-out misfit is measured as well.
    propagation : str
        See `cleaning.clean`.
    settings :
        `bounds`, `start`, `max_iterations`, `tolerance`, `memory` and `prior` of `fit.separate`.

    Returns
    -------
    DataFrame
        A row for the foregrounds alone, `realization` FOREGROUNDS_ONLY, and one per noise
        realisation: `nll`, `iterations`, `gradient`, `converged`, `n_at_bounds`,
        `information`, `evidence`, `variance` of the CMB map in µK², `held_out` (NaN where it is not
        measured), and as lists over the estimator's bins the BB spectra `total` and
        `statistical` in µK²; of the foregrounds alone, `systematic`.
    """
    result = clean(configuration, members, sky, data, propagation=propagation, **settings)
    systematic, recovered = result.cmb[0], result.cmb[1:]
    spectra = residual_spectra(recovered, sky.cmb, systematic, sky.pixels, estimator)
    table = pd.DataFrame({"realization": [FOREGROUNDS_ONLY, *realizations]})
    for column in MEASURED:
        table[column] = getattr(result, column)
    table["variance"] = cmb_variance(result.cmb)
    table["held_out"] = (
        np.nan
        if halves is None
        else held_out_misfit(configuration, members, sky, halves, **settings)
    )
    table["total"] = [None, *spectra.total]
    table["statistical"] = [None, *spectra.statistical]
    table["systematic"] = [spectra.systematic] + [None] * len(realizations)
    return table


def fit_shard(
    names: list[str],
    members: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    folder: str | Path,
    code: str,
    progress: str | Path,
    spectra: dict,
    held_out: bool = False,
    **settings,
) -> pd.DataFrame:
    """Fit every configuration to every realisation, but for what the folder has already.

    Parameters
    ----------
    names : list of str
        Configurations, see `patches.configurations`.
    members : list of dict
        See `patches.partition`.
    sky : RegionSky
    realizations : list of int
        Numbers of the noise realisations, see `RegionSky.observe`.
    folder : str or Path
        Where finished configurations are kept.
    code : str
        Fingerprint of the code that computes them.
    progress : str or Path
        File that says, while the shard runs, how far it is, see `shards.read_progress`.
    spectra : dict
        `estimator`, `apodization` and `bin_width` of `Estimator.of`.
    held_out : bool
        Whether to measure `held_out_misfit`, which takes as many fits again.
    settings :
        See `fit_configuration`.

    Returns
    -------
    DataFrame
        A row per configuration, see `average`.
    """
    data = observe(sky, realizations)
    halves = observe_halves(sky, realizations) if held_out else None
    estimator = Estimator.of(sky.pixels, sky.nside, **spectra)
    what_matters = {name: value for name, value in settings.items() if name != "memory"}
    store = Store(
        Path(folder),
        fingerprint(
            code,
            data,
            halves,
            sky.cmb,
            sky.sigma,
            sky.frequencies,
            estimator.weights,
            spectra,
            what_matters,
        ),
    )
    log.info(
        "%s: %d configurations × %d realisations, %d pixels in %d bands, on %s",
        sky.region,
        len(names),
        len(realizations),
        len(sky.pixels),
        len(sky.frequencies),
        jax.devices()[0].device_kind,
    )
    rows = []
    with alone(progress):
        meter = Meter(Path(progress), len(names), len(data))
        for name in names:
            labels = patch_labels(name, members)
            table = store.get(name, *labels)
            kept = table is not None
            if not kept:
                table = fit_configuration(
                    name, members, sky, realizations, data, estimator, halves, **settings
                )
                store.put(name, table, *labels)
            rows.append(average(name, members, sky, table))
            meter.tick(name, kept, int((~table["converged"]).sum()), table["iterations"].mean())
    return pd.DataFrame(rows)


def average(name: str, members: list[Partitions], sky: RegionSky, table: pd.DataFrame) -> dict:
    """One configuration of a shard in a row, of its `fit_configuration`.

    `n_unconverged` counts noise realisations; `n_unconverged_systematic` is 1 if the fit to
    foregrounds alone did not converge. `AVERAGES` and the spectra, arrays over bins, are averages
    over noise realisations. Numbers of patches are those of the first member.
    """
    foregrounds = table["realization"] == FOREGROUNDS_ONLY
    noisy = table[~foregrounds]
    patches = configuration_patches(name, members[0])
    return {
        "configuration": name,
        **count_patches(patches),
        "f_sky": len(sky.pixels) / hp.nside2npix(sky.nside),
        **noisy[AVERAGES].mean().to_dict(),
        "n_realizations": len(noisy),
        "n_unconverged": int((~noisy["converged"]).sum()),
        "n_unconverged_systematic": int((~table["converged"][foregrounds]).sum()),
        "total": np.mean(noisy["total"].to_list(), axis=0),
        "statistical": np.mean(noisy["statistical"].to_list(), axis=0),
        "systematic": table["systematic"][foregrounds].iloc[0],
    }


def gather(tables: list[pd.DataFrame], names: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put the shards of a region together.

    Parameters
    ----------
    tables : list of DataFrame
        Of `fit_shard`.
    names : list of str
        The configurations that are wanted; shards may have more.

    Returns
    -------
    metrics : DataFrame
        A row per configuration, see `average`.
    spectra : DataFrame
        A row per configuration and `bin`: BB of the `total`, `statistical` and `systematic`
        residual in µK²_CMB.
    """
    everything = dict(list(pd.concat(tables, ignore_index=True).groupby("configuration")))
    metrics, spectra = [], []
    for name in names:
        rows = everything[name]
        weights = rows["n_realizations"]
        row = rows.iloc[0].to_dict()
        for column in (*AVERAGES, "total", "statistical"):
            row[column] = np.average(np.stack(rows[column].to_list()), axis=0, weights=weights)
        for column in ("n_realizations", "n_unconverged"):
            row[column] = int(rows[column].sum())
        curves = ResidualSpectra(**{kind: row.pop(kind) for kind in ResidualSpectra._fields})
        spectra.append(spectra_table(name, curves))
        metrics.append(row)
    return pd.DataFrame(metrics), pd.concat(spectra, ignore_index=True)


def spectra_table(configuration: str, spectra: ResidualSpectra) -> pd.DataFrame:
    """Residual spectra of one configuration, averaged over realisations, by bin."""
    bins = np.arange(len(spectra.systematic))
    return pd.DataFrame({"configuration": configuration, "bin": bins, **spectra._asdict()})
