"""Judging: r of chosen configurations, from all trials of a set together.

What differs between the realisations of a set is the error of every figure.
"""

import numpy as np
import pandas as pd

from ..separation.partitions import N_PATCHES
from ..spectra.residuals import ResidualSpectra
from .r_likelihood import REstimate, measure_r

# What r is measured with, and what tells the rows of one sky's tables apart.
KINDS = ["pixel_weights", "foreground_residual", "templates"]
LABEL = ["region", "configuration", *KINDS]
# Points of the likelihood where only its scatter from draw to draw counts.
N_POINTS = 101


def judge(
    trials: list[pd.DataFrame],
    bands: pd.DataFrame,
    r_input: float,
    resamplings: int,
    seed: int,
    foreground_residual: str = "neglected",
    amplitude_scatter: float = 0.0,
    **grid,
) -> tuple[dict, REstimate, np.ndarray]:
    """r of one configuration in one area, from all trials of a set together.

    Parameters
    ----------
    trials : list of DataFrame
        Rows of `trials.measure`, a table per trial.
    bands, r_input, amplitude_scatter, grid :
        See `likelihood.measure_r`; of the modes of `bands` the weights of pixels leave a fraction.
    foreground_residual : str
        `marginalised` allows for what rehearsals leave of their foregrounds.
    resamplings, seed :
        Of the bootstrap: trials are drawn again, and realisations within each. The same seed
        draws the same ones, so that samples of two methods are paired.

    Returns
    -------
    row : dict
        r_hat, sigma_r_minus, sigma_r_plus, r_upper68 and the bootstrap's error of each; the
        shortest intervals `r68`, `r95` (`_low`, `_high`), and with r ≥ 0 `r68_physical`,
        `r95_physical`; `r_single_bias` and `r_single_scatter` of r_hat over single realisations,
        without cosmic variance; averages and counts.
    estimate : REstimate
    samples : array (resamplings, 3)
        r_hat, sigma_r_plus and r_upper68 of the bootstrap.
    """
    rows = pd.concat(trials, ignore_index=True)
    marginalised = foreground_residual == "marginalised"
    names = ["total", "statistical"] + ["rehearsed"] * marginalised
    spectra = [np.stack(rows[name].to_list()) for name in names]

    bands = bands.assign(n_modes=bands["n_modes"] * rows["mode_fraction"].mean())

    def measure(total, statistical, residual=None, **grid):
        return measure_r(total, statistical, bands, r_input, residual, amplitude_scatter, **grid)

    mean = [one.mean(axis=0) for one in spectra]
    estimate = measure(*mean, **grid)
    single = np.array([measure(one, *mean[1:], n_points=N_POINTS).r_hat for one in spectra[0]])
    rng = np.random.default_rng(seed)
    members = np.split(np.arange(len(rows)), np.cumsum([len(trial) for trial in trials])[:-1])
    samples = []
    for _ in range(resamplings):
        drawn = np.concatenate(
            [
                rng.choice(members[trial], len(members[trial]))
                for trial in rng.integers(len(trials), size=len(trials))
            ]
        )
        again = measure(*(one[drawn].mean(axis=0) for one in spectra), n_points=N_POINTS)
        samples.append((again.r_hat, again.sigma_plus, again.r_upper68))
    samples = np.array(samples)
    row = {
        **rows[N_PATCHES].iloc[0].to_dict(),
        **estimate.headline,
        **dict(
            zip(
                ("r_hat_error", "sigma_r_plus_error", "r_upper68_error"),
                samples.std(axis=0, ddof=1),
                strict=True,
            )
        ),
        **estimate.intervals(),
        **estimate.intervals(0.0, "_physical"),
        "r_input": r_input,
        "r_single_bias": single.mean() - r_input,
        "r_single_scatter": single.std(ddof=1) if len(single) > 1 else np.nan,
        **rows[["variance", "mode_fraction"]].mean().to_dict(),
        "f_sky": rows["f_sky"].iloc[0],
        "n_trials": len(trials),
        "n_realizations": len(rows),
        "n_unconverged": int(rows["n_unconverged"].sum()),
        # The same in all rows of a trial.
        **{
            key: sum(int(trial[key].iloc[0]) for trial in trials)
            for key in ("n_unconverged_systematic", "n_unconverged_rehearsed")
        },
        "n_at_bounds": rows["n_at_bounds"].mean(),
    }
    return row, estimate, samples


def mean_spectra(trials: list[pd.DataFrame], bands: pd.DataFrame, r_input: float) -> pd.DataFrame:
    """BB of one configuration's residuals, averaged, and of the sky, by bin.

    Returns
    -------
    DataFrame
        `ell` and in µK² `total`, `statistical` and `systematic` residual, `lensing`, `tensor` at
        r = 1 in the sky's cosmology, and what is `observed`: r_input tensor + lensing + total.
    """
    rows = pd.concat(trials, ignore_index=True)
    curves = {name: np.mean(rows[name].to_list(), axis=0) for name in ResidualSpectra._fields}
    lensing, tensor = bands["bb_lensing"], bands["sky_bb_tensor"]
    return pd.DataFrame(
        {
            "ell": bands["ell"],
            **curves,
            "lensing": lensing,
            "tensor": tensor,
            "observed": r_input * tensor + lensing + curves["total"],
        }
    )


def shown(criterion: str, judged: pd.DataFrame) -> pd.DataFrame:
    """A criterion's rows, of several of `KINDS` those of the first of each."""
    first = judged[KINDS].eq(judged[KINDS].iloc[0]).all(axis=1)
    return judged[first & judged["criterion"].eq(criterion)]


def shown_tables(
    criterion: str, tables: dict[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame]]
) -> pd.DataFrame:
    """Curves or spectra of what a criterion chose, of several sets and methods.

    Parameters
    ----------
    tables : dict of (str, str) to (judged, table)
        By (set, method): rows of `judge`, and a table with the columns `LABEL`.

    Returns
    -------
    DataFrame
        `set`, `method`, and the rows of the tables that belong to those of `shown`, each with
        r_hat, sigma_r_minus, sigma_r_plus, r_upper68 and r_input of the latter.
    """
    columns = [*LABEL, "r_hat", "sigma_r_minus", "sigma_r_plus", "r_upper68", "r_input"]
    found = []
    for (name, method), (judged, table) in tables.items():
        rows = shown(criterion, judged)[columns].merge(table, on=LABEL)
        rows.insert(0, "set", name)
        rows.insert(1, "method", method)
        found.append(rows)
    return pd.concat(found, ignore_index=True)
