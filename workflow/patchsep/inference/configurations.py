"""All configurations on one sky: patches × noise realisations, in shards that lose nothing.

A shard is some configurations and some realisations of one region. Each configuration is
kept when it is done, in a file of its own that carries the fingerprint of everything it
depends on; a shard that is started again, for whatever reason, computes what is missing.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ..files.fingerprints import fingerprint
from ..files.progress import Meter, exclusive
from ..files.store import Store
from ..instrument.noise import FOREGROUNDS_ONLY
from ..lazy import healpy as hp
from ..observation.region_sky import RegionSky, observe, observe_halves
from ..separation.batches import device
from ..separation.cleaning import clean, cross_validation_misfit
from ..separation.partitions import Partitions, configuration_patches, count_patches, patch_labels
from ..skies.realizations import count_fits, fit_table, spectra_of_fits
from ..sky.spectral_model import SpectralModel
from ..spectra.estimator import Estimator
from ..spectra.residuals import ResidualSpectra, cmb_variance, mean_systematic
from .r_likelihood import REstimate, measure_r

log = logging.getLogger(__name__)

# What is averaged over noise realisations; all but the first two can select a configuration.
AVERAGES = ["nll", "n_at_bounds", "variance", "aic", "evidence", "cross_validation"]


def fit_configuration(
    configuration: str,
    draws: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    data: np.ndarray,
    estimator: Estimator,
    model: SpectralModel,
    halves: np.ndarray | None = None,
    propagation: str = "nonlinear",
    **settings,
) -> pd.DataFrame:
    """Fits and residual spectra of one configuration.

    Parameters
    ----------
    configuration : str
    draws : list of dict
        See `partitions.partition`.
    sky : RegionSky
    realizations : list of int
    data : array
        What `observe` makes of them.
    estimator : Estimator
        Of the residuals' spectra.
    model : SpectralModel
    halves : array, optional
        What `observe_halves` makes of them: cross-validation is measured as well.
    propagation : str
        See `cleaning.clean`.
    settings :
        `max_iterations`, `tolerance` and `memory` of `fit.separate`.

    Returns
    -------
    DataFrame
        See `fit_table`, with `variance` of the CMB map in µK², `cross_validation` (NaN where it is
        not measured), and as lists over the estimator's bins the BB spectra `total` and
        `statistical` in µK²; of the foregrounds alone, `systematic`.
    """
    fits = clean(configuration, draws, sky, data, model, propagation=propagation, **settings)
    spectra = spectra_of_fits(fits, sky, estimator)
    table = fit_table(fits, realizations)
    table["variance"] = cmb_variance(fits.cmb)
    table["cross_validation"] = (
        np.nan
        if halves is None
        else cross_validation_misfit(configuration, draws, sky, halves, model, **settings)
    )
    table["total"] = [None, *spectra.total]
    table["statistical"] = [None, *spectra.statistical]
    table["systematic"] = [spectra.systematic] + [None] * len(realizations)
    return table


def fit_shard(
    names: list[str],
    draws: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    folder: str | Path,
    code: str,
    progress: str | Path,
    spectra: dict,
    model: SpectralModel,
    cross_validation: bool = False,
    **settings,
) -> pd.DataFrame:
    """Fit every configuration to every realisation, but for what the folder has already.

    Parameters
    ----------
    names : list of str
        Configurations, see `partitions.configurations`.
    draws : list of dict
        See `partitions.partition`.
    sky : RegionSky
    realizations : list of int
        Numbers of the noise realisations, see `RegionSky.observe`.
    folder : str or Path
        Where finished configurations are kept.
    code : str
        Fingerprint of the code that computes them.
    progress : str or Path
        File that says, while the shard runs, how far it is, see `progress.read_progress`.
    spectra : dict
        `estimator`, `apodization` and `bin_width` of `Estimator.of`.
    model : SpectralModel
    cross_validation : bool
        Whether to measure `cross_validation_misfit`, which takes as many fits again.
    settings :
        See `fit_configuration`.

    Returns
    -------
    DataFrame
        A row per configuration, see `average`.
    """
    data = observe(sky, realizations)
    halves = observe_halves(sky, realizations) if cross_validation else None
    estimator = Estimator.of(sky.pixels, sky.nside, **spectra)
    what_matters = {name: value for name, value in settings.items() if name != "memory"}
    store = Store(
        Path(folder),
        fingerprint(
            code,
            data,
            halves,
            sky.cmb,
            sky.noise.sigma,
            sky.bandpasses.nodes,
            sky.bandpasses.weights,
            model.content,
            estimator.weights,
            spectra,
            model.bounds,
            model.start,
            what_matters,
        ),
    )
    log.info(
        "%s: %d configurations × %d realisations, %d pixels in %d bands, on %s",
        sky.region,
        len(names),
        len(realizations),
        len(sky.pixels),
        len(sky.bandpasses),
        device().device_kind,
    )
    rows = []
    with exclusive(progress):
        meter = Meter(Path(progress), len(names), len(data))
        for name in names:
            labels = patch_labels(name, draws)
            table = store.get(name, *labels)
            kept = table is not None
            if not kept:
                table = fit_configuration(
                    name, draws, sky, realizations, data, estimator, model, halves, **settings
                )
                store.put(name, table, *labels)
            rows.append(average(name, draws, sky, table))
            meter.tick(name, kept, int((~table["converged"]).sum()), table["iterations"].mean())
    return pd.DataFrame(rows)


def average(name: str, draws: list[Partitions], sky: RegionSky, table: pd.DataFrame) -> dict:
    """One configuration of a shard in a row, of its `fit_configuration`.

    `n_unconverged` counts noise realisations; `n_unconverged_systematic` is 1 if the fit to
    foregrounds alone did not converge. `AVERAGES` and the spectra, arrays over bins, are averages
    over noise realisations. Numbers of patches are those of the first draw.
    """
    counts = count_fits(table)
    noisy = table[table["realization"] != FOREGROUNDS_ONLY]
    return {
        "configuration": name,
        **count_patches(configuration_patches(name, draws[0])),
        "f_sky": len(sky.pixels) / hp.nside2npix(sky.nside),
        **noisy[AVERAGES].mean().to_dict(),
        "n_realizations": len(noisy),
        "n_unconverged": int(counts["n_unconverged"].sum()),
        "n_unconverged_systematic": int(counts["n_unconverged_systematic"].iloc[0]),
        "total": np.mean(noisy["total"].to_list(), axis=0),
        "statistical": np.mean(noisy["statistical"].to_list(), axis=0),
        "systematic": table["systematic"].iloc[0],
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


def estimate_r_of_configurations(
    metrics: pd.DataFrame,
    spectra: pd.DataFrame,
    theory: pd.DataFrame,
    r_input: float,
    mock_spectra: list[pd.DataFrame],
    amplitude_scatter: float,
    **grid,
) -> pd.DataFrame:
    """r of every configuration of a method in one region.

    Parameters
    ----------
    metrics : DataFrame
        See `gather`.

    Other parameters are those of `estimate_r_of_configuration`.

    Returns
    -------
    DataFrame
        The metrics with r_hat, sigma_r_minus, sigma_r_plus, r_upper68, and whether the
        `foreground_residual` is `marginalised` or `neglected`.
    """
    rows = []
    for row in metrics.to_dict("records"):
        estimate = estimate_r_of_configuration(
            row["configuration"],
            spectra,
            theory,
            r_input,
            mock_spectra,
            amplitude_scatter,
            **grid,
        )
        rows.append(row | estimate.headline)
        log.info("%(configuration)s: r_hat %(r_hat).3g, r_upper68 %(r_upper68).3g", rows[-1])
    treatment = "marginalised" if mock_spectra else "neglected"
    return pd.DataFrame(rows).assign(foreground_residual=treatment)


def estimate_r_of_configuration(
    configuration: str,
    spectra: pd.DataFrame,
    theory: pd.DataFrame,
    r_input: float,
    mock_spectra: list[pd.DataFrame],
    amplitude_scatter: float,
    **grid,
) -> REstimate:
    """r of one configuration in one region.

    Parameters
    ----------
    configuration : str
    spectra : DataFrame
        See `gather`.
    theory, r_input, amplitude_scatter, grid :
        See `r_likelihood.measure_r`.
    mock_spectra : list of DataFrame
        `spectra` of mock skies: what is left of their foregrounds is allowed for. Of none it is
        neglected.
    """
    own = spectra[spectra["configuration"] == configuration]
    return measure_r(
        own["total"].to_numpy(),
        own["statistical"].to_numpy(),
        theory,
        r_input,
        mean_systematic(mock_spectra, configuration),
        amplitude_scatter,
        **grid,
    )
