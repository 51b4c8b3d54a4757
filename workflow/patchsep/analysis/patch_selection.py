"""The configuration of patches of every region that mock skies of an observation ask for.

Of each region it is the one with the least |r| + σ₊ of the mean bandpowers of mock skies, of which
r = 0: what foregrounds leave of many patches is small, and what noise leaves is large. Mock skies
are not those that the observation is then analysed with.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..fields.evidence import MeasuredFields
from ..files.tables import read_table
from ..inference.r_likelihood import bias_and_width
from ..observation.observation import Observation
from ..skies.foreground_fields import read_priors
from ..skies.whole_sky import WholeSky
from .analyse import Analysis
from .cleaning import Cleaner, cleaner_of
from .mock_maps import clean_mocks
from .tensor_ratio import estimate_r_of_bandpowers

COLUMNS = ["region", "configuration", "r_hat", "sigma_r_plus", "expected", "n_unconverged_mocks"]


def select_patches(
    observation: Observation,
    sky: WholeSky,
    measured: MeasuredFields,
    configurations: Mapping[str, Sequence[str]],
    patches: Mapping,
    theory: pd.DataFrame,
    analysis: Mapping,
    numbers: Sequence[int],
    seed: int,
    **limits,
) -> pd.DataFrame:
    """What mock skies expect of every configuration, and which is selected.

    Parameters
    ----------
    observation : Observation
    sky : WholeSky
        The same, with the spectral model.
    measured : MeasuredFields
        That mock skies are drawn from.
    configurations : dict of str to sequence of str
        By region; those of a single one need no fit.
    patches : mapping
        See `cleaning.cleaner_of`.
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    analysis : mapping
        What `Analysis` takes of settings.
    numbers : sequence of int
        Of the mock skies.
    seed : int
        Of the mock skies.
    limits :
        `max_iterations` and `tolerance` of fits.

    Returns
    -------
    DataFrame
        A row per region and configuration: `r_hat` and `sigma_r_plus` of the mean bandpowers of
        mock skies, what is `expected`, |r_hat| + sigma_r_plus, NaN where r cannot be measured or
        nothing is to choose, the number of mock skies with a fit that did not converge,
        `n_unconverged_mocks`, and whether it is `selected`.

    Raises
    ------
    ValueError
        If r cannot be measured with any configuration of a region.
    """
    choices = {name: several for name, several in configurations.items() if len(several) > 1}
    rows = [(name, *one, *4 * [np.nan]) for name, one in configurations.items() if len(one) == 1]
    # Patches of one region are nothing to another: all regions go through theirs side by side.
    for number in range(max(map(len, choices.values()), default=0)):
        own = {name: one[min(number, len(one) - 1)] for name, one in configurations.items()}
        clean = cleaner_of(sky, (), own, patches, **limits)
        mocks = clean_mocks(observation, sky, measured, clean, theory, numbers, seed)
        tried = Analysis.of(observation, sky, clean, mocks, theory, **analysis)
        rows += [
            (name, own[name], *_expected(tried, name))
            for name, several in choices.items()
            if number < len(several)
        ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    best = [_best(region, of_region) for region, of_region in table.groupby("region")]
    return table.assign(selected=table.index.isin(best))


def _expected(tried, region):
    """The last four columns of a region's row."""
    bandpowers = tried.bandpowers_of(tried.parts[region])
    mean = bandpowers.mocks.mean(axis=0)
    estimate = estimate_r_of_bandpowers(bandpowers, tried.amplitude_scatter, mean)
    unconverged = int((~tried.mocks.converged).sum())
    if estimate is None:
        return np.nan, np.nan, np.nan, unconverged
    r_hat, sigma = estimate.r_hat, estimate.sigma_plus
    return r_hat, sigma, bias_and_width(r_hat, sigma), unconverged


def _best(region, rows):
    if len(rows) == 1:
        return rows.index[0]
    if rows["expected"].isna().all():
        raise ValueError(
            f"region {region}: r of mock skies cannot be measured with any configuration of "
            "patches; use wider bins, a larger region or more mocks.realizations"
        )
    return rows["expected"].idxmin()


def read_cleaner(files: Mapping, sky: WholeSky, patches: Mapping, **limits) -> Cleaner:
    """The way of a method whose `priors` and, of patches, `selection` are in files.

    For the other parameters see `cleaning.cleaner_of`.
    """
    selection = files.get("selection")
    configurations = selected_patches(read_table(selection)) if selection else {}
    return cleaner_of(sky, read_priors(files["priors"]), configurations, patches, **limits)


def selected_patches(table: pd.DataFrame) -> dict[str, str]:
    """The configuration of every region that a table of `select_patches` has selected."""
    chosen = table[table["selected"]]
    return dict(zip(chosen["region"], chosen["configuration"], strict=True))
