"""r of the selected configurations, from all skies of a set together.

What differs between the realisations of a set is the error of every figure.
"""

import logging
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..separation.partitions import patch_count_columns
from ..skies.cleaned_sky import by_region
from ..spectra.residuals import ResidualSpectra
from .r_likelihood import REstimate, beside_theory, measure_r

log = logging.getLogger(__name__)

# What r is measured with, and what tells the rows of one sky's tables apart.
KINDS = ["pixel_weights", "foreground_residual", "theory"]
LABEL = ["region", "configuration", *KINDS]
# Points of the likelihood where only its scatter from draw to draw counts.
N_POINTS = 101


class SetTables(NamedTuple):
    """r of a set; all tables have the columns `LABEL`.

    Attributes
    ----------
    estimates : DataFrame
        By `criterion`, rows of `estimate_r_of_skies`.
    samples : DataFrame
        Of the bootstrap: `resampling`, `r_hat`, `sigma_r_plus` and `r_upper68`.
    curves : DataFrame
        The likelihood: `r` and `likelihood`.
    spectra : DataFrame
        See `mean_spectra`.
    """

    estimates: pd.DataFrame
    samples: pd.DataFrame
    curves: pd.DataFrame
    spectra: pd.DataFrame


def estimate_r_of_set(
    skies: list[pd.DataFrame],
    selected: pd.DataFrame,
    theory: dict[tuple[str, str], pd.DataFrame],
    r_input: float,
    pixel_weights: list[str],
    foreground_residual: list[str],
    resamplings: int,
    seed: int,
    amplitude_scatter: float,
    **grid,
) -> SetTables:
    """r of every selected configuration in every region, and in all of them combined.

    Parameters
    ----------
    skies : list of DataFrame
        Rows of `skies.measure`, a table per sky.
    selected : DataFrame
        See `select_configurations`.
    theory : dict of (str, str) to DataFrame
        Binned theory spectra by their name and region, see `r_likelihood.measure_r`.
    pixel_weights, foreground_residual : list of str
        Each is combined with each, and with all theory spectra.

    Other parameters are those of `estimate_r_of_skies`.
    """
    kinds_of_sky = ["region", "configuration", "pixel_weights"]
    skies = [dict(list(sky.groupby(kinds_of_sky))) for sky in skies]
    selected = by_region(selected)
    regions = next(iter(selected.values()))
    theory_names = dict.fromkeys(name for name, _ in theory)
    estimates, samples, curves, spectra = [], [], [], []
    for region, *kinds in product(regions, pixel_weights, foreground_residual, theory_names):
        weights, residual, theory_name = kinds
        for name in dict.fromkeys(configurations[region] for configurations in selected.values()):
            of_skies = [sky[region, name, weights] for sky in skies]
            row, estimate, drawn = estimate_r_of_skies(
                of_skies,
                theory[theory_name, region],
                r_input,
                resamplings,
                seed,
                residual,
                amplitude_scatter,
                **grid,
            )
            label = dict(zip(LABEL, (region, name, *kinds), strict=True))
            log.info("%s, %s, %s, %s, %s: r_upper68 %.3g", *label.values(), row["r_upper68"])
            drawn = pd.DataFrame(drawn, columns=["r_hat", "sigma_r_plus", "r_upper68"])
            curve = pd.DataFrame({"r": estimate.r, "likelihood": estimate.likelihood})
            mean = mean_spectra(pd.concat(of_skies), theory[theory_name, region], r_input)
            samples.append(drawn.rename_axis("resampling").reset_index().assign(**label))
            curves.append(curve.assign(**label))
            spectra.append(mean.assign(**label))
            estimates += [
                {"criterion": criterion} | label | row
                for criterion, configurations in selected.items()
                if configurations[region] == name
            ]
    return SetTables(
        pd.DataFrame(estimates),
        *(pd.concat(tables, ignore_index=True) for tables in (samples, curves, spectra)),
    )


