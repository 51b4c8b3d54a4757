"""Gain, centre and polarization angle of bands as nuisance parameters, one value each.

With Gaussian priors they are fitted to one observation of the whole sky, by Gauss-Newton steps on
the likelihood in which amplitudes and spectral parameters are free in every pixel: its derivatives
are the scores of `systematics`, so that neither a field nor a patch can take an error of a band for
foregrounds. What amplitudes and spectral parameters could explain is thereby part of the errors.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import pandas as pd

from ..instrument.bandpass import Bandpasses
from ..instrument.miscalibration import OF_BANDS, Miscalibration
from ..instrument.noise import WhiteNoise
from ..separation.likelihood import double_precision
from ..sky.spectral_model import SpectralModel
from .systematics import Departures, of_departures

log = logging.getLogger(__name__)

# Steps, the later ones of which correct for what is not linear in the errors.
STEPS = 3
# Pixels at a time: each has a matrix of all nuisance parameters.
AT_ONCE = 1024


@dataclass(frozen=True)
class Nuisance:
    """Errors of bands as one observation tells them.

    Attributes
    ----------
    names : list of (str, str)
        Kind of `OF_BANDS` and label of the band.
    prior : array (n_nuisance,)
        Standard deviations, in units of `OF_BANDS`.
    value : array (n_nuisance,)
    covariance : array (n_nuisance, n_nuisance)
    labels : list of str
        Of all bands.
    """

    names: list[tuple[str, str]]
    prior: np.ndarray
    value: np.ndarray
    covariance: np.ndarray
    labels: list[str]

    @property
    def miscalibration(self) -> Miscalibration:
        return self._of(self.value)

    def draw(self, rng: np.random.Generator) -> Miscalibration:
        """Errors that are left in bands for which `miscalibration` is corrected."""
        return self._of(rng.multivariate_normal(np.zeros(len(self.value)), self.covariance))

    def _of(self, values):
        errors = {kind: {} for kind in OF_BANDS}
        for (kind, label), value in zip(self.names, values, strict=True):
            errors[kind][label] = value
        return Miscalibration.of(self.labels, **errors)


def priors_of(settings: Mapping, labels: list[str]) -> dict[tuple[str, str], float]:
    """Standard deviation by kind and band: `settings` have one per kind, or one per band of it."""
    return {
        (kind, label): sigma
        for kind, one in settings.items()
        for label in labels
        if (sigma := one.get(label) if isinstance(one, Mapping) else one)
    }


def nuisance_table(found: Nuisance | None) -> pd.DataFrame:
    """A row per nuisance parameter: `nuisance`, `band`, `prior` (1 σ), `value` and `error`."""
    if found is None:
        return pd.DataFrame(columns=["nuisance", "band", "prior", "value", "error"])
    return pd.DataFrame(found.names, columns=["nuisance", "band"]).assign(
        prior=found.prior, value=found.value, error=np.sqrt(np.diag(found.covariance))
    )


def fit_nuisance(
    data: np.ndarray,
    parameters: np.ndarray,
    bandpasses: Bandpasses,
    noise: WhiteNoise,
    model: SpectralModel,
    priors: Mapping[tuple[str, str], float],
) -> Nuisance:
    """Fit errors of bands to one observation.

    Parameters
    ----------
    data : array (n_bands, 2, n_pixels), µK_CMB
    parameters : array (n_parameters, n_pixels)
        Fitted to the data as if the bands were as described.
    bandpasses, noise, model :
        As described.
    priors : dict of (str, str) to float
        See `priors_of`.
    """
    names, sigma = list(priors), np.array(list(priors.values()))
    labels = list(bandpasses.labels)
    found = Nuisance(names, sigma, np.zeros(len(names)), np.diag(sigma**2), labels)
    for step in range(STEPS):
        built = found.miscalibration
        departures = Departures.of(built.shift(bandpasses), noise.scaled(built.noise_factor), model)
        fitted = tuple(departures.names.index(name) for name in names)
        score, information = _sums(parameters, built.correct(data), departures, fitted)
        covariance = np.linalg.inv(information + np.diag(sigma**-2.0))
        change = covariance @ (score - found.value / sigma**2)
        found = Nuisance(names, sigma, found.value + change, covariance, labels)
        largest = np.max(np.abs(change) / np.sqrt(np.diag(covariance)))
        log.info("step %d of nuisance parameters: up to %.2g of their errors", step + 1, largest)
    return found


@double_precision
def _sums(parameters, data, departures, fitted):
    """Score and information of some departures, summed over pixels."""
    return map(np.asarray, _summed(parameters, data, departures, fitted))


@partial(jax.jit, static_argnames="fitted")
def _summed(parameters, data, departures, fitted):
    def of_fitted(residual, left):
        some = left[:, list(fitted)]
        return some.T @ residual, some.T @ some

    found = of_departures(of_fitted, parameters, data, departures, AT_ONCE)
    return [one.sum(axis=0) for one in found]
