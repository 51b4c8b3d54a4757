"""The fields' means and power spectra, from one observation alone.

The factors of octaves are those of largest posterior, their likelihood being the evidence: that of
the data with the fields integrated over, in Laplace's approximation. Its derivative by the
logarithm of an octave's power is ½ (|a|² - γ), with a the whitened coefficients of the octave and γ
their effective number (MacKay 1992), and its curvature is Fisher's matrix, ½ tr(K K'), K being what
the data tell of an octave (Bond, Jaffe & Knox 1998, arXiv:astro-ph/9708203). Traces are those of
random vectors of signs (Hutchinson 1990), each of which takes a linear system.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..instrument.plausible import check_maps, unmasked
from ..lazy import healpy as hp
from ..observation.bands import Bands
from ..separation.batches import device
from .basis import Basis, exact_below
from .fit import Maximum, conjugate_gradients, curvature_of, maximize, whitened
from .prior import FieldPrior, Freedom, octaves, variance_of

log = logging.getLogger(__name__)

# Random vectors for the effective modes and for Fisher's matrix, and the part of a right-hand side
# that linear systems leave. Few vectors would scatter as much as the coefficients themselves do.
N_VECTORS, N_FISHER, LEFT = 16, 2, 3e-4
# Steps of one of them after which the curvature of low multipoles is inverted for the others.
SLOW = 15
# Steps after which Fisher's matrix is computed again, and the size of a step to and fro after which
# it is at once, in units of a factor's error. Where two fields can explain the same, as those of
# dust's index and temperature, such steps have no end with one that is older.
RENEWED, TURNED = 3, 1.0
# Steps at most; the last is below this part of every factor's error.
MAX_STEPS, SMALL = 30, 0.1
# Largest change of the logarithm of a factor in one step.
LARGEST = 2.5
# Octaves with fewer effective modes have no rows of Fisher's matrix of their own.
FEWEST_MODES = 0.1
# Fisher information that an octave counts with at least, where errors are stated.
LEAST_INFORMATION = 1e-6
# Pixels' own values are compared within cells of this part of nside: fields hardly vary there.
CELLS = 8
# Of the table of spectra, see `measure_fields`; without fields it has no rows.
COLUMNS = [
    "parameter",
    "ell_min",
    "ell_max",
    "expected",
    "prior",
    "power",
    "error",
    "effective_modes",
    "modes",
]
# The scatter of pixels' own values is at least this part of the published one.
LEAST_SCATTER = 0.01


@dataclass(frozen=True)
class MeasuredFields:
    """What one observation tells.

    Attributes
    ----------
    priors : tuple of FieldPrior
        With the spectra found.
    maximum : Maximum
        The fit of the observation with them.
    spectra : DataFrame
        A row per octave of every field, see `measure_fields`.
    """

    priors: tuple[FieldPrior, ...]
    maximum: Maximum
    spectra: pd.DataFrame


def measure_fields(
    data: np.ndarray,
    priors: Sequence[FieldPrior],
    pixels: np.ndarray,
    nside: int,
    bands: Bands,
    freedom: Freedom,
    remainder: float,
    seed: int,
    **limits,
) -> MeasuredFields:
    """Measure the fields' spectra on one observation.

    Pixels have free values here where the prior has a remainder: spectra of the other parameters
    are then those that the data show whatever it does. The scatter of these values within small
    cells tells how much the parameter varies, and its remainder is a wide one, of several times
    that scatter: what it shrinks in a pixel is of no account, and noise is left out of faint ones.

    Parameters
    ----------
    data : array (n_bands, 2, n_pixels), µK_CMB
    priors : sequence of FieldPrior
        One of each spectral parameter, in the order of the model.
    pixels : int array (n_pixels,), RING order
    nside : int
    bands : Bands
    freedom : Freedom
    remainder : float
        Standard deviation of remainders, in units of the scatter found.
    seed : int
        Of the random vectors.
    limits :
        `max_iterations` and `tolerance` of `fit.maximize`.

    Returns
    -------
    MeasuredFields
        Rows of `spectra`: `parameter`, `ell_min` and `ell_max` of the octave, `expected` power and
        that of the field in the `prior` found, the `power` that the data alone tell and its `error`
        (1 σ), all in the parameter's unit squared, and `effective_modes`, of `modes`.

    Raises
    ------
    ValueError
        For data that are masked or not plausible, see `instrument.plausible`.
    NoDevice
        See `batches.device`.
    """
    device()
    check_maps(unmasked(data, "data"), bands.sigma)
    white, names = whitened(data, bands), bands.model.names
    priors = list(priors)
    where = pixels, nside
    found = _iterate(white, priors, *where, bands, freedom, seed, limits)
    spectra = _spectra(found, names, nside)
    priors, maximum = list(found.priors), found.maximum
    with_pixels = [k for k, prior in enumerate(priors) if prior.kind == "field_and_pixels"]
    if with_pixels:
        for k in with_pixels:
            scatter = _scatter_of_pixels(maximum, k, priors[k], *where)
            log.info("%s: scatter %.3g, remainder %.3g", names[k], scatter, remainder * scatter)
            priors[k] = replace(
                priors[k].scaled(scatter / priors[k].scatter), remainder=remainder * scatter
            )
        final = _evidence(white, priors, *where, bands, seed, None, limits, None)
        maximum, told = final.maximum, _spectra(final, names, nside)
        of_pixels = told["parameter"].isin([names[k] for k in with_pixels])
        spectra = pd.concat([told[of_pixels], *([spectra] if len(spectra) else [])])
        spectra = spectra.reset_index(drop=True)
    return MeasuredFields(tuple(priors), maximum, spectra)


@dataclass
class _Evidence:
    """The evidence's derivatives at a maximum: arrays over the octaves of all fields."""

    priors: list[FieldPrior]
    maximum: Maximum
    numbers: list[slice]
    power: np.ndarray
    effective: np.ndarray
    effective_error: np.ndarray
    modes: np.ndarray
    fisher: np.ndarray

    @property
    def slope(self):
        return 0.5 * (self.power - self.effective)


