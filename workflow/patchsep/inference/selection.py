"""The choice of one configuration per region, by criteria with and without the truth."""

from collections.abc import Iterable

import pandas as pd

from ..sky.regions import COMBINED
from .r_likelihood import bias_and_width

# Criterion -> column of a region's estimates of which the lowest value is chosen. The first
# needs the true sky (arXiv:2604.08463), `rehearsal` is the same of skies made like the observed
# one, `variance` is that paper's first draft's, and the others come with the fits, see `grid`:
# but for the first, all can be computed from data alone.
CRITERIA = {
    "oracle": "r_upper68",
    "rehearsal": "rehearsal",
    "variance": "variance",
    "information": "information",
    "evidence": "evidence",
    "held_out": "held_out",
}


def choose(estimates: pd.DataFrame, criterion: str) -> str:
    """The configuration that a criterion prefers, of one region's estimates of r and metrics.

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


def with_rehearsals(
    estimates: pd.DataFrame, rehearsals: list[pd.DataFrame], r_input: float
) -> pd.DataFrame:
    """Estimates of r and, as their column `rehearsal`, what the same configurations do there.

    It is the mean of `likelihood.bias_and_width`, NaN where there is no rehearsal.
    """
    tables = []
    for table in rehearsals:
        by_name = table.set_index("configuration")
        tables.append(bias_and_width(by_name["r_hat"], by_name["sigma_r_plus"], r_input))
    mean = pd.concat(tables, axis=1).mean(axis=1) if tables else pd.Series(dtype=float)
    return estimates.assign(rehearsal=estimates["configuration"].map(mean))


def choices(
    names: dict[str, list[str]], estimates: dict[str, pd.DataFrame], criteria: Iterable[str]
) -> pd.DataFrame:
    """What every criterion chooses in every region.

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
            choose(estimates[region], criterion) if region in estimates else only[0],
        )
        for criterion in criteria
        for region, only in names.items()
    ]
    return pd.DataFrame(rows, columns=["criterion", "region", "configuration"])


def by_area(choices: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Configuration of every area, by criterion, of `choices`; `combined` comes last."""
    chosen = {}
    for criterion, rows in choices.groupby("criterion", sort=False):
        regions = dict(zip(rows["region"], rows["configuration"], strict=True))
        chosen[criterion] = regions | {COMBINED: " + ".join(regions.values())}
    return chosen
