"""How often intervals of r hold the true one, over skies of which it is known."""

import numpy as np
import pandas as pd


def coverage(estimates: pd.DataFrame, r: float) -> dict[str, float]:
    """Bias of r in units of its error, and how often intervals hold the true one.

    Parameters
    ----------
    estimates : DataFrame
        `r_hat`, `sigma_r_minus`, `sigma_r_plus`, `r68_low` … `r95_high` of every sky, NaN where r
        cannot be measured.
    r : float
        The true one.

    Returns
    -------
    dict
        The mean `sigma`, the `scatter` of r_hat, its `bias` and the standard error `bias_error` in
        units of sigma, the number of skies `n_unusable`, which count as not held, and `coverage68`
        and `coverage95`, fractions of skies, with binomial errors.
    """
    sigma = estimates[["sigma_r_minus", "sigma_r_plus"]].mean(axis=1).mean()
    found = {
        "sigma": sigma,
        "scatter": estimates["r_hat"].std(ddof=1),
        "bias": (estimates["r_hat"].mean() - r) / sigma,
        "bias_error": estimates["r_hat"].sem() / sigma,
        "n_unusable": int(estimates["r_hat"].isna().sum()),
    }
    for percent in (68, 95):
        low, high = estimates[f"r{percent}_low"], estimates[f"r{percent}_high"]
        held = (low.le(r) & high.ge(r)).mean()
        found[f"coverage{percent}"] = held
        found[f"coverage{percent}_error"] = np.sqrt(held * (1 - held) / len(estimates))
    return found


def n_effective(skies: pd.DataFrame) -> int:
    """How many independent ranks scatter as those of skies among the same few mock skies do.

    It is that of two samples, as these few scatter as the skies do (Smirnov 1939).

    Parameters
    ----------
    skies : DataFrame
        Rows of one r, of which `n_mocks` is the number of mock skies.
    """
    n_skies, n_mocks = len(skies), skies["n_mocks"].iloc[0]
    return round(n_skies * n_mocks / (n_skies + n_mocks))
