"""Search: configurations that promise a low r, found without trying them all.

What a configuration promises is r on rehearsals, with noise propagated to first order instead of
fitted. It knows nothing of the truth, and takes a fraction of the time of noise realisations; the
few that promise most can then be fitted to those.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import GridSampler, RandomSampler, TPESampler

from ..inference.r_likelihood import bias_and_width, measure_r
from ..observation.region_sky import RegionSky, observe
from ..separation.cleaning import clean
from ..separation.partitions import Partitions
from ..sky.spectral_model import PARAMETERS
from ..spectra.estimator import Estimator
from ..spectra.residuals import residual_spectra

# Ranges of multipoles in which predicted noise is compared with that of fits.
ELL_RANGES = ((2, 5), (5, 10), (10, 30), (30, 60), (60, 10**6))
# Optuna's samplers, of a space of values (dict of str to range) and with a seed.
SAMPLERS = {
    "tpe": lambda space, seed: TPESampler(seed=seed, multivariate=True),
    "random": lambda space, seed: RandomSampler(seed=seed),
    "grid": lambda space, seed: GridSampler({k: list(v) for k, v in space.items()}, seed=seed),
}


def promised_r(
    configuration: str,
    members: list[Partitions],
    skies: list[RegionSky],
    realizations: list[int],
    estimator: Estimator,
    bands: pd.DataFrame,
    amplitude_scatter: float,
    **settings,
) -> tuple[float, np.ndarray]:
    """What a configuration of patches promises, by rehearsals.

    Parameters
    ----------
    skies : list of RegionSky
        Of `rehearsal.rehearsal_skies`, two or more.
    realizations : list of int
    bands, amplitude_scatter :
        See `likelihood.measure_r`.
    settings :
        Of `cleaning.clean`.

    Returns
    -------
    promised : float
        `likelihood.bias_and_width`, averaged over rehearsals; what is left of the foregrounds is
        allowed for by its mean over the others.
    residual : array (n_bins,), µK²
        What is left of the foregrounds on average.
    """
    spectra = []
    for sky in skies:
        result = clean(
            configuration,
            members,
            sky,
            observe(sky, realizations),
            propagation="linear",
            **settings,
        )
        spectra.append(
            residual_spectra(result.cmb[1:], sky.cmb, result.cmb[0], sky.pixels, estimator)
        )
    left = np.stack([one.systematic for one in spectra])
    values = []
    for number, one in enumerate(spectra):
        expected = np.delete(left, number, axis=0).mean(axis=0)
        means = one.total.mean(axis=0), one.statistical.mean(axis=0)
        estimate = measure_r(*means, bands, 0.0, expected, amplitude_scatter)
        values.append(bias_and_width(estimate.r_hat, estimate.sigma_plus))
    return float(np.mean(values)), left.mean(axis=0)


def compare_with_fits(
    configuration: str,
    members: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    residual: np.ndarray,
    estimator: Estimator,
    bands: pd.DataFrame,
    amplitude_scatter: float,
    **settings,
) -> dict[str, float]:
    """What a configuration comes to on a sky, and how far propagated noise is that of fits.

    Parameters
    ----------
    residual : array (n_bins,), µK²
        Of `promised_r`.

    Other parameters are those of `promised_r`.

    Returns
    -------
    dict
        `judged`, |r_hat| + sigma_+ of fits; for every one of `ELL_RANGES` that has bins the
        predicted power of the statistical residual over that of fits, `ratio_<low>`;
        `seconds_fits` and `seconds_predicted` with everything compiled.
    """
    data = observe(sky, realizations)
    found, seconds = {}, {}
    for propagation in ("nonlinear", "linear"):
        # What is not yet compiled is compiled by the first of two calls.
        for _ in range(2):
            start = perf_counter()
            result = clean(configuration, members, sky, data, propagation=propagation, **settings)
            seconds[propagation] = perf_counter() - start
        spectra = residual_spectra(result.cmb[1:], sky.cmb, result.cmb[0], sky.pixels, estimator)
        found[propagation] = spectra.total.mean(axis=0), spectra.statistical.mean(axis=0)
    estimate = measure_r(*found["nonlinear"], bands, 0.0, residual, amplitude_scatter)
    ratios = {}
    for low, high in ELL_RANGES:
        inside = (estimator.ell >= low) & (estimator.ell < high)
        predicted, fitted = (found[key][1][inside].sum() for key in ("linear", "nonlinear"))
        if inside.any():
            ratios[f"ratio_{low}"] = predicted / fitted
    return {
        "judged": bias_and_width(estimate.r_hat, estimate.sigma_plus),
        **ratios,
        "seconds_fits": seconds["nonlinear"],
        "seconds_predicted": seconds["linear"],
    }


def search(
    objective: Callable[[str], float],
    values: dict[str, list[int]],
    sampler: str,
    n_evaluations: int,
    seed: int,
) -> list[str]:
    """Configurations that a sampler tries, in this order; none twice.

    Parameters
    ----------
    objective : callable
        What is to be low, of a configuration's name.
    values : dict of str to list of int
        Numbers of patches of every parameter to choose from, in rising order.
    sampler : str
        Of `SAMPLERS`.
    n_evaluations : int
        It ends earlier where there are no more configurations, or a sampler finds no others.
    seed : int
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: range(len(values[name])) for name in PARAMETERS}
    study = optuna.create_study(sampler=SAMPLERS[sampler](space, seed))
    tried = {}

    def value(trial):
        at = {name: trial.suggest_int(name, 0, len(space[name]) - 1) for name in PARAMETERS}
        name = "-".join(str(values[parameter][at[parameter]]) for parameter in PARAMETERS)
        if name not in tried:
            tried[name] = objective(name)
        return tried[name]

    def end_in_time(study, _):
        if len(tried) == min(n_evaluations, n_configurations):
            study.stop()

    n_configurations = np.prod([len(numbers) for numbers in space.values()])
    # A sampler may come back to what it knows, which costs nothing, but not for ever.
    study.optimize(value, n_trials=50 * n_evaluations, callbacks=[end_in_time])
    return list(tried)


def compare_samplers(
    evaluations: pd.DataFrame,
    values: dict[str, list[int]],
    n_evaluations: int,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    """The best that samplers have found after every evaluation.

    Parameters
    ----------
    evaluations : DataFrame
        `configuration`, `promised` and `judged` of all configurations of `values`.

    Returns
    -------
    DataFrame
        `sampler`, `repeat`, `evaluation`, the `configuration` that promises most so far, and its
        `promised` and `judged`.
    """
    table = evaluations.set_index("configuration")
    rows = []
    for sampler in SAMPLERS:
        for repeat in range(repeats):
            tried = search(
                table["promised"].__getitem__, values, sampler, n_evaluations, seed + repeat
            )
            for number in range(len(tried)):
                best = table["promised"][tried[: number + 1]].idxmin()
                rows.append((sampler, repeat, number + 1, best, *table.loc[best, WORTH]))
    return pd.DataFrame(rows, columns=["sampler", "repeat", "evaluation", "configuration", *WORTH])


WORTH = ["promised", "judged"]
