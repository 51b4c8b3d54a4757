"""Trials: skies that the chosen configurations are fitted to, all regions side by side.

A trial is a sky with its own foregrounds, CMB, noise and partitions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from ..lazy import healpy as hp
from ..observation.region_sky import RegionSky, observe
from ..separation.cleaning import clean
from ..separation.partitions import (
    N_PATCHES,
    Partitions,
    configuration_patches,
    count_patches,
    partition,
    values_of,
)
from ..sky.regions import COMBINED
from ..sky.spectral_model import PARAMETERS
from ..spectra.estimator import Estimator
from ..spectra.pixel_weights import PIXEL_WEIGHTS
from ..spectra.residuals import cmb_variance, mean_spectrum, residual_spectra
from .selection import by_area

# Of one realisation, summed over regions.
COUNTS = [
    "n_unconverged",
    "n_unconverged_systematic",
    "n_unconverged_rehearsed",
    "n_at_bounds",
]


@dataclass(frozen=True)
class CleanedSky:
    """One configuration's maps of a region, or of all regions side by side.

    Attributes
    ----------
    configuration : str
    pixels : int array (n_pixels,)
    cmb, systematic : arrays (2, n_pixels), µK_CMB
        The true CMB, and what a fit to foregrounds alone takes for CMB.
    recovered : array (n_realizations, 2, n_pixels), µK_CMB
    parameters : array (3, n_pixels)
        Of the first realisation, the mean over members.
    patches : int array (3, n_pixels)
        Labels within each region, of the first member.
    counts : DataFrame
        `nll` and `COUNTS` of every realisation.
    n_patches : dict of str to int
    rehearsed, rehearsed_noise : arrays (n_skies, 2, n_pixels), µK_CMB
        What fits to rehearsals take for CMB, and what they make of noise; of none without them.
    """

    configuration: str
    pixels: np.ndarray
    cmb: np.ndarray
    systematic: np.ndarray
    recovered: np.ndarray
    parameters: np.ndarray
    patches: np.ndarray
    counts: pd.DataFrame
    n_patches: dict[str, int]
    rehearsed: np.ndarray
    rehearsed_noise: np.ndarray


def clean_region(
    configuration: str,
    members: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    data: np.ndarray,
    rehearsed: np.ndarray | None = None,
    **settings,
) -> CleanedSky:
    """Fit one configuration to data of `observe`, and of `rehearsals`, and keep its maps."""
    result = clean(configuration, members, sky, data, **settings)
    alone = noise = np.empty((0, *sky.cmb.shape))
    n_unconverged_rehearsed = 0
    if rehearsed is not None:
        both = clean(configuration, members, sky, np.concatenate(rehearsed), **settings)
        alone, noisy = np.split(both.cmb, 2)
        noise = noisy - alone
        n_unconverged_rehearsed = int((~both.converged).sum())
    labels = configuration_patches(configuration, members[0])
    # Row 0 is the fit to foregrounds alone.
    counts = {
        "nll": result.nll[1:],
        "n_unconverged": (~result.converged[1:]).astype(int),
        "n_unconverged_systematic": int(~result.converged[0]),
        "n_unconverged_rehearsed": n_unconverged_rehearsed,
        "n_at_bounds": result.n_at_bounds[1:],
    }
    return CleanedSky(
        configuration=configuration,
        pixels=sky.pixels,
        cmb=sky.cmb,
        systematic=result.cmb[0],
        recovered=result.cmb[1:],
        parameters=result.parameters[1],
        patches=np.stack([labels[name] for name in PARAMETERS]),
        counts=pd.DataFrame(counts, index=realizations),
        n_patches=count_patches(labels),
        rehearsed=alone,
        rehearsed_noise=noise,
    )


def combine(regions: list[CleanedSky]) -> CleanedSky:
    """Regions side by side; counts are summed."""

    def joined(name):
        return np.concatenate([getattr(region, name) for region in regions], axis=-1)

    maps = [f.name for f in fields(CleanedSky) if f.type is np.ndarray]
    return CleanedSky(
        configuration=" + ".join(region.configuration for region in regions),
        **{name: joined(name) for name in maps},
        counts=sum(region.counts for region in regions),
        n_patches={key: sum(region.n_patches[key] for region in regions) for key in N_PATCHES},
    )


def measure(
    area: str, cleaned: CleanedSky, nside: int, spectra: dict, pixel_weights: str = "uniform"
) -> pd.DataFrame:
    """Residual spectra of every realisation, in rows.

    Parameters
    ----------
    area : str
    cleaned : CleanedSky
    nside : int
    spectra : dict
        `estimator`, `apodization` and `bin_width` of `spectra.Estimator.of`.
    pixel_weights : str
        Of `residuals.PIXEL_WEIGHTS`, for the noise of rehearsals.

    Returns
    -------
    DataFrame
        `area`, `configuration`, `pixel_weights`, `realization`, `nll`, `COUNTS`, numbers of
        patches, `f_sky`, the `mode_fraction` that the weights leave of the modes of uniform ones,
        `variance` of the CMB map in µK², and the BB spectra `total`, `statistical` and
        `systematic`, arrays over the estimator's bins, in µK². With rehearsals also `rehearsed`,
        what is left of their foregrounds on average.
    """
    weights = PIXEL_WEIGHTS[pixel_weights](cleaned.rehearsed_noise, cleaned.pixels, nside)
    estimator = Estimator.of(cleaned.pixels, nside, **spectra, pixel_weights=weights)
    unweighted = Estimator.of(cleaned.pixels, nside, **spectra)
    residuals = residual_spectra(
        cleaned.recovered, cleaned.cmb, cleaned.systematic, cleaned.pixels, estimator
    )
    table = (
        cleaned.counts.rename_axis("realization")
        .reset_index()
        .assign(
            area=area,
            configuration=cleaned.configuration,
            pixel_weights=pixel_weights,
            **cleaned.n_patches,
            f_sky=len(cleaned.pixels) / hp.nside2npix(nside),
            mode_fraction=estimator.effective_sky / unweighted.effective_sky,
            variance=cmb_variance(cleaned.recovered),
            total=list(residuals.total),
            statistical=list(residuals.statistical),
            systematic=[residuals.systematic] * len(cleaned.recovered),
        )
    )
    if len(cleaned.rehearsed):
        rehearsed = mean_spectrum(cleaned.rehearsed, cleaned.pixels, estimator)
        table["rehearsed"] = [rehearsed] * len(table)
    return table


def partitions_of_choices(
    choices: pd.DataFrame,
    skies: list[RegionSky],
    seed: int,
    maps: dict[str, np.ndarray],
    strategy: str,
    **options,
) -> dict[str, list[Partitions]]:
    """Partitions of every region, drawn anew for a trial, that the chosen configurations need.

    Parameters
    ----------
    choices : DataFrame
        See `choice.choices`.
    skies : list of RegionSky
    maps : dict of str to array (12 nside²,)
        Maps of the spectral parameters, for strategies that look at them.
    seed, strategy, options :
        See `patches.partition`.
    """
    partitions = {}
    for sky in skies:
        names = choices.loc[choices["region"] == sky.region, "configuration"].unique()
        values = values_of(names)
        guide = {name: parameter[sky.pixels] for name, parameter in maps.items()}
        partitions[sky.region] = partition(
            strategy, sky.nside, sky.pixels, values, seed, guide, **options
        )
    return partitions


def clean_sky(
    choices: pd.DataFrame,
    partitions: dict[str, list[Partitions]],
    skies: list[RegionSky],
    realizations: list[int],
    rehearsed: dict[str, np.ndarray] | None = None,
    priors: dict[str, dict] | None = None,
    **settings,
) -> Iterator[tuple[str, CleanedSky]]:
    """Areas and their maps, for every configuration that some criterion has chosen.

    Parameters
    ----------
    choices : DataFrame
        See `choice.choices`.
    partitions : dict of str to list of Partitions
        Of every member, by region.
    skies : list of RegionSky
    realizations : list of int
    rehearsed : dict of str to array
        `rehearsal.rehearsals` by region, of those that have any.
    priors : dict of str to dict
        `rehearsal.shrinkage_prior` by region, of those that have any.
    settings :
        Of `fit.separate`.
    """
    cleaned = {}
    for sky in skies:
        data = observe(sky, realizations)
        wanted = choices.loc[choices["region"] == sky.region, "configuration"].unique()
        for name in wanted:
            cleaned[sky.region, name] = clean_region(
                name,
                partitions[sky.region],
                sky,
                realizations,
                data,
                (rehearsed or {}).get(sky.region),
                prior=(priors or {}).get(sky.region),
                **settings,
            )
            yield sky.region, cleaned[sky.region, name]
    done = set()
    for chosen in by_area(choices).values():
        if chosen[COMBINED] not in done:
            done.add(chosen[COMBINED])
            yield COMBINED, combine([cleaned[sky.region, chosen[sky.region]] for sky in skies])
