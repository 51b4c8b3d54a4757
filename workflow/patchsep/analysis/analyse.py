"""From an observation and its mock skies to bandpowers, r, null tests and what drives r."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..inference.r_likelihood import REstimate
from ..observation.observation import Observation
from ..skies.whole_sky import WholeSky
from ..sky.regions import COMBINED
from .bandpowers import Bandpowers, measure_bandpowers, weighted_estimator
from .cleaning import Cleaner
from .influence import influence
from .mock_maps import MockMaps, cmb_of
from .null_tests import agreement_test, bandpower_test, difference_test, null_table
from .tensor_ratio import bins_within, estimate_r_of_bandpowers, r_of_mocks

# What is read off a likelihood of r.
READ_OFF = ["r_hat", "sigma_r_minus", "sigma_r_plus", "r_upper68"] + [
    f"r{percent}{kind}_{end}"
    for kind in ("", "_physical")
    for percent in (68, 95)
    for end in ("low", "high")
]


@dataclass(frozen=True)
class CleanedObservation:
    """CMB maps in µK of an observation.

    Attributes
    ----------
    cmb : array (2, n_pixels)
    parameters : array (n_parameters, n_pixels)
    converged : bool
    difference : array (2, n_pixels), or None
        What these parameters make of half the splits' difference.
    """

    cmb: np.ndarray
    parameters: np.ndarray
    converged: bool
    difference: np.ndarray | None


def clean_observation(
    observation: Observation, sky: WholeSky, clean: Cleaner
) -> CleanedObservation:
    """Clean the maps, and with the same parameters the splits' difference."""
    fit = clean(observation.maps[None])
    halves = observation.half_difference
    return CleanedObservation(
        cmb=fit.cmb[0],
        parameters=fit.parameters[0],
        converged=bool(fit.converged[0]),
        difference=None if halves is None else cmb_of(fit.parameters[0], halves, sky),
    )


