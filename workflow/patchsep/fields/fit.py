"""Fits of fields: the maximum of likelihood × prior, for many realisations of one sky.

The unknowns are the whitened coefficients of a `Basis`. With S the maps that they make and H the
second derivatives of the likelihood by the maps, what is free in every pixel being eliminated, the
curvature is 1 + SᵀHS: steps of Newton's method follow from conjugate gradients, each of which
takes two spherical transforms per field. Fields for spectral indices are those of Commander
(arXiv:1502.01588) and of hierarchical models (Grumitt et al. 2019, arXiv:1910.14170).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..instrument.bandpass import Bandpasses
from ..instrument.larger_pixels import LargerPixels
from ..instrument.noise import WhiteNoise
from ..instrument.plausible import check_maps, unmasked
from ..observation.bands import Bands, whiten
from ..separation.batches import device
from ..separation.likelihood import double_precision, mixing, recover
from ..sky.harmonics import n_cores
from ..sky.spectral_model import SpectralModel
from .basis import Basis, by_multipole, exact_below
from .pixelwise import Eliminated, eliminate

# Part of a residual that conjugate gradients may leave far from the minimum, and steps for it.
REDUCTION, MAX_GRADIENTS = 0.1, 300
# Steps of a linear system after which the curvature of low multipoles is inverted for the next.
SLOW = 100
# A Newton step is halved until the sum falls by this part of what its slope promises.
ARMIJO, MAX_HALVINGS = 1e-4, 20


@dataclass(frozen=True)
class Maximum:
    """Where the posterior of one realisation is largest.

    Attributes
    ----------
    coefficients : array (size,)
        See `Basis`.
    at : Eliminated
        The likelihood there.
    preconditioner : function
        Multiplies coefficients (size,) by a rough inverse of the curvature.
    gradient : float
        Largest step still asked for, in units of a coefficient's or pixel's error.
    iterations, gradients : int
        Newton steps and conjugate gradients that it took.
    """

    coefficients: np.ndarray
    at: Eliminated
    preconditioner: Callable[[np.ndarray], np.ndarray]
    gradient: float
    iterations: int
    gradients: int


@dataclass(frozen=True)
class FieldFits:
    """Fits of n_realizations data sets.

    Attributes
    ----------
    cmb : array (n_realizations, 2, n_pixels), µK_CMB
    parameters : array (n_realizations, n_parameters, n_pixels)
        In the pixels of the data.
    nll : array (n_realizations,)
        ½ Σ ‖P⊥ y‖².
    iterations, gradients : int arrays (n_realizations,)
        Newton steps, and conjugate gradients in all of them.
    gradient : array (n_realizations,)
        Largest step still asked for, in units of a coefficient's or pixel's error.
    converged : bool array (n_realizations,)
    n_at_bounds : int array (n_realizations,)
        Pixels' parameters at a bound.
    """

    cmb: np.ndarray
    parameters: np.ndarray
    nll: np.ndarray
    iterations: np.ndarray
    gradients: np.ndarray
    gradient: np.ndarray
    converged: np.ndarray
    n_at_bounds: np.ndarray


def fit_fields(
    data: Sequence[np.ndarray],
    basis: Basis,
    noise: WhiteNoise,
    bandpasses: Bandpasses | np.ndarray,
    model: SpectralModel,
    larger: LargerPixels | None = None,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
) -> FieldFits:
    """Fit the fields of a prior to every data set, and recover the CMB.

    Parameters
    ----------
    data : array (n_realizations, n_bands, 2, n_pixels), µK_CMB
        Of all regions, side by side.
    basis : Basis
        Of the same pixels, or of larger ones.
    noise : WhiteNoise
        Of the data.
    bandpasses : Bandpasses, or array (n_bands,)
        The latter in GHz, of infinitely narrow bands.
    model : SpectralModel
    larger : LargerPixels, optional
        Those of the basis, of which parameters are fitted to the means of the data.
    max_iterations : int
        Newton steps after which a fit is given up and marked as not converged.
    tolerance : float
        Largest `gradient` of a converged fit.

    Raises
    ------
    ValueError
        If shapes do not agree, or data, noise or frequencies are not plausible (see
        `instrument.plausible`).
    NoDevice
        See `batches.device`.
    """
    device()
    larger = larger or LargerPixels(basis.pixels, basis.nside, basis.nside)
    means = Means.of(larger, bandpasses, noise, model)
    bands = means.bands if larger.is_same else Bands.of(bandpasses, noise, model)
    _check(data, basis, larger, bandpasses, noise, model)
    limits = {"max_iterations": max_iterations, "tolerance": tolerance}

    def fit(one):
        found = means.maximum(one, basis, **limits)
        parameters = means.parameters(found)
        return found, parameters, recover_cmb(parameters, one, bands)

    with ThreadPoolExecutor(n_cores()) as pool:
        fits = list(pool.map(fit, data))
    cmb = np.stack([np.stack(recovery.cmb) for *_, recovery in fits])
    return FieldFits(
        cmb=cmb,
        parameters=np.stack([parameters for _, parameters, _ in fits]),
        nll=np.array([float(recovery.nll) for *_, recovery in fits]),
        iterations=np.array([found.iterations for found, *_ in fits]),
        gradients=np.array([found.gradients for found, *_ in fits]),
        gradient=np.array([found.gradient for found, *_ in fits]),
        converged=np.array([found.gradient < tolerance for found, *_ in fits])
        & np.isfinite(cmb).all(axis=(1, 2)),
        n_at_bounds=np.array([int(found.at.at_bounds) for found, *_ in fits]),
    )


def _check(data, basis, larger, bandpasses, noise, model):
    if not np.array_equal(larger.pixels, basis.pixels):
        raise ValueError("the larger pixels are not those of the basis")
    wanted = len(bandpasses), 2, len(larger.of_maps)
    for number, one in enumerate(data):
        if np.shape(one) != wanted:
            raise ValueError(f"data set {number} has shape {np.shape(one)}; needed is {wanted}")
        name = f"data set {number}"
        check_maps(unmasked(one, name), noise.sigma, name)
    if len(basis.variations) != len(model.parameters):
        raise ValueError(f"{len(basis.variations)} priors for {len(model.parameters)} parameters")


@dataclass(frozen=True)
class Means:
    """Means of maps over larger pixels, which spectral parameters are fitted to.

    Attributes
    ----------
    larger : LargerPixels
    bands : Bands
        With the noise of the means.
    """

    larger: LargerPixels
    bands: Bands

    @classmethod
    def of(
        cls,
        larger: LargerPixels,
        bandpasses: Bandpasses | np.ndarray,
        noise: WhiteNoise,
        model: SpectralModel,
    ) -> "Means":
        """Of maps with this noise."""
        return cls(larger, Bands.of(bandpasses, larger.noise(noise), model))

    def maximum(self, data: np.ndarray, basis: Basis, **options) -> Maximum:
        """See `maximize`; of data (n_bands, 2, n_pixels) in µK_CMB."""
        white = whitened(self.larger.mean(data), self.bands)
        return maximize(white, self.bands, basis, **options)

    def parameters(self, found: Maximum) -> np.ndarray:
        """Those found (n_parameters, n_pixels), in the pixels of the maps."""
        return self.larger.spread(np.asarray(found.at.parameters))


@double_precision
def whitened(data: np.ndarray, bands: Bands):
    """`likelihood.whiten` of one data set (n_bands, 2, n_pixels) in µK_CMB."""
    return whiten(jnp.asarray(data), bands)


@double_precision
def recover_cmb(parameters: np.ndarray, data: np.ndarray, bands: Bands):
    """`likelihood.Recovery` of one data set with parameters (n_parameters, n_pixels)."""
    recovery = recover(mixing(parameters, bands), jnp.asarray(data), bands)
    return jax.tree.map(np.asarray, recovery)


@double_precision
def maximize(
    white,
    bands: Bands,
    basis: Basis,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    centre: tuple[np.ndarray, np.ndarray] | None = None,
) -> Maximum:
    """The maximum of likelihood × prior of one realisation.

    Safeguarded Newton steps: the first along Gauss-Newton second derivatives, further ones along
    exact ones, unless these are not positive along a direction that conjugate gradients take.

    Parameters
    ----------
    white : array (n_bands, 2, n_pixels)
        See `whitened`.
    bands : Bands
    basis : Basis
    max_iterations, tolerance :
        See `fit_fields`.
    start : coefficients (size,) and parameters (n_parameters, n_pixels), optional
        Where the search starts; without, at what is expected.
    centre : coefficients (size,) and maps (n_parameters, n_pixels), optional
        What the prior expects of the coefficients, and what it adds to the means; without, zero.
    """
    means, precision = basis.means(), basis.precision
    expected = np.zeros(basis.size)
    if centre is not None:
        expected, means = centre[0], means + centre[1]
    own = basis.own
    weights = jnp.array([v.precision if k in own else 0.0 for k, v in enumerate(basis.variations)])

    def evaluate(coefficients, parameters):
        at = eliminate(
            means + basis.maps(coefficients), parameters, white, bands, weights, own, tolerance / 10
        )
        # Arrays of NumPy are in float64 for everyone who uses them.
        at = jax.tree.map(np.asarray, at)
        return at, float(at.value) + 0.5 * precision @ (coefficients - expected) ** 2

    x, parameters = (expected.copy(), jnp.asarray(means)) if start is None else start
    at, value = evaluate(x, parameters)
    iterations = gradients = 0
    exact = None
    while True:
        curvatures = np.asarray(at.curvature)
        slope = basis.transpose(np.asarray(at.gradient)) + precision * (x - expected)
        diagonal = precision + basis.diagonal(np.einsum("kkn->kn", curvatures[0]))
        steps = np.max(np.abs(slope) / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), initial=0.0)
        asked = max(float(steps), float(at.asked))
        preconditioner = exact or by_multipole(basis, curvatures[0])
        if asked < tolerance or iterations == max_iterations:
            return Maximum(x, at, preconditioner, asked, iterations, gradients)
        for curvature in (curvatures[min(iterations, 1)], curvatures[0]):
            step, n, positive = conjugate_gradients(
                curvature_of(basis, curvature), -slope, preconditioner, min(REDUCTION, asked**0.5)
            )
            gradients += n
            if n > SLOW:
                exact = preconditioner = exact_below(basis, curvatures[0])
            if positive:
                break
        length, promised = 1.0, slope @ step
        # Far below what float64 resolves of the sum no fall can be asked for.
        resolution = 64 * np.finfo(float).eps * abs(value)
        for _ in range(MAX_HALVINGS):
            there, there_value = evaluate(x + length * step, at.parameters)
            if there_value <= value + ARMIJO * length * promised + resolution:
                break
            length /= 2
        x, at, value = x + length * step, there, there_value
        iterations += 1


def curvature_of(basis: Basis, curvature: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that multiplies coefficients (size,) by prior precision + SᵀHS.

    Parameters
    ----------
    basis : Basis
    curvature : array (n_parameters, n_parameters, n_pixels)
        H of every pixel.
    """

    def times(vector):
        along = np.einsum("kmn,mn->kn", curvature, basis.maps(vector))
        return basis.precision * vector + basis.transpose(along)

    return times


def conjugate_gradients(
    times: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    preconditioner: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
) -> tuple[np.ndarray, int, bool]:
    """Solve times(x) = right (Hestenes & Stiefel 1952), with a preconditioner.

    Returns
    -------
    solution : array (size,)
        Its residual, measured with the preconditioner, is `tolerance` times the right-hand side.
    steps : int
    positive : bool
        False where a direction of negative curvature ended it.
    """
    solution, residual = np.zeros_like(right), right
    direction = preconditioner(residual)
    size = residual @ direction
    goal = tolerance**2 * size
    for steps in range(MAX_GRADIENTS):
        if size <= goal:
            return solution, steps, True
        image = times(direction)
        bend = direction @ image
        if bend <= 0:
            return solution if steps else direction, steps, False
        solution = solution + size / bend * direction
        residual = residual - size / bend * image
        scaled = preconditioner(residual)
        size, last = residual @ scaled, size
        direction = scaled + size / last * direction
    return solution, MAX_GRADIENTS, True
