"""Search: configurations with a low predicted r, found without trying them all.

What is predicted is r on mock skies, with noise propagated to first order instead of fitted. It
knows nothing of the truth, and takes a fraction of the time of noise realisations; the few
configurations with the lowest prediction can then be fitted to those.
"""

import logging
from collections.abc import Callable
from time import perf_counter

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import GridSampler, RandomSampler, TPESampler

from ..files.store import Store
from ..inference.r_likelihood import bias_and_width, measure_r
from ..observation.region_sky import RegionSky, observe
from ..separation.cleaning import clean
from ..separation.partitions import (
    COUNT,
    Partitions,
    configurations,
    numbers_of,
    patch_labels,
)
from ..skies.realizations import spectra_of_fits
from ..sky.spectral_model import SpectralModel
from ..spectra.estimator import Estimator
from ..spectra.residuals import ResidualSpectra

log = logging.getLogger(__name__)

# Ranges of multipoles in which predicted noise is compared with that of fits.
ELL_RANGES = ((2, 5), (5, 10), (10, 30), (30, 60), (60, 10**6))
# Optuna's samplers, of a space of values (dict of str to range) and with a seed.
SAMPLERS = {
    "tpe": lambda space, seed: TPESampler(seed=seed, multivariate=True),
    "random": lambda space, seed: RandomSampler(seed=seed),
    "grid": lambda space, seed: GridSampler({k: list(v) for k, v in space.items()}, seed=seed),
}
# |r_hat| + sigma_+ by prediction and by fits: columns of tables.
PREDICTED_AND_FITTED = ["predicted", "fitted"]


def evaluate_configurations(
    values: dict[str, list[int]],
    draws: list[Partitions],
    sky: RegionSky,
    mocks: list[RegionSky],
    mock_realizations: list[int],
    realizations: list[int],
    store: Store,
    **measured_with,
) -> pd.DataFrame:
    """What is predicted of every configuration, and what it comes to, but for what is kept.

    Parameters
    ----------
    values : dict of str to list of int
        Numbers of patches of every parameter; all their combinations are evaluated.
    mocks, mock_realizations :
        `skies` and `realizations` of `predict_r`.
    sky, realizations :
        See `compare_with_fits`.
    store : Store
        Of finished configurations.
    measured_with :
        `estimator`, `theory`, `amplitude_scatter`, `model` and settings of `predict_r`.

    Returns
    -------
    DataFrame
        `configuration`, numbers of patches, `predicted`, and what `compare_with_fits` finds.
    """
    rows = []
    for name in configurations([values]):
        labels = patch_labels(name, draws)
        row = store.get(name, *labels)
        if row is None:
            predicted, residual = predict_r(name, draws, mocks, mock_realizations, **measured_with)
            compared = compare_with_fits(name, draws, sky, realizations, residual, **measured_with)
            numbers = {f"{COUNT}{key}": number for key, number in numbers_of(name, values).items()}
            row = pd.DataFrame(
                [{"configuration": name, **numbers, "predicted": predicted, **compared}]
            )
            store.put(name, row, *labels)
        found = row.iloc[0].to_dict()
        log.info("%(configuration)s: predicted %(predicted).3g, fitted %(fitted).3g", found)
        rows.append(row)
    return pd.concat(rows, ignore_index=True)


def predict_r(
    configuration: str,
    draws: list[Partitions],
    skies: list[RegionSky],
    realizations: list[int],
    estimator: Estimator,
    theory: pd.DataFrame,
    amplitude_scatter: float,
    model: SpectralModel,
    **settings,
) -> tuple[float, np.ndarray]:
    """What is predicted of a configuration of patches, by mock skies.

    Parameters
    ----------
    skies : list of RegionSky
        Of `mocks.mock_skies`, two or more.
    realizations : list of int
    theory, amplitude_scatter :
        See `r_likelihood.measure_r`.
    model, settings :
        Of `cleaning.clean`.

    Returns
    -------
    predicted : float
        `r_likelihood.bias_and_width`, averaged over mock skies; what is left of the foregrounds is
        allowed for by its mean over the others.
    residual : array (n_bins,), µK²
        What is left of the foregrounds on average.
    """
    spectra = []
    for sky in skies:
        data = observe(sky, realizations)
        fits = clean(configuration, draws, sky, data, model, propagation="linear", **settings)
        spectra.append(spectra_of_fits(fits, sky, estimator))
    left = np.stack([one.systematic for one in spectra])
    values = []
    for number, one in enumerate(spectra):
        expected = np.delete(left, number, axis=0).mean(axis=0)
        values.append(_bias_and_width(one, theory, expected, amplitude_scatter))
    return float(np.mean(values)), left.mean(axis=0)


