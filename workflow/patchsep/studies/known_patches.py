"""Skies of known patches: do the criteria find them, and are fitted parameters the true ones?

The validation of arXiv:2604.08463 (Fig. 6), repeated over seeds: dust and synchrotron of a model
whose spectral parameters are replaced by constants within K-means patches.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pysm3
from scipy.stats import norm

from ..inference.configurations import average, fit_configuration
from ..inference.r_likelihood import measure_r
from ..inference.selection import select, with_mocks
from ..instrument.bandpass import FITTED_NODES, SIMULATED_NODES
from ..instrument.instrument import Instrument
from ..instrument.noise import WhiteNoise
from ..lazy import healpy as hp
from ..observation.region_sky import RegionSky, observe, observe_halves
from ..separation.fit import separate
from ..separation.partitions import Partitions, configuration_patches
from ..skies.fit_foreground_model import fit_foreground_model
from ..skies.mocks import mock_skies
from ..sky.foregrounds import polarization, set_parameters
from ..sky.spectral_model import SpectralModel
from ..spectra.estimator import Estimator


def values_around(
    true: list[int], factors: list[float], parameters: Sequence[str]
) -> dict[str, list[int]]:
    """Numbers of patches to scan one by one, true ones first."""
    return {
        name: list(dict.fromkeys([n, *(max(round(factor * n), 1) for factor in factors)]))
        for name, n in zip(parameters, true, strict=True)
    }


def draw_parameters(
    patches: dict[str, np.ndarray],
    scatter: dict[str, float],
    seed: int,
    model: SpectralModel,
) -> dict[str, np.ndarray]:
    """Parameters of every patch: Gaussian around the model's `start`, within twice the scatter.

    Patches alone in the sky have that value, as PySM's d0 and s0 have.
    """
    rng = np.random.default_rng(seed)
    values = {}
    for name, centre in model.start.items():
        n_patches = int(patches[name].max()) + 1
        # Far from the bounds of the fit.
        deviations = norm.ppf(rng.uniform(norm.cdf(-2), norm.cdf(2), n_patches))
        values[name] = centre + scatter[name] * (n_patches > 1) * deviations
    return values


def make_sky(
    galaxy: pysm3.Sky,
    instrument: Instrument,
    region: str,
    pixels: np.ndarray,
    patches: dict[str, np.ndarray],
    scatter: dict[str, float],
    seed: int,
    model: SpectralModel,
) -> tuple[RegionSky, dict[str, np.ndarray]]:
    """A region whose spectral parameters are constant within patches, and their values.

    Parameters
    ----------
    galaxy : pysm3.Sky
        Its spectral parameters are replaced, those outside of the region by the model's `start`.
    instrument : Instrument
    region : str
    pixels : int array (n_pixels,)
    patches : dict of str to int array (n_pixels,)
    scatter : dict of str to float
        Of each spectral parameter from patch to patch.
    seed : int
        Of parameters and noise.
    model : SpectralModel
        Of the sky; where fits start is up to theirs.

    The sky has no CMB: fits do not depend on it, and residuals are what is left beside it.
    """
    truth = draw_parameters(patches, scatter, seed, model)
    maps = {name: np.full(hp.nside2npix(galaxy.nside), model.start[name]) for name in truth}
    for name, values in truth.items():
        maps[name][pixels] = values[patches[name]]
    set_parameters(galaxy, maps, model)
    simulated = instrument.bandpasses(SIMULATED_NODES)
    sky = RegionSky(
        region=region,
        nside=galaxy.nside,
        pixels=pixels,
        bandpasses=instrument.bandpasses(FITTED_NODES),
        noise=WhiteNoise.of(instrument, galaxy.nside).of_pixels(pixels),
        foregrounds=polarization(galaxy, simulated.nodes, simulated.weights)[:, :, pixels],
        cmb=np.zeros((2, len(pixels))),
        noise_seed=seed,
    )
    return sky, truth


def scan(
    sky: RegionSky,
    draws: list[Partitions],
    names: list[str],
    realizations: list[int],
    estimator: Estimator,
    theory: pd.DataFrame,
    model: SpectralModel,
    cross_validation: bool,
    **settings,
) -> pd.DataFrame:
    """Metrics and r of every configuration of a region, a row each.

    Parameters
    ----------
    sky, draws, realizations, estimator, model, settings :
        See `configurations.fit_configuration`.
    names : list of str
    theory : DataFrame
        See `r_likelihood.measure_r`.
    cross_validation : bool
        Whether to measure that criterion.
    """
    data = observe(sky, realizations)
    halves = observe_halves(sky, realizations) if cross_validation else None
    rows = []
    for name in names:
        table = fit_configuration(
            name, draws, sky, realizations, data, estimator, model, halves, **settings
        )
        row = average(name, draws, sky, table)
        estimate = measure_r(row.pop("total"), row.pop("statistical"), theory, r_input=0.0)
        del row["systematic"]
        rows.append(row | estimate.headline)
    return pd.DataFrame(rows)


def select_on_sky(
    sky: RegionSky,
    draws: list[Partitions],
    names: list[str],
    criteria: list[str],
    realizations: list[int],
    mocks: dict,
    estimator: Estimator,
    theory: pd.DataFrame,
    model: SpectralModel,
    **settings,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What every criterion selects on one sky; the true configuration is the first of `names`.

    Parameters
    ----------
    mocks : dict
        `skies`, `realizations` and `seed` of mock skies.

    Other parameters are those of `scan`.

    Returns
    -------
    estimates : DataFrame
        See `scan`, with the column `mocks`.
    selected : DataFrame
        `criterion`, `configuration`, whether it is the true one, and `loss`, its r_upper68 over
        the lowest one.
    """

    def scanned(sky, realizations, cross_validation):
        return scan(
            sky, draws, names, realizations, estimator, theory, model, cross_validation, **settings
        )

    estimates = scanned(sky, realizations, "cross_validation" in criteria)
    mock_estimates = []
    if "mocks" in criteria:
        seed = mocks["seed"]
        foreground_model = fit_foreground_model(sky, realizations[0], seed, model, **settings)
        skies = mock_skies(foreground_model, sky, mocks["skies"], seed, model)
        of_mocks = list(range(mocks["realizations"]))
        mock_estimates = [scanned(one, of_mocks, cross_validation=False) for one in skies]
    estimates = with_mocks(estimates, mock_estimates, 0.0)
    upper = estimates.set_index("configuration")["r_upper68"]
    selected = {criterion: select(estimates, criterion) for criterion in criteria}
    return estimates, pd.DataFrame(
        {
            "criterion": list(selected),
            "configuration": list(selected.values()),
            "true": [name == names[0] for name in selected.values()],
            "loss": [upper[name] / upper.min() for name in selected.values()],
        }
    )