def _is_fitted(prior):
    """Whether there is a field that is fitted: free values of pixels leave none."""
    return prior.has_field and not np.isinf(prior.remainder)


def _numbers(priors):
    """Where each parameter's octaves are among those of all."""
    ends = np.cumsum([0, *(len(p.log_factors) if _is_fitted(p) else 0 for p in priors)])
    return [slice(*ends[k : k + 2]) for k in range(len(priors))]


def _iterate(white, priors, pixels, nside, bands, freedom, seed, limits):
    """Newton steps in the logarithms of the factors, to where their posterior is largest."""
    numbers = _numbers(priors)
    precision = np.zeros((numbers[-1].stop, numbers[-1].stop))
    for number in numbers:
        covariance = freedom.covariance(number.stop - number.start)
        precision[number, number] = np.linalg.inv(covariance)
    start, last, evidence, turned = None, np.zeros(len(precision)), None, False
    for step_number in range(MAX_STEPS):
        fisher = None if turned or step_number % RENEWED == 0 else evidence.fisher
        evidence = _evidence(white, priors, pixels, nside, bands, seed, start, limits, fisher)
        if not len(precision):
            return evidence
        logs = np.concatenate([p.log_factors for p in priors if _is_fitted(p)])
        curvature = evidence.fisher + precision
        step = np.linalg.solve(curvature, evidence.slope - precision @ logs)
        step = np.clip(step, -LARGEST, LARGEST)
        # Where two steps go to and fro the truth is between them.
        step = np.where(step * last < 0, step / 2, step)
        in_errors = np.abs(step) / np.sqrt(np.diag(np.linalg.inv(curvature)))
        largest, turned = np.max(in_errors), np.any((step * last < 0) & (in_errors > TURNED))
        log.info("step %d of the spectra: %.2g of their errors", step_number + 1, largest)
        if largest < SMALL:
            return evidence
        moved = [
            replace(p, log_factors=p.log_factors + step[n]) if _is_fitted(p) else p
            for p, n in zip(priors, numbers, strict=True)
        ]
        start = _rescaled(evidence.maximum, priors, moved, pixels, nside)
        priors, last = moved, step
    log.warning("spectra of the fields did not converge: %.2g of an error is asked", largest)
    return evidence


def _basis(priors, pixels, nside):
    return Basis(tuple(prior.variation() for prior in priors), pixels, nside)


def _rescaled(maximum, priors, moved, pixels, nside):
    """Start of the next fit: the same maps, in coefficients of other spectra."""
    ratio = []
    parts = _basis(priors, pixels, nside).parts
    for old, new, part in zip(priors, moved, parts, strict=True):
        ratio.append(np.ones(part.size if part else 0))
        if _is_fitted(old):
            varies = part.ell > 0
            power = old.power[part.ell[varies]] / new.power[part.ell[varies]]
            ratio[-1][varies] = np.sqrt(power)
    return maximum.coefficients * np.concatenate(ratio), maximum.at.parameters


