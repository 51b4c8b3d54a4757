"""Validation: estimators of BB and of r on skies without foregrounds, of known E and B."""

from concurrent.futures import ThreadPoolExecutor

import healpy as hp
import numpy as np
import pandas as pd

from .harmonics import gaussian_qu, n_cores
from .likelihood import estimate_r
from .spectra import FEWEST_MODES, Estimator


def leakage(
    estimator: Estimator, templates: pd.DataFrame, r: float, realizations: int, seed: int
) -> pd.DataFrame:
    """What an estimator makes of E modes alone, and of B modes alone.

    Parameters
    ----------
    estimator : Estimator
    templates : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    r : float
    realizations, seed : int

    Returns
    -------
    DataFrame
        A row per bin: `ell`, `expected` BB, and mean and scatter over skies of what is measured,
        `from_e`, `from_e_scatter`, `from_b`, `from_b_scatter`, in µK².
    """
    ee = (templates["ee_scalar"] + r * templates["ee_tensor"]).to_numpy()
    bb = (templates["bb_lensing"] + r * templates["bb_tensor"]).to_numpy()
    columns = {"ell": estimator.ell, "expected": estimator.bins @ bb[: estimator.bins.shape[1]]}
    for source, spectra in (("e", (ee, 0 * bb)), ("b", (0 * ee, bb))):
        measured = _measured(estimator, *spectra, 0.0, realizations, [seed, ord(source)])
        columns[f"from_{source}"] = measured.mean(axis=0)
        columns[f"from_{source}_scatter"] = measured.std(axis=0, ddof=1)
    return pd.DataFrame(columns)


def recover_r(
    estimator: Estimator,
    templates: pd.DataFrame,
    noise: float,
    r: float,
    realizations: int,
    seed: int,
) -> pd.DataFrame:
    """r of skies with E, B and white noise, from their own spectra, cosmic variance included.

    With `pseudo` the modes of a bin are as published, and what E modes and noise leave on average
    is known from as many other skies. Otherwise the average is that of lensing and noise, and
    the modes are those that the scatter of the other skies stands for: leaked E modes scatter
    even where they vanish on average.

    Parameters
    ----------
    estimator : Estimator
    templates : DataFrame
        `cmb.cmb_spectra` of the skies up to 3 nside - 1.
    noise : float
        rms per pixel in µK.
    r : float
    realizations, seed : int

    Returns
    -------
    DataFrame
        A row per sky: `r_hat`, the half widths of its likelihood `sigma_r_minus`,
        `sigma_r_plus`, and the ends of the shortest intervals, `r68_low` … `r95_high`.
    """
    ee = (templates["ee_scalar"] + r * templates["ee_tensor"]).to_numpy()
    lensing, tensor = (templates[name].to_numpy() for name in ("bb_lensing", "bb_tensor"))
    bb = lensing + r * tensor
    n_ell = estimator.bins.shape[1]
    tensor = estimator.bins @ tensor[:n_ell]
    measured, others = (
        _measured(estimator, ee, bb, noise, realizations, [seed, number]) for number in (0, 1)
    )
    if estimator.name == "pseudo":
        floor = others.mean(axis=0) - r * tensor
        n_modes = estimator.n_modes(bb, realizations, seed)
    else:
        white = noise**2 * hp.nside2pixarea(estimator.nside)
        floor = estimator.bins @ (lensing[:n_ell] + white)
        expected = floor + r * tensor
        n_modes = 2 * expected**2 / np.mean((others - expected) ** 2, axis=0)
    used = n_modes >= FEWEST_MODES
    rows = []
    for observed in measured:
        estimate = estimate_r(observed[used], tensor[used], floor[used], n_modes[used])
        row = {
            "r_hat": estimate.r_hat,
            "sigma_r_minus": estimate.sigma_minus,
            "sigma_r_plus": estimate.sigma_plus,
        }
        for percent in (68, 95):
            row[f"r{percent}_low"], row[f"r{percent}_high"] = estimate.interval(percent / 100)
        rows.append(row)
    return pd.DataFrame(rows)


def coverage(estimates: pd.DataFrame, r: float) -> dict[str, float]:
    """Bias of r in units of its error, and how often intervals hold the true one.

    `bias` and its standard error `bias_error` are in units of the mean sigma; `coverage68` and
    `coverage95` are fractions of skies.
    """
    sigma = estimates[["sigma_r_minus", "sigma_r_plus"]].to_numpy().mean()
    found = {
        "sigma": sigma,
        "scatter": estimates["r_hat"].std(ddof=1),
        "bias": (estimates["r_hat"].mean() - r) / sigma,
        "bias_error": estimates["r_hat"].sem() / sigma,
    }
    for percent in (68, 95):
        inside = estimates[f"r{percent}_low"].le(r) & estimates[f"r{percent}_high"].ge(r)
        found[f"coverage{percent}"] = inside.mean()
    return found


def _measured(estimator, ee, bb, noise, realizations, seed):
    """Spectra (realizations, n_bins) of Gaussian skies with white noise."""

    def spectrum(number):
        rng = np.random.default_rng([*seed, number])
        qu = gaussian_qu(ee, bb, estimator.nside, rng)
        qu += noise * rng.standard_normal((2, hp.nside2npix(estimator.nside)))
        return estimator.spectrum(estimator.modes(qu))

    # What the estimator keeps is computed once, and not by every thread.
    first = spectrum(0)
    with ThreadPoolExecutor(n_cores()) as pool:
        return np.stack([first, *pool.map(spectrum, range(1, realizations))])