def pulls(
    sky: RegionSky,
    configuration: str,
    partitions: Partitions,
    truth: dict[str, np.ndarray],
    realizations: list[int],
    model: SpectralModel,
    **settings,
) -> pd.DataFrame:
    """Fitted parameters of every patch against the true ones, in the true configuration.

    Parameters
    ----------
    truth : dict of str to array (n_patches,)

    Returns
    -------
    DataFrame
        `parameter`, `patch`, `true`, `mean` and `scatter` over realisations, the `error` from the
        curvature with all other parameters fixed, and `pull`, of the mean in units of its error
        by the scatter: Student's t of n_realizations - 1 degrees of freedom where fits are right.
    """
    patches = configuration_patches(configuration, partitions)
    data = observe(sky, realizations)[1:]
    result = separate(data, sky.noise, sky.bandpasses, patches, model, components=(), **settings)
    tables = []
    for name, fitted in result.parameters.items():
        mean, scatter = fitted.mean(axis=0), fitted.std(axis=0, ddof=1)
        table = pd.DataFrame(
            {
                "parameter": name,
                "patch": np.arange(len(mean)),
                "true": truth[name],
                "mean": mean,
                "scatter": scatter,
                "error": result.errors[name].mean(axis=0),
                "pull": (mean - truth[name]) / (scatter / np.sqrt(len(fitted))),
            }
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