@dataclass(frozen=True)
class Analysis:
    """What an observation tells, by one way of cleaning.

    Attributes
    ----------
    cleaned : CleanedObservation
    mocks : MockMaps
    parts : dict of str to slice
        Pixels of every region, see `WholeSky.parts`.
    pixels : int array (n_pixels,), RING order
    nside : int
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    spectra : dict
        What `Estimator.of` takes.
    pixel_weights : str
        Of `pixel_weights.PIXEL_WEIGHTS`.
    amplitude_scatter : float
        See `r_likelihood.residual_of_unknown_amplitude`.
    multipole_ranges : sequence of (low, high)
        Of which r is measured, too.
    """

    cleaned: CleanedObservation
    mocks: MockMaps
    parts: Mapping[str, slice]
    pixels: np.ndarray
    nside: int
    theory: pd.DataFrame
    spectra: Mapping
    pixel_weights: str
    amplitude_scatter: float
    multipole_ranges: Sequence[Sequence[float]]

    @classmethod
    def of(
        cls,
        observation: Observation,
        sky: WholeSky,
        clean: Cleaner,
        mocks: MockMaps,
        theory: pd.DataFrame,
        **settings,
    ) -> "Analysis":
        """Of an observation that is cleaned in this way, as its mock skies were.

        `settings` are the attributes from `spectra` on.
        """
        return cls(
            cleaned=clean_observation(observation, sky, clean),
            mocks=mocks,
            parts=sky.parts(),
            pixels=sky.pixels,
            nside=sky.nside,
            theory=theory,
            **settings,
        )

    def bandpowers_of(self, part: slice, factor: np.ndarray | float = 1.0) -> Bandpowers:
        """Bandpowers of some pixels, whose weights are multiplied with a factor (n_pixels,)."""
        mocks, pixels = self.mocks.part(part), self.pixels[part]
        difference = self.cleaned.difference
        estimator = weighted_estimator(
            mocks, pixels, self.nside, self.spectra, self.pixel_weights, factor
        )
        return measure_bandpowers(
            self.cleaned.cmb[:, part],
            None if difference is None else difference[:, part],
            mocks,
            estimator,
            pixels,
            self.theory,
        )

    @cached_property
    def regions(self) -> dict[str, slice]:
        """Every region, and last all of them."""
        return dict(self.parts) | {COMBINED: slice(None)}

    @cached_property
    def bandpowers(self) -> dict[str, Bandpowers]:
        """By region; of one region those of all are the same."""
        found = {name: self.bandpowers_of(part) for name, part in self.parts.items()}
        together = self.bandpowers_of(slice(None)) if len(found) > 1 else next(iter(found.values()))
        return found | {COMBINED: together}

    @cached_property
    def ranges(self) -> list[tuple[float, float]]:
        """Ranges of multipoles with bins that are used, to below 3 nside at most."""
        together = self.bandpowers[COMBINED]
        within = [(low, min(high, 3 * self.nside)) for low, high in self.multipole_ranges]
        return [one for one in within if np.any(bins_within(together, one) * together.used)]

    def estimate(self, region: str, **options) -> REstimate | None:
        """r of a region; see `estimate_r_of_bandpowers`."""
        return estimate_r_of_bandpowers(self.bandpowers[region], self.amplitude_scatter, **options)

    def r_table(self) -> pd.DataFrame:
        """r of every region, and of all of them in ranges of multipoles.

        Returns
        -------
        DataFrame
            `region`, `ell_low`, `ell_high` (NaN of all multipoles), r_hat with its errors and
            intervals, NaN where r cannot be measured; whether the fit of the maps `converged`, and
            `n_unconverged_mocks`.
        """
        whole = (np.nan, np.nan)
        asked = [(name, whole, self.estimate(name)) for name in self.regions]
        together = self.bandpowers[COMBINED]
        asked += [
            (COMBINED, one, self.estimate(COMBINED, weights=bins_within(together, one)))
            for one in self.ranges
        ]
        return pd.DataFrame(
            [
                {"region": region, "ell_low": low, "ell_high": high, **read_off(estimate)}
                for region, (low, high), estimate in asked
            ],
            columns=["region", "ell_low", "ell_high", *READ_OFF],
        ).assign(
            converged=self.cleaned.converged,
            n_unconverged_mocks=int((~self.mocks.converged).sum()),
        )

    def curves(self) -> pd.DataFrame:
        """The likelihood of r of every region: `region`, `r` and `likelihood`."""
        estimates = {name: self.estimate(name) for name in self.regions}
        none = pd.DataFrame({"region": [], "r": [], "likelihood": []})
        found = [
            pd.DataFrame({"region": name, "r": one.r, "likelihood": one.likelihood})
            for name, one in estimates.items()
            if one is not None
        ]
        return pd.concat(found, ignore_index=True) if found else none

    def null_tests(self) -> pd.DataFrame:
        """See `null_tests`; of regions, and of ranges of multipoles of all of them."""
        regions = list(self.parts)
        rows = [bandpower_test(name, self.bandpowers[name]) for name in self.regions]
        if self.cleaned.difference is not None:
            rows += [difference_test(name, self.bandpowers[name]) for name in self.regions]
        rows.append(self._agreement("regions agree", {name: (name, 1.0) for name in regions}))
        together = self.bandpowers[COMBINED]
        of_ranges = {str(one): (COMBINED, bins_within(together, one)) for one in self.ranges}
        rows.append(self._agreement("multipoles agree", of_ranges))
        return null_table(rows)

    def _agreement(self, name, asked):
        estimates = {
            key: self.estimate(region, weights=weights) for key, (region, weights) in asked.items()
        }
        mocks = {
            key: r_of_mocks(self.bandpowers[region], self.amplitude_scatter, weights)
            for key, (region, weights) in asked.items()
        }
        r_hat = {key: np.nan if one is None else one.r_hat for key, one in estimates.items()}
        return agreement_test(name, COMBINED, r_hat, mocks)

    def influence(self) -> pd.DataFrame:
        """See `influence.influence`."""

        def weighted(part):
            def bandpowers(weight):
                factor = np.ones(len(self.pixels))
                factor[part] = weight
                return self.bandpowers_of(slice(None), factor)

            return bandpowers

        return influence(
            self.bandpowers[COMBINED],
            self.amplitude_scatter,
            self.ranges,
            {name: weighted(part) for name, part in self.parts.items()},
        )


def read_off(estimate: REstimate | None) -> dict[str, float]:
    """r with its errors and intervals, by their names in tables; nothing of None."""
    if estimate is None:
        return {}
    return estimate.headline | estimate.intervals() | estimate.intervals(0.0, "_physical")
