"""The selection of one configuration per region, by criteria with and without the truth."""

from collections.abc import Iterable

import pandas as pd

from .r_likelihood import bias_and_width

# Criterion -> column of a region's estimates of which the lowest value is selected. The first
# needs the true sky (arXiv:2604.08463), `mocks` is the same of mock skies, `variance` is that
# paper's first draft's, and the others come with the fits, see `configurations`: but for the first,
# all can be computed from data alone.
CRITERIA = {
    "oracle": "r_upper68",
    "mocks": "mocks",
    "variance": "variance",
    "aic": "aic",
    "evidence": "evidence",
    "cross_validation": "cross_validation",
}


def select(estimates: pd.DataFrame, criterion: str) -> str:
    """The configuration that a criterion selects, of one region's estimates of r and metrics.

    Raises
    ------
    ValueError
        If the criterion has not been measured for every configuration.
    """
    values = estimates[CRITERIA[criterion]]
    if values.isna().any():
        missing = list(estimates["configuration"][values.isna()])
        raise ValueError(f"criterion {criterion} is not known for {missing}")
    return estimates.loc[values.idxmin(), "configuration"]


def with_mocks(
    estimates: pd.DataFrame, mock_estimates: list[pd.DataFrame], r_input: float
) -> pd.DataFrame:
    """Estimates of r and, as their column `mocks`, what the same configurations do on mock skies.

    It is the mean of `r_likelihood.bias_and_width`, NaN where there is no mock sky.
    """
    tables = []
    for table in mock_estimates:
        by_name = table.set_index("configuration")
        tables.append(bias_and_width(by_name["r_hat"], by_name["sigma_r_plus"], r_input))
    mean = pd.concat(tables, axis=1).mean(axis=1) if tables else pd.Series(dtype=float)
    return estimates.assign(mocks=estimates["configuration"].map(mean))


def select_configurations(
    names: dict[str, list[str]], estimates: dict[str, pd.DataFrame], criteria: Iterable[str]
) -> pd.DataFrame:
    """What every criterion selects in every region.

    Parameters
    ----------
    names : dict of str to list of str
        Configurations by region.
    estimates : dict of str to DataFrame
        Estimates of r, a row per configuration, of the regions with more than one.

    Returns
    -------
    DataFrame
        `criterion`, `region`, `configuration`.
    """
    rows = [
        (
            criterion,
            region,
            select(estimates[region], criterion) if region in estimates else only[0],
        )
        for criterion in criteria
        for region, only in names.items()
    ]
    return pd.DataFrame(rows, columns=["criterion", "region", "configuration"])
