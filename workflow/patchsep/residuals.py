"""Residuals: what foreground cleaning leaves in the CMB map, and its BB spectra."""

import healpy as hp
import numpy as np
import pandas as pd

from .fit import parameter_maps
from .harmonics import bb_spectrum
from .noise import FOREGROUNDS_ONLY
from .patches import PARAMETERS, Partitions, configuration_patches
from .sky import RegionSky
from .spectral import Bands, mixing
from .spectral import recover as recover_components

ELL_MIN = 2


def ell_max(nside: int) -> int:
    """Highest multipole of the analysis, 2 nside + 1 (129 at nside 64)."""
    return 2 * nside + 1


def full_sky(values: np.ndarray, pixels: np.ndarray, nside: int, fill: float = 0.0) -> np.ndarray:
    """Spread (..., n_pixels) over the sky: (..., 12 nside²), `fill` elsewhere."""
    sky = np.full((*values.shape[:-1], hp.nside2npix(nside)), fill, dtype=float)
    sky[..., pixels] = values
    return sky


def recover(
    fits: pd.DataFrame,
    configuration: str,
    partitions: Partitions,
    sky: RegionSky,
    realizations: list[int],
) -> np.ndarray:
    """CMB maps of one configuration, from the parameters that were fitted.

    Parameters
    ----------
    fits : DataFrame
        `grid.fit_configurations` of these realisations.
    configuration : str
    partitions : dict
        Labels by value.
    sky : RegionSky
    realizations : list of int
        Their data are drawn again, see `RegionSky.observe`. `[FOREGROUNDS_ONLY]` gives
        the systematic residual: what a fit to foregrounds alone, with the same noise
        weights and bounds, takes for CMB.

    Returns
    -------
    array (n_realizations, 2, n_pixels), µK_CMB
    """
    rows = fits[fits["configuration"] == configuration].set_index("realization")
    patches = configuration_patches(configuration, partitions)
    bands = Bands.of(sky.frequencies, sky.sigma)

    def cmb(realization):
        maps = parameter_maps(rows.loc[realization, list(PARAMETERS)], patches)
        data = sky.observe(realization)
        return np.stack(recover_components(mixing(maps, bands), data, bands).cmb)

    return np.stack([cmb(realization) for realization in realizations])


def masked_bb(qu: np.ndarray, pixels: np.ndarray, nside: int) -> np.ndarray:
    """BB pseudo-spectrum over f_sky of a map known on `pixels`, ell = 2 … 2 nside + 1.

    Parameters
    ----------
    qu : array (2, n_pixels), µK_CMB
    pixels : int array (n_pixels,)

    Returns
    -------
    array (2 nside,), µK²_CMB
    """
    sky_fraction = len(pixels) / hp.nside2npix(nside)
    spectrum = bb_spectrum(full_sky(qu, pixels, nside), ell_max(nside))
    return spectrum[ELL_MIN:] / sky_fraction


def residual_spectra(
    recovered: np.ndarray, true: np.ndarray, systematic: np.ndarray, pixels: np.ndarray, nside: int
) -> pd.DataFrame:
    """Residual BB spectra of one configuration (arXiv:2604.08463, eq. 14 for the statistical).

    Parameters
    ----------
    recovered : array (n_realizations, 2, n_pixels)
        Recovered CMB maps, µK_CMB.
    true, systematic : arrays (2, n_pixels)
        The CMB that went in, and the CMB map of the fit to foregrounds alone.
    pixels : int array (n_pixels,)

    Returns
    -------
    DataFrame
        One row per multipole and realisation: `realization`, `ell`, and C_ell of the
        `total` residual (recovered - true), the `statistical` one (recovered - true -
        systematic), both in µK²_CMB, and the `systematic` one, the same in every
        realisation.
    """
    systematic_cl = masked_bb(systematic, pixels, nside)
    ell = np.arange(ELL_MIN, ell_max(nside) + 1)
    tables = [
        pd.DataFrame(
            {
                "realization": index,
                "ell": ell,
                "total": masked_bb(cmb - true, pixels, nside),
                "statistical": masked_bb(cmb - true - systematic, pixels, nside),
                "systematic": systematic_cl,
            }
        )
        for index, cmb in enumerate(recovered)
    ]
    return pd.concat(tables, ignore_index=True)


def cmb_variance(recovered: np.ndarray) -> float:
    """Variance of the recovered CMB over pixels, Q plus U, averaged over realisations.

    Parameters
    ----------
    recovered : array (n_realizations, 2, n_pixels), µK_CMB

    Returns
    -------
    float, µK²_CMB
        The criterion of the paper's first draft.
    """
    return float(np.var(recovered, axis=-1).sum(axis=-1).mean())


def configuration_metrics(
    fits: pd.DataFrame,
    configuration: str,
    partitions: Partitions,
    recovered: np.ndarray,
    sky: RegionSky,
) -> dict:
    """One row of a table of configurations: patches, sky fraction, variance and convergence.

    `n_unconverged` counts noise realisations; `n_unconverged_systematic` is 1 if the fit to
    foregrounds alone did not converge. `n_at_bounds` is the number of parameters at a bound,
    averaged over noise realisations.
    """
    rows = fits[fits["configuration"] == configuration]
    noisy = rows["realization"] != FOREGROUNDS_ONLY
    patches = configuration_patches(configuration, partitions)
    return {
        "configuration": configuration,
        **{f"n_patches_{name}": len(np.unique(labels)) for name, labels in patches.items()},
        "f_sky": len(sky.pixels) / hp.nside2npix(sky.nside),
        "variance": cmb_variance(recovered),
        "n_realizations": int(noisy.sum()),
        "n_unconverged": int((noisy & ~rows["converged"]).sum()),
        "n_unconverged_systematic": int((~noisy & ~rows["converged"]).sum()),
        "n_at_bounds": float(rows.loc[noisy, "n_at_bounds"].mean()),
    }


def combine_metrics(regions: list[dict], recovered: np.ndarray) -> dict:
    """Metrics of regions put together: sums over them, and the variance of the whole map."""
    total = pd.DataFrame(regions).drop(columns="configuration").sum()
    return {
        "configuration": " + ".join(region["configuration"] for region in regions),
        **{name: int(total[name]) for name in total.index if name.startswith("n_")},
        "n_at_bounds": total["n_at_bounds"],
        "n_realizations": regions[0]["n_realizations"],
        "f_sky": total["f_sky"],
        "variance": cmb_variance(recovered),
    }
