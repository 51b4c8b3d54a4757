"""Judging: r of chosen configurations, from all trials of a set together.

What differs between the realisations of a set is the error of every figure.
"""

import numpy as np
import pandas as pd

from .likelihood import REstimate, measure_r
from .patches import N_PATCHES
from .residuals import ResidualSpectra

# What tells the rows of one sky's tables apart.
LABEL = ["region", "configuration", "pixel_weights"]


def judge(
    trials: list[pd.DataFrame],
    bands: pd.DataFrame,
    r_input: float,
    resamplings: int,
    seed: int,
    **grid,
) -> tuple[dict, REstimate, np.ndarray]:
    """r of one configuration in one area, from all trials of a set together.

    Parameters
    ----------
    trials : list of DataFrame
        Rows of `trials.measure`, a table per trial.
    bands, r_input, grid :
        See `likelihood.measure_r`; of the modes of `bands` the weights of pixels leave a fraction.
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
    total, statistical = (np.stack(rows[name].to_list()) for name in ("total", "statistical"))

    bands = bands.assign(n_modes=bands["n_modes"] * rows["mode_fraction"].mean())
    floor = statistical.mean(axis=0)
    estimate = measure_r(total.mean(axis=0), floor, bands, r_input, **grid)
    single = np.array(
        [measure_r(spectrum, floor, bands, r_input, n_points=101).r_hat for spectrum in total]
    )
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
        means = total[drawn].mean(axis=0), statistical[drawn].mean(axis=0)
        again = measure_r(*means, bands, r_input, n_points=501)
        samples.append((again.r_hat, again.sigma_plus, again.r_upper68))
    samples = np.array(samples)
    row = {
        **rows[["configuration", "pixel_weights"]].iloc[0].to_dict(),
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
        "r_single_bias": single.mean() - r_input,
        "r_single_scatter": single.std(ddof=1) if len(single) > 1 else np.nan,
        **rows[["variance", "mode_fraction"]].mean().to_dict(),
        "f_sky": rows["f_sky"].iloc[0],
        "n_trials": len(trials),
        "n_realizations": len(rows),
        "n_unconverged": int(rows["n_unconverged"].sum()),
        # The same in all rows of a trial.
        "n_unconverged_systematic": sum(
            int(trial["n_unconverged_systematic"].iloc[0]) for trial in trials
        ),
        "n_at_bounds": rows["n_at_bounds"].mean(),
    }
    return row, estimate, samples


def mean_spectra(trials: list[pd.DataFrame], bands: pd.DataFrame) -> pd.DataFrame:
    """`ell` and mean `total`, `statistical`, `systematic` spectra of one configuration."""
    rows = pd.concat(trials, ignore_index=True)
    curves = {name: np.mean(rows[name].to_list(), axis=0) for name in ResidualSpectra._fields}
    return pd.DataFrame({"ell": bands["ell"], **curves})


def shown(criterion: str, judged: pd.DataFrame) -> pd.DataFrame:
    """A criterion's rows, of several pixel weights those of the first."""
    first = judged["pixel_weights"].eq(judged["pixel_weights"].iloc[0])
    return judged[first & judged["criterion"].eq(criterion)]


def of_criterion(
    criterion: str, judged: pd.DataFrame, table: pd.DataFrame
) -> dict[str, tuple[pd.Series, pd.DataFrame]]:
    """A criterion's choice in every area: its row of `shown`, and its rows of `table`."""
    by_label = dict(list(table.groupby(LABEL)))
    return {
        row["region"]: (row, by_label[tuple(row[LABEL])])
        for _, row in shown(criterion, judged).iterrows()
    }
