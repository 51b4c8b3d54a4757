"""Validation: estimators of BB and of r on skies without foregrounds, of known E and B."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from ..inference.r_likelihood import estimate_r
from ..lazy import healpy as hp
from ..sky.harmonics import n_cores
from ..spectra.estimator import Estimator

COLUMNS = ["r_hat", "sigma_r_minus", "sigma_r_plus"] + [
    f"r{percent}_{end}" for percent in (68, 95) for end in ("low", "high")
]


def leakage(
    estimator: Estimator, theory: pd.DataFrame, r: float, realizations: int, seed: int
) -> pd.DataFrame:
    """What an estimator makes of E modes alone, and of B modes alone.

    Parameters
    ----------
    estimator : Estimator
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    r : float
    realizations, seed : int

    Returns
    -------
    DataFrame
        A row per bin: `ell`, `expected` BB, and mean and scatter over skies of what is measured,
        `from_e`, `from_e_scatter`, `from_b`, `from_b_scatter`, in µK².
    """
    ee = (theory["ee_scalar"] + r * theory["ee_tensor"]).to_numpy()
    bb = (theory["bb_lensing"] + r * theory["bb_tensor"]).to_numpy()
    columns = {"ell": estimator.ell, "expected": estimator.expected(bb)}
    for source, spectra in (("e", (ee, 0 * bb)), ("b", (0 * ee, bb))):
        measured = measured_spectra(estimator, *spectra, 0.0, realizations, [seed, ord(source)])
        columns[f"from_{source}"] = measured.mean(axis=0)
        columns[f"from_{source}_scatter"] = measured.std(axis=0, ddof=1)
    return pd.DataFrame(columns)


def recover_r(
    estimator: Estimator,
    theory: pd.DataFrame,
    noise: float,
    r: float,
    realizations: int,
    seed: int,
) -> pd.DataFrame:
    """r of skies with E, B and white noise, from their own spectra, cosmic variance included.

    What noise and E modes leave on average is known from as many other skies, and so are the
    modes of a bin, by the scatter of those skies: leaked E modes scatter even where they vanish
    on average. With `pseudo` modes are counted as published.

    Parameters
    ----------
    estimator : Estimator
    theory : DataFrame
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
    ee = (theory["ee_scalar"] + r * theory["ee_tensor"]).to_numpy()
    lensing, tensor = (theory[name].to_numpy() for name in ("bb_lensing", "bb_tensor"))
    bb = lensing + r * tensor
    tensor = estimator.expected(tensor)
    measured, others = (
        measured_spectra(estimator, ee, bb, noise, realizations, [seed, number])
        for number in (0, 1)
    )
    # Of decoupled spectra the mean is known to vanish, better than so many skies know it.
    leaked = 0 * ee if estimator.name == "decoupled" else ee
    alone = measured_spectra(estimator, leaked, 0 * bb, noise, realizations, [seed, 2])
    floor = estimator.expected(lensing) + alone.mean(axis=0)
    if estimator.name == "pseudo":
        n_modes = estimator.n_modes(bb, realizations, seed)
    else:
        n_modes = 2 * others.mean(axis=0) ** 2 / others.var(axis=0, ddof=1)
    used = estimator.used(n_modes)
    rows = []
    for observed in measured:
        if not np.all(observed[used] > 0):
            # Kept and counted, though the likelihood cannot use it.
            rows.append({})
            continue
        estimate = estimate_r(observed[used], tensor[used], floor[used], n_modes[used])
        rows.append(estimate.headline | estimate.intervals())
    return pd.DataFrame(rows, columns=COLUMNS)


def measured_spectra(estimator, ee, bb, noise, realizations, seed):
    """Spectra (realizations, n_bins) in µK² of Gaussian skies with white noise.

    Parameters
    ----------
    estimator : Estimator
    ee, bb : arrays (3 nside,), µK²
    noise : float or function
        rms of white noise per pixel in µK, or noise (2, 12 nside²) by the number of the sky.
    realizations : int
    seed : list of int
    """

    def spectrum(number):
        rng = np.random.default_rng([*seed, number])
        qu = estimator.draw_sky(ee, bb, rng)
        if callable(noise):
            qu += noise(number)
        else:
            qu += noise * rng.standard_normal((2, hp.nside2npix(estimator.nside)))
        return estimator.spectrum(estimator.modes(qu))

    # What the estimator keeps is computed once, and not by every thread.
    first = spectrum(0)
    with ThreadPoolExecutor(n_cores()) as pool:
        return np.stack([first, *pool.map(spectrum, range(1, realizations))])
