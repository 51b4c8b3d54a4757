"""The grid: configurations of patches × noise realisations, in shards that lose nothing.

A shard is some configurations and some realisations of one region. Each configuration is
kept when it is done, in a file of its own that carries the fingerprint of everything it
depends on; a shard that is started again, for whatever reason, computes what is missing.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import healpy as hp
import jax
import numpy as np
import pandas as pd

from .files import DamagedFile, read_table, write_table
from .fit import Separation, misfit, parameter_maps, separate
from .noise import FOREGROUNDS_ONLY
from .patches import PARAMETERS, Partitions, configuration_patches, count_patches
from .provenance import fingerprint
from .residuals import ResidualSpectra, cmb_variance, residual_spectra
from .shards import Meter, alone
from .sky import RegionSky
from .spectra import Estimator

log = logging.getLogger(__name__)

# What is averaged over noise realisations; all but the first two can choose a configuration.
AVERAGES = ["nll", "n_at_bounds", "variance", "information", "evidence", "held_out"]


def observe(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Data to fit (1 + n_realizations, n_bands, 2, n_pixels): foregrounds alone come first."""
    return np.stack([sky.observe(number) for number in (FOREGROUNDS_ONLY, *realizations)])


def observe_halves(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Splits of the same data, to fit and to score: array (2, 1 + n_realizations, …)."""
    return np.stack([sky.halves(number) for number in (FOREGROUNDS_ONLY, *realizations)], axis=1)


def clean(
    configuration: str, partitions: Partitions, sky: RegionSky, data: np.ndarray, **settings
) -> Separation:
    """Fit one configuration to data of `observe`; `settings` are those of `fit.separate`."""
    patches = configuration_patches(configuration, partitions)
    return separate(data, sky.sigma, sky.frequencies, patches, **settings)


def held_out_misfit(
    configuration: str, partitions: Partitions, sky: RegionSky, halves: np.ndarray, **settings
) -> np.ndarray:
    """Misfit (1 + n_realizations,) of one half of the data for parameters fitted to the other half.

    It knows nothing of the truth: too few patches miss what varies, too many follow the noise of
    the half that they were fitted to.
    """
    fitted, scored = halves
    sigma = np.sqrt(2) * sky.sigma
    patches = configuration_patches(configuration, partitions)
    parameters = separate(
        fitted, sigma, sky.frequencies, patches, components=(), **settings
    ).parameters
    maps = [
        parameter_maps({name: values[i] for name, values in parameters.items()}, patches)
        for i in range(len(fitted))
    ]
    return misfit(np.stack(maps), scored, sigma, sky.frequencies)


def information(result: Separation) -> np.ndarray:
    """Half of Akaike's criterion, NLL + free parameters (Akaike 1974), (n_realizations,)."""
    constrained = sum(np.isfinite(errors).sum(axis=1) for errors in result.errors.values())
    return result.nll + constrained - result.n_at_bounds


def evidence(result: Separation, bounds: dict[str, tuple[float, float]]) -> np.ndarray:
    """-ln of the evidence in Laplace's approximation, (n_realizations,).

    The prior is flat within the bounds, and the curvature's elements off the diagonal are left
    out; a parameter that the data do not constrain within its bounds neither adds nor takes.
    """
    total = result.nll.copy()
    for name, errors in result.errors.items():
        lower, upper = bounds[name]
        volume = np.sqrt(2 * np.pi) * errors / (upper - lower)
        total -= np.nansum(np.log(np.minimum(volume, 1)), axis=1)
    return total


def fit_configuration(
    configuration: str,
    partitions: Partitions,
    sky: RegionSky,
    realizations: list[int],
    data: np.ndarray,
    estimator: Estimator,
    halves: np.ndarray | None = None,
    **settings,
) -> pd.DataFrame:
    """Fits and residual spectra of one configuration.

    Parameters
    ----------
    configuration : str
    partitions : dict
        Labels by value.
    sky : RegionSky
    realizations : list of int
    data : array
        What `observe` makes of them.
    estimator : Estimator
        Of the residuals' spectra.
    halves : array, optional
        What `observe_halves` makes of them: the held-out misfit is measured as well.
    settings :
        `bounds`, `start`, `max_iterations`, `tolerance`, `memory` of `fit.separate`.

    Returns
    -------
    DataFrame
        A row for the foregrounds alone, `realization` FOREGROUNDS_ONLY, and one per noise
        realisation: `nll`, `iterations`, `gradient`, `converged`, `n_at_bounds`, `variance`
        of the CMB map in µK², `information`, `evidence`, `held_out` (NaN where it is not
        measured), and as lists over the estimator's bins the BB spectra `total` and
        `statistical` in µK²; of the foregrounds alone, `systematic`.
    """
    result = clean(configuration, partitions, sky, data, **settings)
    systematic, recovered = result.cmb[0], result.cmb[1:]
    spectra = residual_spectra(recovered, sky.cmb, systematic, sky.pixels, estimator)
    table = pd.DataFrame({"realization": [FOREGROUNDS_ONLY, *realizations]})
    for column in ("nll", "iterations", "gradient", "converged", "n_at_bounds"):
        table[column] = getattr(result, column)
    table["variance"] = cmb_variance(result.cmb)
    table["information"] = information(result)
    table["evidence"] = evidence(result, settings["bounds"])
    table["held_out"] = (
        np.nan
        if halves is None
        else held_out_misfit(configuration, partitions, sky, halves, **settings)
    )
    table["total"] = [None, *spectra.total]
    table["statistical"] = [None, *spectra.statistical]
    table["systematic"] = [spectra.systematic] + [None] * len(realizations)
    return table


@dataclass(frozen=True)
class Store:
    """Finished configurations, a Parquet file each.

    Attributes
    ----------
    folder : Path
    depends : str
        Fingerprint of what all of them depend on; files made with another are stale.
    """

    folder: Path
    depends: str

    def key(self, configuration: str, partitions: Partitions) -> str:
        labels = configuration_patches(configuration, partitions)
        return fingerprint(self.depends, *(labels[name] for name in PARAMETERS))

    def get(self, configuration: str, key: str) -> pd.DataFrame | None:
        """A finished configuration, None if there is none, or a stale or damaged one."""
        try:
            table = read_table(self.folder / f"{configuration}.parquet")
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            log.warning("%s", error)
            return None
        return table.drop(columns="key") if (table["key"] == key).all() else None

    def put(self, configuration: str, key: str, table: pd.DataFrame):
        write_table(self.folder / f"{configuration}.parquet", table.assign(key=key))


def fit_shard(
    names: list[str],
    partitions: Partitions,
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
    partitions : dict
        Labels by value.
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
            key = store.key(name, partitions)
            table = store.get(name, key)
            kept = table is not None
            if not kept:
                table = fit_configuration(
                    name, partitions, sky, realizations, data, estimator, halves, **settings
                )
                store.put(name, key, table)
            rows.append(average(name, partitions, sky, table))
            meter.tick(name, kept, int((~table["converged"]).sum()), table["iterations"].mean())
    return pd.DataFrame(rows)


def average(name: str, partitions: Partitions, sky: RegionSky, table: pd.DataFrame) -> dict:
    """One configuration of a shard in a row, of its `fit_configuration`.

    `n_unconverged` counts noise realisations; `n_unconverged_systematic` is 1 if the fit to
    foregrounds alone did not converge. `AVERAGES` and the spectra, arrays over bins, are averages
    over noise realisations.
    """
    foregrounds = table["realization"] == FOREGROUNDS_ONLY
    noisy = table[~foregrounds]
    patches = configuration_patches(name, partitions)
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