def _bias_and_width(spectra: ResidualSpectra, theory, residual, amplitude_scatter):
    means = spectra.total.mean(axis=0), spectra.statistical.mean(axis=0)
    estimate = measure_r(*means, theory, 0.0, residual, amplitude_scatter)
    return bias_and_width(estimate.r_hat, estimate.sigma_plus)


def compare_with_fits(
    configuration: str,
    draws: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    residual: np.ndarray,
    estimator: Estimator,
    theory: pd.DataFrame,
    amplitude_scatter: float,
    model: SpectralModel,
    **settings,
) -> dict[str, float]:
    """What a configuration comes to on a sky, and how far propagated noise is that of fits.

    Parameters
    ----------
    residual : array (n_bins,), µK²
        Of `predict_r`.

    Other parameters are those of `predict_r`.

    Returns
    -------
    dict
        `fitted`, |r_hat| + sigma_+ of fits; for every one of `ELL_RANGES` that has bins the
        predicted power of the statistical residual over that of fits, `ratio_<low>`;
        `seconds_fits` and `seconds_predicted` with everything compiled.
    """
    data = observe(sky, realizations)
    spectra, seconds = {}, {}
    for propagation in ("nonlinear", "linear"):
        # What is not yet compiled is compiled by the first of two calls.
        for _ in range(2):
            start = perf_counter()
            fits = clean(
                configuration, draws, sky, data, model, propagation=propagation, **settings
            )
            seconds[propagation] = perf_counter() - start
        spectra[propagation] = spectra_of_fits(fits, sky, estimator)
    ratios = {}
    for low, high in ELL_RANGES:
        inside = (estimator.ell >= low) & (estimator.ell < high)
        predicted, fitted = (
            spectra[key].statistical.mean(axis=0)[inside].sum() for key in ("linear", "nonlinear")
        )
        if inside.any():
            ratios[f"ratio_{low}"] = predicted / fitted
    return {
        "fitted": _bias_and_width(spectra["nonlinear"], theory, residual, amplitude_scatter),
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
        Numbers of patches of every parameter, in rising order.
    sampler : str
        Of `SAMPLERS`.
    n_evaluations : int
        It ends earlier where there are no more configurations, or a sampler finds no others.
    seed : int
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: range(len(numbers)) for name, numbers in values.items()}
    study = optuna.create_study(sampler=SAMPLERS[sampler](space, seed))
    tried = {}

    def value(trial):
        at = {name: trial.suggest_int(name, 0, len(numbers) - 1) for name, numbers in space.items()}
        name = "-".join(str(values[parameter][index]) for parameter, index in at.items())
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
        `configuration`, `predicted` and `fitted` of all configurations of `values`.

    Returns
    -------
    DataFrame
        `sampler`, `repeat`, `evaluation`, the `configuration` with the lowest prediction so far,
        and its `predicted` and `fitted`.
    """
    table = evaluations.set_index("configuration")
    rows = []
    for sampler in SAMPLERS:
        for repeat in range(repeats):
            tried = search(
                table["predicted"].__getitem__, values, sampler, n_evaluations, seed + repeat
            )
            for number in range(len(tried)):
                best = table["predicted"][tried[: number + 1]].idxmin()
                found = table.loc[best, PREDICTED_AND_FITTED]
                rows.append((sampler, repeat, number + 1, best, *found))
    columns = ["sampler", "repeat", "evaluation", "configuration", *PREDICTED_AND_FITTED]
    return pd.DataFrame(rows, columns=columns)
