"""Null tests: what is to vanish, compared with mock skies of the same observation.

Probabilities are ranks among mock skies: of n of them, (1 + the number of those that are as far
off) / (n + 1), which is never below 1 / (n + 1).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .bandpowers import Bandpowers

SPLITS, BANDPOWERS = "splits differ by noise", "bandpowers are those of r = 0"
COLUMNS = ["test", "region", "chi2", "dof", "probability"]


def rank_probability(value: float, mocks: np.ndarray) -> float:
    """How often mock skies (n_skies,) have as much, or more, with the observation among them."""
    return (1 + np.sum(mocks >= value)) / (1 + len(mocks))


def chi2_of(value: np.ndarray, mocks: np.ndarray) -> tuple[float, np.ndarray]:
    """Σ (value - mean)² / variance, of an observation (n,) and of every one of mocks (n_skies, n).

    Mean and variance are those of the mock skies; of each of these, of all others.
    """

    def against(one, others):
        return float(np.sum((one - others.mean(axis=0)) ** 2 / others.var(axis=0, ddof=1)))

    own = [against(one, np.delete(mocks, k, axis=0)) for k, one in enumerate(mocks)]
    return against(value, mocks), np.array(own)


def difference_test(region: str, bandpowers: Bandpowers) -> dict:
    """Whether half the splits' difference has the spectrum of the noise that is described."""
    used = bandpowers.used
    chi2, mocks = chi2_of(bandpowers.difference[used], bandpowers.mock_differences[:, used])
    return _row(SPLITS, region, chi2, int(used.sum()), mocks)


def bandpower_test(region: str, bandpowers: Bandpowers) -> dict:
    """Whether bandpowers scatter about those of mock skies, r = 0, as these do."""
    used = bandpowers.used
    chi2, mocks = chi2_of(bandpowers.bb[used], bandpowers.mocks[:, used])
    return _row(BANDPOWERS, region, chi2, int(used.sum()), mocks)


def agreement_test(
    name: str, region: str, r_hat: Mapping[str, float], mocks: Mapping[str, np.ndarray]
) -> dict | None:
    """Whether values of r agree, of regions, or of ranges of multipoles.

    Parameters
    ----------
    name, region : str
        Of the test.
    r_hat : dict of str to float
    mocks : dict of str to array (n_skies,)
        The same of mock skies, NaN where r could not be measured.

    Returns
    -------
    dict
        None where fewer than two values are known, or of fewer than two mock skies.
    """
    known = [key for key, value in r_hat.items() if np.isfinite(value)]
    if len(known) < 2:
        return None
    of_mocks = np.stack([mocks[key] for key in known], axis=-1)
    of_mocks = of_mocks[np.isfinite(of_mocks).all(axis=1)]
    if len(of_mocks) < 2:
        return None
    weights = 1 / of_mocks.var(axis=0, ddof=1)

    def chi2(values):
        mean = np.sum(weights * values, axis=-1, keepdims=True) / weights.sum()
        return np.sum(weights * (values - mean) ** 2, axis=-1)

    # What mock skies have on average is no disagreement.
    offset = of_mocks.mean(axis=0)
    observed = np.array([r_hat[key] for key in known]) - offset
    return _row(name, region, float(chi2(observed)), len(known) - 1, chi2(of_mocks - offset))


def _row(test, region, chi2, dof, mocks):
    values = (test, region, chi2, dof, rank_probability(chi2, mocks))
    return dict(zip(COLUMNS, values, strict=True))


def null_table(rows) -> pd.DataFrame:
    """The tests that could be made, a row each."""
    return pd.DataFrame([row for row in rows if row is not None], columns=COLUMNS)
