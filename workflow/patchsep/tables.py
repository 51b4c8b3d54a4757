"""Tables of r: one row per method and region, and one per configuration."""

import pandas as pd

from .likelihood import best_configuration
from .patches import PARAMETERS

SUMMARY_COLUMNS = [
    "method",
    "region",
    "configuration",
    *(f"n_patches_{name}" for name in PARAMETERS),
    "r_hat",
    "sigma_r_minus",
    "sigma_r_plus",
    "r_upper68",
    "variance",
    "f_sky",
    "n_realizations",
    "n_unconverged",
    "n_unconverged_systematic",
    "n_at_bounds",
]


def configuration_table(estimates: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """All configurations: rows of the estimates of every (method, region), in that order."""
    tables = [
        table.assign(method=method, region=region) for (method, region), table in estimates.items()
    ]
    return pd.concat(tables, ignore_index=True)[SUMMARY_COLUMNS]


def summary_table(estimates: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """The best configuration of every (method, region)."""
    best = {
        key: table[table["configuration"] == best_configuration(table)]
        for key, table in estimates.items()
    }
    return configuration_table(best)


def summary_text(summary: pd.DataFrame, run: str, templates: str, figures: str) -> str:
    """The summary for a person to read, with r in units of 10⁻³."""
    lines = [
        f"patchsep run '{run}': r x 1e3, {templates} templates, "
        f"{summary['n_realizations'].max()} noise realisations",
        "",
        f"{'method':<16}{'region':<12}{'patches (bd/Td/bs)':<22}{'r_hat':>9}"
        f"{'-sigma':>9}{'+sigma':>9}{'r_upper68':>11}{'unconverged':>13}",
    ]
    for row in summary.to_dict("records"):
        patches = "/".join(str(row[f"n_patches_{name}"]) for name in PARAMETERS)
        r = [1e3 * row[key] for key in ("r_hat", "sigma_r_minus", "sigma_r_plus")]
        unconverged = row["n_unconverged"] + row["n_unconverged_systematic"]
        lines.append(
            f"{row['method']:<16}{row['region']:<12}{patches:<22}{r[0]:>z9.3f}"
            f"{r[1]:>9.3f}{r[2]:>9.3f}{1e3 * row['r_upper68']:>11.3f}{unconverged:>13d}"
        )
    return "\n".join([*lines, "", f"figures: {figures}", ""])
