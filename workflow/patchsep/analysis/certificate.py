"""A certificate for an observation: mock skies of it that are analysed as it is, r known.

Each mock observation has foregrounds drawn from what the observation shows, a CMB of a known r, and
noise in every split; its fields are measured anew, and it has mock skies of its own. Only the modes
and correlations of bandpowers are those of the observation's own analysis.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..fields.evidence import MeasuredFields
from ..inference.coverage import coverage, n_effective
from ..lazy import stats
from ..observation.observation import Observation
from ..skies.field_skies import mock_parameters_of_fields
from ..skies.whole_sky import WholeSky
from ..sky.regions import COMBINED
from .analyse import Analysis, read_off
from .bandpowers import Bandpowers
from .cleaning import Cleaner
from .mock_maps import clean_mocks, draw_mock_observation
from .null_tests import BANDPOWERS, SPLITS, bandpower_test, difference_test
from .tensor_ratio import estimate_r_of_bandpowers

# Streams of random numbers.
STREAM, REFERENCE = "mock observation splits", 1
OTHER_SEEDS = 1 << 40
# Reference points of TARP lie within so many errors of the mean of truth and samples.
REACH = 3.0


@dataclass(frozen=True)
class Path:
    """How an observation goes from maps to r.

    Attributes
    ----------
    measure : function of Observation and WholeSky, MeasuredFields
    cleaner : function of WholeSky and MeasuredFields, Cleaner
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    analysis : mapping
        `spectra`, and what else `Analysis` takes of settings.
    n_mocks : int
        Mock skies of a mock observation.
    """

    measure: Callable[[Observation, WholeSky], MeasuredFields]
    cleaner: Callable[[WholeSky, MeasuredFields], Cleaner]
    theory: pd.DataFrame
    analysis: Mapping
    n_mocks: int

    def analyse(self, observation: Observation, sky: WholeSky, seed: int) -> Analysis:
        """Measure fields, clean maps and mock skies, and hand on their analysis."""
        measured = self.measure(observation, sky)
        clean = self.cleaner(sky, measured)
        numbers = range(self.n_mocks)
        mocks = clean_mocks(observation, sky, measured, clean, self.theory, numbers, seed)
        return Analysis.of(observation, sky, clean, mocks, self.theory, **self.analysis)


def mock_observation(
    observation: Observation,
    sky: WholeSky,
    measured: MeasuredFields,
    theory: pd.DataFrame,
    number: int,
    seed: int,
    r: float,
) -> Observation:
    """An observation of a mock sky, in splits where the observation has them.

    For the parameters see `draw_mock_observation`.
    """
    maps = draw_mock_observation(observation, sky, measured, theory, number, seed, r).maps
    splits = None
    if observation.splits is not None:
        difference = sky.draw_noise(seed, number, STREAM)
        splits = np.stack([maps + difference, maps - difference])
    return replace(observation, maps=maps, splits=splits)


def certify(
    path: Path,
    observation: Observation,
    sky: WholeSky,
    measured: MeasuredFields,
    known: Bandpowers,
    number: int,
    seed: int,
    r: float,
) -> dict:
    """Analyse one mock observation.

    Parameters
    ----------
    path : Path
    observation : Observation
    sky : WholeSky
        The same, with the spectral model.
    measured : MeasuredFields
        On the observation; mock skies are drawn from them.
    known : Bandpowers
        Of the observation, all regions: their mock skies tell modes and correlations.
    number, seed : int
        Of the mock observation.
    r : float
        Of its CMB.

    Returns
    -------
    dict
        `sky`, `r`, the number of mock skies that null tests are ranks among, `n_mocks`, r_hat with
        its errors and intervals (none where it cannot be measured), the number of bins `n_offset`
        that have an offset, whether all fits `converged`, the `tarp_rank` of the mean spectral
        parameters, and the probabilities of null tests of all regions by their names.
    """
    mock = mock_observation(observation, sky, measured, path.theory, number, seed, r)
    # Far from the seeds that a configuration may have, of its own mock skies and others.
    analysis = path.analyse(mock, sky, OTHER_SEEDS + seed + number)
    bandpowers = replace(
        analysis.bandpowers_of(slice(None)),
        mocks=known.mocks,
        scatter=known.scatter,
        mock_differences=known.mock_differences,
    )
    estimate = estimate_r_of_bandpowers(bandpowers, analysis.amplitude_scatter)
    tests = [bandpower_test(COMBINED, bandpowers)]
    if bandpowers.difference is not None:
        tests.append(difference_test(COMBINED, bandpowers))
    true = mock_parameters_of_fields(sky, measured, number, seed)
    found = {
        "sky": number,
        "r": r,
        "n_mocks": len(known.mocks),
        "n_offset": int((bandpowers.offset(bandpowers.bb) > 0)[bandpowers.used].sum()),
        "converged": analysis.cleaned.converged and bool(analysis.mocks.converged.all()),
        "tarp_rank": tarp_rank(
            analysis.cleaned.parameters.mean(axis=-1),
            analysis.mocks.parameter_errors.mean(axis=-1),
            true.mean(axis=-1),
            np.random.default_rng([seed, number, REFERENCE]),
        ),
    }
    return found | {test["test"]: test["probability"] for test in tests} | read_off(estimate)


def tarp_rank(
    found: np.ndarray, errors: np.ndarray, true: np.ndarray, rng: np.random.Generator
) -> float:
    """Part of posterior samples that are nearer to a random point than the truth is.

    Over many skies it is uniform between 0 and 1 where samples are those of the posterior (TARP,
    Lemos et al. 2023, arXiv:2302.03026, Section 3): the truth has a random place within the step of
    its rank.

    Parameters
    ----------
    found, true : arrays (n,)
    errors : array (n_samples, n)
        Errors of mock skies; what was found less these are the samples.
    rng : Generator
        Of the random point and place.
    """
    # The truth has a part in the scale, as each sample has: of a few the ranks would be off else.
    points = np.vstack([true, found - errors])
    scale = points.std(axis=0, ddof=1)
    points = points / np.where(scale > 0, scale, 1.0)
    reference = points.mean(axis=0) + REACH * rng.uniform(-1, 1, len(found))
    distance = np.linalg.norm(points - reference, axis=1)
    return float((np.sum(distance[1:] < distance[0]) + rng.random()) / len(points))


def certificate(skies: pd.DataFrame) -> pd.DataFrame:
    """How often intervals hold the r of mock skies, and whether ranks are flat.

    Parameters
    ----------
    skies : DataFrame
        Rows of `certify`.

    Returns
    -------
    DataFrame
        A row per `r`: `n_skies`, of which in `n_unconverged` some fit did not converge and
        `n_offset` have a bandpower with an offset, what `coverage` has, and the probability, by
        Kolmogorov and Smirnov, that the ranks of TARP and the probabilities of null tests are
        uniform: the latter are ranks among the observation's own mock skies, for all skies the
        same.
    """
    rows = []
    for r, own in skies.groupby("r"):
        row = {
            "r": r,
            "n_skies": len(own),
            "n_unconverged": int((~own["converged"]).sum()),
            "n_offset": int((own["n_offset"] > 0).sum()),
            **coverage(own, r),
            "tarp_flat": stats.kstest(own["tarp_rank"], "uniform").pvalue,
        }
        row |= {
            f"{test} flat": _flat_among_mocks(own, test)
            for test in ([SPLITS, BANDPOWERS] if r == 0 else [SPLITS])
            if test in own
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _flat_among_mocks(skies, test):
    """The probability that those of a null test, ranks among mock skies, are uniform."""
    return stats.kstwo.sf(stats.kstest(skies[test], "uniform").statistic, n_effective(skies))