def _evidence(white, priors, pixels, nside, bands, seed, start, limits, fisher):
    basis = _basis(priors, pixels, nside)
    maximum = maximize(white, bands, basis, start=start, **limits)
    numbers = _numbers(priors)
    n_octaves = numbers[-1].stop
    octave = np.full(basis.size, n_octaves)
    for prior, part, own, number in zip(priors, basis.parts, basis.slices, numbers, strict=True):
        if _is_fitted(prior):
            octave[own] = np.where(
                part.ell > 0, number.start + octaves(prior.lmax)[part.ell], n_octaves
            )

    def by_octave(values):
        return np.bincount(octave, weights=values, minlength=n_octaves + 1)[:n_octaves]

    gauss_newton, hessian = np.asarray(maximum.at.curvature)
    times, inverse, slow = curvature_of(basis, hessian), maximum.preconditioner, False

    def told(vector):
        """K times a vector, K = 1 - curvature⁻¹: what the data tell of it."""
        nonlocal inverse, slow
        solved, steps, _ = conjugate_gradients(times, vector, inverse, LEFT)
        if steps > SLOW and not slow:
            # Of Gauss and Newton, which is positive where a fit has not converged, too.
            inverse, slow = exact_below(basis, gauss_newton), True
        return vector - solved

    # The same vectors in every step, so that steps end.
    vectors = np.random.default_rng(seed).choice([-1.0, 1.0], size=(N_VECTORS, basis.size))
    traces = np.array([by_octave(v * told(v)) for v in vectors])
    scatter = traces.std(axis=0, ddof=1) / np.sqrt(N_VECTORS)
    effective, modes = np.maximum(traces.mean(axis=0), 0.0), by_octave(np.ones(basis.size))
    if fisher is None:
        fisher = np.diag(0.5 * effective**2 / np.maximum(modes, 1))
        for number in np.flatnonzero(effective > FEWEST_MODES):
            own = [
                by_octave(told(np.where(octave == number, v, 0.0)) ** 2) for v in vectors[:N_FISHER]
            ]
            fisher[number] = 0.5 * np.mean(own, axis=0)
        fisher = (fisher + fisher.T) / 2
    power = by_octave(maximum.coefficients**2)
    return _Evidence(list(priors), maximum, numbers, power, effective, scatter, modes, fisher)


def _scatter_of_pixels(maximum, k, prior, pixels, nside):
    """Rms of a parameter on all scales, of that of pixels' free values within small cells.

    Most likely for independent Gaussian values with the errors that the curvature tells; all scales
    have as much more as the expected spectrum says.
    """
    curvature = np.asarray(maximum.at.own_curvature)[k]
    known = curvature > 0
    values, noise = np.asarray(maximum.at.parameters)[k][known], 1 / curvature[known]
    cells_nside = max(nside // CELLS, 1)
    cells = hp.ang2pix(cells_nside, *hp.pix2ang(nside, pixels[known]))
    n_cells = hp.nside2npix(cells_nside)
    least = (LEAST_SCATTER * prior.scatter) ** 2
    variance = prior.scatter**2
    for _ in range(100):
        weight = 1 / (noise + variance)
        total = np.bincount(cells, weight, n_cells)
        mean = np.bincount(cells, weight * values, n_cells) / np.where(total > 0, total, 1.0)
        # A cell's mean takes its share of the scatter.
        share = 1 - weight / total[cells]
        off = (values - mean[cells]) ** 2 - share * noise
        new = max(np.sum(weight**2 * off) / np.sum(weight**2 * share), least)
        if abs(new - variance) < 1e-3 * variance:
            break
        variance = new
    within = prior.expected.copy()
    within[: int(np.pi * cells_nside)] = 0.0
    return float(np.sqrt(new * variance_of(prior.expected) / variance_of(within)))


def _spectra(found: _Evidence, names: Sequence[str], nside: int) -> pd.DataFrame:
    rows = []
    # One step of the evidence alone, from the spectra found (Bond, Jaffe & Knox 1998, eq. 29).
    # Octaves of which the data tell nothing have a large error, not an infinite or imaginary one.
    values, vectors = np.linalg.eigh(found.fisher)
    covariance = (vectors / np.maximum(values, LEAST_INFORMATION)) @ vectors.T
    # The random vectors scatter too, and by more than the data where these tell little.
    of_vectors = covariance @ np.diag((found.effective_error / 2) ** 2) @ covariance
    ratio = 1 + covariance @ found.slope
    error = np.sqrt(np.diag(covariance + of_vectors))
    for name, prior, number in zip(names, found.priors, found.numbers, strict=True):
        ell = np.arange(prior.lmax + 1)
        # Beside the field the prior has a remainder: what is measured is both.
        white = prior.remainder**2 * hp.nside2pixarea(nside)
        for place, octave in enumerate(range(number.start, number.stop)):
            inside = (octaves(prior.lmax) == place) & (ell > 0)
            weights = (2 * ell + 1)[inside]
            mean = np.average(prior.power[: prior.lmax + 1][inside], weights=weights)
            rows.append(
                {
                    "parameter": name,
                    "ell_min": ell[inside].min(),
                    "ell_max": ell[inside].max(),
                    "expected": np.average(
                        prior.expected[: prior.lmax + 1][inside], weights=weights
                    ),
                    "prior": mean,
                    "power": mean * ratio[octave] + white,
                    "error": mean * error[octave],
                    "effective_modes": found.effective[octave],
                    "modes": found.modes[octave],
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)