def estimate_r_of_skies(
    skies: list[pd.DataFrame],
    theory: pd.DataFrame,
    r_input: float,
    resamplings: int,
    seed: int,
    foreground_residual: str = "neglected",
    amplitude_scatter: float = 0.0,
    **grid,
) -> tuple[dict, REstimate, np.ndarray]:
    """r of one configuration in one region, from all skies of a set together.

    Parameters
    ----------
    skies : list of DataFrame
        Rows of `skies.measure`, a table per sky.
    theory, r_input, amplitude_scatter, grid :
        See `r_likelihood.measure_r`; of the modes of `theory` the weights of pixels leave a
        fraction.
    resamplings, seed :
        Of the bootstrap: skies are drawn again, and realisations within each. The same seed
        draws the same ones, so that samples of two methods are paired.
    foreground_residual : str
        `marginalised` allows for what is left of the foregrounds of mock skies.

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
    rows = pd.concat(skies, ignore_index=True)
    marginalised = foreground_residual == "marginalised"
    names = ["total", "statistical"] + ["mock_residual"] * marginalised
    spectra = [np.stack(rows[name].to_list()) for name in names]

    theory = theory.assign(n_modes=theory["n_modes"] * rows["mode_fraction"].mean())

    def measure(total, statistical, residual=None, **grid):
        return measure_r(total, statistical, theory, r_input, residual, amplitude_scatter, **grid)

    mean = [one.mean(axis=0) for one in spectra]
    estimate = measure(*mean, **grid)
    single = np.array([measure(one, *mean[1:], n_points=N_POINTS).r_hat for one in spectra[0]])
    rng = np.random.default_rng(seed)
    rows_of = np.split(np.arange(len(rows)), np.cumsum([len(sky) for sky in skies])[:-1])
    samples = []
    for _ in range(resamplings):
        drawn = np.concatenate(
            [
                rng.choice(rows_of[sky], len(rows_of[sky]))
                for sky in rng.integers(len(skies), size=len(skies))
            ]
        )
        again = measure(*(one[drawn].mean(axis=0) for one in spectra), n_points=N_POINTS)
        samples.append((again.r_hat, again.sigma_plus, again.r_upper68))
    samples = np.array(samples)
    row = {
        **rows[patch_count_columns(rows)].iloc[0].to_dict(),
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
        "n_skies": len(skies),
        "n_realizations": len(rows),
        "n_unconverged": int(rows["n_unconverged"].sum()),
        # The same in all rows of a sky.
        **{
            key: sum(int(sky[key].iloc[0]) for sky in skies)
            for key in ("n_unconverged_systematic", "n_unconverged_mocks")
        },
        "n_at_bounds": rows["n_at_bounds"].mean(),
    }
    return row, estimate, samples


def mean_spectra(residuals: pd.DataFrame, theory: pd.DataFrame, r_input: float) -> pd.DataFrame:
    """BB of one configuration's residuals, averaged, and of the sky, by bin.

    Parameters
    ----------
    residuals : DataFrame
        Rows of `skies.measure`.
    theory, r_input :
        See `r_likelihood.measure_r`.

    Returns
    -------
    DataFrame
        See `beside_theory`.
    """
    curves = {name: np.mean(residuals[name].to_list(), axis=0) for name in ResidualSpectra._fields}
    return beside_theory(curves, theory, r_input)


def headline(criterion: str, estimates: pd.DataFrame) -> pd.DataFrame:
    """A criterion's rows, of several of `KINDS` those of the first of each, see `of_first`."""
    return estimates[of_first(estimates, KINDS) & estimates["criterion"].eq(criterion)]


def of_first(estimates: pd.DataFrame, kinds: list[str]) -> pd.Series:
    """Whether rows have the kinds of their method's first row.

    A method without mock skies has fewer kinds than others.
    """
    method = estimates["method"] if "method" in estimates else np.zeros(len(estimates))
    first = estimates.groupby(method, sort=False)[kinds].transform("first")
    return estimates[kinds].eq(first).all(axis=1)


def headline_tables(
    criterion: str, tables: dict[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame]]
) -> pd.DataFrame:
    """Curves or spectra of what a criterion selected, of several sets and methods.

    Parameters
    ----------
    tables : dict of (str, str) to (estimates, table)
        By (set, method): `SetTables.estimates`, and another table of them.

    Returns
    -------
    DataFrame
        `set`, `method`, and the rows of the tables that belong to those of `headline`, each with
        r_hat, sigma_r_minus, sigma_r_plus, r_upper68 and r_input of the latter.
    """
    columns = [*LABEL, "r_hat", "sigma_r_minus", "sigma_r_plus", "r_upper68", "r_input"]
    found = []
    for (name, method), (estimates, table) in tables.items():
        rows = headline(criterion, estimates)[columns].merge(table, on=LABEL)
        rows.insert(0, "set", name)
        rows.insert(1, "method", method)
        found.append(rows)
    return pd.concat(found, ignore_index=True)
