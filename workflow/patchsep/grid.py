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
from .fit import Separation, separate
from .noise import FOREGROUNDS_ONLY
from .patches import PARAMETERS, Partitions, configuration_patches
from .provenance import fingerprint
from .residuals import ELL_MIN, cmb_variance, residual_spectra
from .shards import Meter, alone
from .sky import RegionSky

log = logging.getLogger(__name__)

SPECTRA = ("total", "statistical", "systematic")


def observe(sky: RegionSky, realizations: list[int]) -> np.ndarray:
    """Data to fit (1 + n_realizations, n_bands, 2, n_pixels): foregrounds alone come first."""
    return np.stack([sky.observe(number) for number in (FOREGROUNDS_ONLY, *realizations)])


def clean(
    configuration: str, partitions: Partitions, sky: RegionSky, data: np.ndarray, **settings
) -> Separation:
    """Fit one configuration to data of `observe`; `settings` are those of `fit.separate`."""
    patches = configuration_patches(configuration, partitions)
    return separate(data, sky.sigma, sky.frequencies, patches, **settings)


def fit_configuration(
    configuration: str,
    partitions: Partitions,
    sky: RegionSky,
    realizations: list[int],
    data: np.ndarray,
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
    settings :
        `bounds`, `start`, `max_iterations`, `tolerance`, `memory` of `fit.separate`.

    Returns
    -------
    DataFrame
        A row for the foregrounds alone, `realization` FOREGROUNDS_ONLY, and one per noise
        realisation: `nll`, `iterations`, `gradient`, `converged`, `n_at_bounds`, `variance`
        of the CMB map in µK², and as lists over ell = 2 … 2 nside + 1 the BB spectra
        `total` and `statistical` in µK²; of the foregrounds alone, `systematic`.
    """
    result = clean(configuration, partitions, sky, data, **settings)
    systematic, recovered = result.cmb[0], result.cmb[1:]
    spectra = residual_spectra(recovered, sky.cmb, systematic, sky.pixels, sky.nside)
    table = pd.DataFrame({"realization": [FOREGROUNDS_ONLY, *realizations]})
    for column in ("nll", "iterations", "gradient", "converged", "n_at_bounds"):
        table[column] = getattr(result, column)
    table["variance"] = cmb_variance(result.cmb)
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
    settings :
        See `fit_configuration`.

    Returns
    -------
    DataFrame
        A row per configuration, see `average`.
    """
    data = observe(sky, realizations)
    what_matters = {name: value for name, value in settings.items() if name != "memory"}
    store = Store(
        Path(folder),
        fingerprint(code, data, sky.cmb, sky.sigma, sky.frequencies, sky.pixels, what_matters),
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
                table = fit_configuration(name, partitions, sky, realizations, data, **settings)
                store.put(name, key, table)
            rows.append(average(name, partitions, sky, table))
            meter.tick(name, kept, int((~table["converged"]).sum()), table["iterations"].mean())
    return pd.DataFrame(rows)


def average(name: str, partitions: Partitions, sky: RegionSky, table: pd.DataFrame) -> dict:
    """One configuration of a shard in a row, of its `fit_configuration`.

    `n_unconverged` counts noise realisations; `n_unconverged_systematic` is 1 if the fit to
    foregrounds alone did not converge. `variance`, `n_at_bounds` and the spectra, arrays over
    ell, are averages over noise realisations.
    """
    foregrounds = table["realization"] == FOREGROUNDS_ONLY
    noisy = table[~foregrounds]
    patches = configuration_patches(name, partitions)
    return {
        "configuration": name,
        **{f"n_patches_{key}": len(np.unique(labels)) for key, labels in patches.items()},
        "f_sky": len(sky.pixels) / hp.nside2npix(sky.nside),
        "variance": noisy["variance"].mean(),
        "n_realizations": len(noisy),
        "n_unconverged": int((~noisy["converged"]).sum()),
        "n_unconverged_systematic": int((~table["converged"][foregrounds]).sum()),
        "n_at_bounds": noisy["n_at_bounds"].mean(),
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
        A row per configuration and multipole: `ell` and C_ell^BB of the `total`,
        `statistical` and `systematic` residual in µK²_CMB.
    """
    everything = dict(list(pd.concat(tables, ignore_index=True).groupby("configuration")))
    metrics, spectra = [], []
    for name in names:
        rows = everything[name]
        weights = rows["n_realizations"]
        row = rows.iloc[0].to_dict()
        for column in ("variance", "n_at_bounds", "total", "statistical"):
            row[column] = np.average(np.stack(rows[column].to_list()), axis=0, weights=weights)
        for column in ("n_realizations", "n_unconverged"):
            row[column] = int(rows[column].sum())
        spectra.append(spectra_table(name, *(row.pop(column) for column in SPECTRA)))
        metrics.append(row)
    return pd.DataFrame(metrics), pd.concat(spectra, ignore_index=True)


def spectra_table(
    configuration: str, total: np.ndarray, statistical: np.ndarray, systematic: np.ndarray
) -> pd.DataFrame:
    """Residual spectra of one configuration, averaged over realisations, by multipole."""
    ell = ELL_MIN + np.arange(len(total))
    curves = dict(zip(SPECTRA, (total, statistical, systematic), strict=True))
    return pd.DataFrame({"configuration": configuration, "ell": ell, **curves})


def combine_metrics(regions: list[dict], recovered: np.ndarray) -> dict:
    """Metrics of regions put together: sums over them, and the variance of the whole map."""
    total = pd.DataFrame(regions).drop(columns="configuration").sum()
    return {
        "configuration": " + ".join(region["configuration"] for region in regions),
        **{name: int(total[name]) for name in total.index if name.startswith("n_")},
        "n_at_bounds": total["n_at_bounds"],
        "n_realizations": regions[0]["n_realizations"],
        "f_sky": total["f_sky"],
        "variance": cmb_variance(recovered).mean(),
    }
