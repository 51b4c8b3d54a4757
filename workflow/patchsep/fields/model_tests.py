"""All tests of one fit, and what they are compared with where noise is not white.

Scores and χ² are those of white noise in pixels, whose distributions are known. Where noise is
correlated, or brought to another resolution, they are quadratic forms of noise still, but with
other means and variances: these are those of draws of the noise on the sky that was fitted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import f, t

from ..observation.bands import Bands
from .moments import ALL, moment_scores, moment_table
from .residual_tests import CHI2, residual_table, residuals
from .systematics import Departures, systematic_scores, systematic_table, with_any


@dataclass(frozen=True)
class ModelTests:
    """Tests of fits to one sky.

    Attributes
    ----------
    bands : Bands
    departures : Departures
    tested : list of int
        Numbers of the departures that are tested.
    pixels : int array (n_pixels,), RING order
    nside : int
    parts : dict of str to slice
        Where the pixels of every region are among all.
    """

    bands: Bands
    departures: Departures
    tested: list[int]
    pixels: np.ndarray
    nside: int
    parts: Mapping[str, slice]

    def tables(self, parameters: np.ndarray, data: np.ndarray) -> dict[str, list[pd.DataFrame]]:
        """Tests of every region: of systematics, of χ², and of moments.

        Parameters
        ----------
        parameters : array (n_parameters, n_pixels)
            That were fitted to the data.
        data : array (n_bands, 2, n_pixels), µK_CMB
        """
        score, information = moment_scores(parameters, data, self.bands)
        of_systematics = systematic_scores(parameters, data, self.departures)
        left, covariance = residuals(parameters, data, self.bands)
        names = [self.departures.names[k] for k in self.tested]
        labels = [label for kind, label in self.departures.names if kind == "gain"]
        return {
            region: [
                systematic_table(*(one[part][:, self.tested] for one in of_systematics), names),
                residual_table(left[part], covariance[part], self.pixels[part], self.nside, labels),
                moment_table(score[part], information[part], self.bands.model),
            ]
            for region, part in self.parts.items()
        }

    def reference(
        self, parameters: np.ndarray, fitted: np.ndarray, noise: Iterable[np.ndarray]
    ) -> dict[str, list[list[pd.DataFrame]]]:
        """Tables of draws of the noise, by region and for each of its tables.

        Parameters
        ----------
        parameters : array (n_parameters, n_pixels)
        fitted : array (n_bands, 2, n_pixels), µK_CMB
            What bands see of the sky that was fitted.
        noise : arrays (n_bands, 2, n_pixels), µK_CMB
        """
        drawn = [self.tables(parameters, fitted + one) for one in noise]
        return {
            region: [list(tables) for tables in zip(*(one[region] for one in drawn), strict=True)]
            for region in self.parts
        }


def calibrated(table: pd.DataFrame, drawn: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A table of tests with probabilities by those of draws of the noise.

    Of scores `moment` less its mean over draws, and over its scatter, has Student's distribution.
    χ², and that of all moments together, are over their means over n draws F of f and n f degrees
    of freedom, f being what mean and variance ask for (Satterthwaite 1946).
    """
    last = table.iloc[-1]
    singles, is_chi2 = table.iloc[:-1].copy(), table["parameter"].iloc[0] == CHI2
    moments = np.stack([one["moment"].to_numpy()[:-1] for one in drawn])
    values = singles["moment"].to_numpy()
    if is_chi2:
        ratio, freedom, less, more = _over_draws(1 + values, 1 + moments)
        singles = singles.assign(
            moment=ratio - 1,
            error=np.sqrt(2 / freedom),
            chi2=freedom * ratio,
            probability=2 * np.minimum(less, more),
        )
        return with_any(singles, CHI2)
    off, scatter = values - moments.mean(axis=0), moments.std(axis=0, ddof=1)
    pull = off / np.where(scatter > 0, scatter, np.nan) / np.sqrt(1 + 1 / len(drawn))
    probability = 2 * t.sf(np.abs(pull), len(drawn) - 1)
    singles = singles.assign(moment=off, error=scatter, chi2=pull**2, probability=probability)
    if last["parameter"] != ALL:
        return with_any(singles, last["parameter"])
    together = np.array([one["chi2"].iloc[-1] for one in drawn])
    ratio, freedom, _, more = _over_draws(last["chi2"], together)
    singles.loc[len(singles)] = [ALL, ALL, np.nan, np.nan, freedom * ratio, more]
    return singles


def _over_draws(value, drawn):
    """A χ² over its mean over draws, its degrees of freedom, and what is less and more probable."""
    mean = np.where(drawn.mean(axis=0) > 0, drawn.mean(axis=0), np.nan)
    freedom, ratio = 2 * mean**2 / drawn.var(axis=0, ddof=1), value / mean
    how = ratio, freedom, len(drawn) * freedom
    return ratio, freedom, f.cdf(*how), f.sf(*how)
