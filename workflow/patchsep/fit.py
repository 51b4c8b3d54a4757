"""Fits of the spectral parameters of every patch. The engine is `_minimize`, alone.

Bounds are met by the substitution β = mid + half-width × sin θ, and every parameter is
measured in its own error at the start, from the likelihood's curvature. In those variables
Optax's L-BFGS needs tens of iterations for few patches and some hundreds for thousands.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .patches import PARAMETERS
from .spectral import component_maps, curvature, negative_log_likelihood, whiten

# Scaling and convergence are judged anew at most this often within one fit, each round
# asking L-BFGS for a gradient this much smaller than the one before.
MAX_ROUNDS, ROUND_FACTOR = 6, 0.3


@dataclass(frozen=True)
class Separation:
    """Fits of n_realizations data sets.

    Attributes
    ----------
    parameters, errors : dict of str to array (n_realizations, n_patches)
        beta_dust, temp_dust (K), beta_synch of every patch, and their errors from the
        curvature with all other parameters fixed; NaN for a patch without pixels.
    nll : array (n_realizations,)
        ½ Σ ‖P⊥ y‖² at the end.
    cmb : array (n_realizations, 2, n_pixels)
        Recovered CMB in µK_CMB.
    iterations : int array (n_realizations,)
    gradient : array (n_realizations,)
        Largest step, over all parameters, that the curvature asks for within the bounds,
        in units of that parameter's error.
    converged : bool array (n_realizations,)
        Whether `gradient` is below the tolerance.
    n_at_bounds : int array (n_realizations,)
        Parameters at a bound: nearer than a thousandth of their error, or of the interval
        where that is smaller.
    """

    parameters: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    nll: np.ndarray
    cmb: np.ndarray
    iterations: np.ndarray
    gradient: np.ndarray
    converged: np.ndarray
    n_at_bounds: np.ndarray


def separate(
    data: np.ndarray,
    sigma: np.ndarray,
    frequencies: np.ndarray,
    patches: dict[str, np.ndarray],
    bounds: dict[str, tuple[float, float]],
    start: dict[str, float],
    max_iterations: int = 2000,
    tolerance: float = 1e-3,
) -> Separation:
    """Fit the spectral parameters of every patch and recover the CMB.

    Parameters
    ----------
    data : array (n_realizations, n_bands, 2, n_pixels)
        Q, U in µK_CMB.
    sigma : array (n_bands,)
        Noise rms per pixel in µK_CMB.
    frequencies : array (n_bands,)
        Band centres in GHz.
    patches : dict of str to int array (n_pixels,)
        Patch labels, from 0, for `beta_dust`, `temp_dust` and `beta_synch`.
    bounds, start : dicts by parameter
        Allowed interval and starting value, the same for all patches.
    max_iterations : int
        Iterations after which a fit is given up and marked as not converged.
    tolerance : float
        Largest `gradient` of a converged fit, in units of a parameter's error.

    Returns
    -------
    Separation

    Raises
    ------
    ValueError
        For shapes that do not agree or are empty, values that are not finite, sigma that is
        not positive, labels that are negative, and a start outside the bounds.
    """
    data, sigma, frequencies = (np.asarray(a, dtype=float) for a in (data, sigma, frequencies))
    _check(data, sigma, frequencies, patches, bounds, start)
    problem = _Problem.from_patches(patches, bounds, start)
    fits = [
        _fit(realization, sigma, frequencies, problem, max_iterations, tolerance)
        for realization in data
    ]
    stacked = {key: np.stack([fit[key] for fit in fits]) for key in fits[0]}
    return Separation(
        **stacked
        | {name: problem.by_parameter(stacked[name]) for name in ("parameters", "errors")},
        converged=stacked["gradient"] < tolerance,
    )


def parameter_maps(parameters: dict[str, np.ndarray], patches: dict[str, np.ndarray]) -> np.ndarray:
    """Patch values (n_patches,) spread over pixels: array (3, n_pixels)."""
    return np.stack([np.asarray(parameters[name])[patches[name]] for name in PARAMETERS])


def _check(data, sigma, frequencies, patches, bounds, start):
    if data.ndim != 4 or data.shape[2] != 2:
        raise ValueError(
            f"data has shape {data.shape}; needed is (n_realizations, n_bands, 2, n_pixels)"
        )
    if 0 in data.shape:
        raise ValueError(f"data has shape {data.shape}: there is nothing to fit")
    n_bands, n_pixels = data.shape[1], data.shape[3]
    if n_bands < len(PARAMETERS) + 1:
        raise ValueError(f"{n_bands} bands cannot constrain three components; needed are 4 or more")
    for name, values in (("sigma", sigma), ("frequencies", frequencies)):
        if values.shape != (n_bands,):
            raise ValueError(f"{name} has shape {values.shape}; data has {n_bands} bands")
        if not np.all(values > 0):
            raise ValueError(f"{name} must be positive in every band, and is {values}")
    if not np.isfinite(data).all():
        bad = np.flatnonzero(~np.isfinite(data).all(axis=(0, 1, 2)))
        raise ValueError(f"data is not finite in {len(bad)} pixels, the first {bad[0]}: mask them")
    for name, mapping in (("patches", patches), ("bounds", bounds), ("start", start)):
        if set(mapping) != set(PARAMETERS):
            raise ValueError(
                f"{name} are given for {sorted(mapping)}; needed: {sorted(PARAMETERS)}"
            )
    for name, (lower, upper) in bounds.items():
        if not lower < start[name] < upper:
            raise ValueError(f"start of {name}, {start[name]}, is not inside {lower} … {upper}")
    for name, labels in patches.items():
        labels = np.asarray(labels)
        if labels.shape != (n_pixels,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"patches of {name}: {labels.dtype} array of shape {labels.shape}; "
                f"needed are integer labels of {n_pixels} pixels"
            )
        if labels.min() < 0:
            raise ValueError(f"patches of {name}: negative label {labels.min()}; mask such pixels")


@dataclass(frozen=True)
class _Problem:
    """Patches of the three parameters as one vector of unknowns.

    Every shape costs seconds of compilation and padding next to nothing, so pixels are
    padded with empty ones to a multiple of 256, and the vector to a power of two, 1024 at
    least. Empty pixels belong to its last element.
    """

    labels: np.ndarray  # (3, n_padded_pixels), indices into the vector
    n_pixels: int
    counts: tuple[int, int, int]
    lower: np.ndarray  # (n_unknowns,), as are upper, start and used
    upper: np.ndarray
    start: np.ndarray
    used: np.ndarray

    @classmethod
    def from_patches(cls, patches, bounds, start):
        counts = tuple(int(np.max(patches[name])) + 1 for name in PARAMETERS)
        offsets = np.cumsum((0, *counts))
        n_unknowns = max(1024, 1 << int(offsets[-1]).bit_length())
        labels = np.stack(
            [patches[name] + offset for name, offset in zip(PARAMETERS, offsets, strict=False)]
        )
        # Padding takes the last parameter's bounds.
        kind = np.repeat(range(3), (*counts[:2], n_unknowns - offsets[2]))
        lower, upper = np.array([bounds[name] for name in PARAMETERS], dtype=float)[kind].T
        n_pixels = labels.shape[1]
        padding = ((0, 0), (0, -n_pixels % 256))
        return cls(
            labels=np.pad(labels, padding, constant_values=n_unknowns - 1),
            n_pixels=n_pixels,
            counts=counts,
            lower=lower,
            upper=upper,
            start=np.array([start[name] for name in PARAMETERS], dtype=float)[kind],
            used=np.bincount(labels.ravel(), minlength=n_unknowns) > 0,
        )

    def by_parameter(self, vectors):
        """Split (..., n_unknowns) into a dict of (..., n_patches), NaN where no pixel is."""
        vectors = np.where(self.used, vectors, np.nan)
        ends = np.cumsum(self.counts)
        return dict(zip(PARAMETERS, np.split(vectors[..., : ends[-1]], ends[:-1], axis=-1)))


def _fit(data, sigma, frequencies, problem, max_iterations, tolerance):
    n_empty = problem.labels.shape[1] - problem.n_pixels
    data = np.pad(data, ((0, 0), (0, 0), (0, n_empty)))
    white_data = whiten(data, sigma)
    instrument = (frequencies, sigma)
    unknowns, iterations = problem.start, 0
    for round_index in range(MAX_ROUNDS):
        unknowns, used_iterations = _minimize(
            unknowns,
            white_data,
            *instrument,
            problem.labels,
            problem.lower,
            problem.upper,
            max_iterations - iterations,
            tolerance * ROUND_FACTOR**round_index,
        )
        iterations += int(used_iterations)
        nll, gradient, errors = _diagnose(unknowns, white_data, *instrument, problem.labels)
        # How far the curvature would move each parameter, bounds respected. A patch without
        # signal has no curvature, and nothing to converge.
        step = np.clip(unknowns - gradient * errors**2, problem.lower, problem.upper) - unknowns
        constrained = problem.used & np.isfinite(errors)
        scaled = np.where(constrained, np.abs(step) / errors, 0.0)
        if scaled.max() < tolerance or iterations >= max_iterations:
            break
    cmb = component_maps(unknowns[problem.labels], data, *instrument)[0]
    margin = np.minimum(unknowns - problem.lower, problem.upper - unknowns)
    near = 1e-3 * np.minimum(errors, problem.upper - problem.lower)
    return {
        "parameters": np.asarray(unknowns),
        "errors": np.asarray(errors),
        "nll": float(nll),
        "cmb": np.asarray(cmb)[:, : problem.n_pixels],
        "iterations": iterations,
        "gradient": float(scaled.max()),
        "n_at_bounds": int(np.sum(constrained & (margin < near))),
    }


@jax.jit
def _diagnose(unknowns, white_data, frequencies, sigma, labels):
    """NLL, its gradient and the parameters' errors 1 / √curvature, at the unknowns."""

    def objective(vector):
        return negative_log_likelihood(vector[labels], white_data, frequencies, sigma)

    nll, gradient = jax.value_and_grad(objective)(unknowns)
    return nll, gradient, _errors(unknowns, white_data, frequencies, sigma, labels)


def _errors(unknowns, white_data, frequencies, sigma, labels):
    per_pixel = curvature(unknowns[labels], white_data, frequencies, sigma)
    return 1 / jnp.sqrt(jax.ops.segment_sum(per_pixel.ravel(), labels.ravel(), len(unknowns)))


@jax.jit
def _minimize(
    start, white_data, frequencies, sigma, labels, lower, upper, max_iterations, tolerance
):
    """Minimise the negative log-likelihood from `start` by L-BFGS (Optax).

    Returns the unknowns and the number of iterations. It stops when no derivative, per
    starting error, is above the tolerance; the caller judges convergence.
    """
    middle, half_width = (upper + lower) / 2, (upper - lower) / 2
    # A start at a bound would be a stationary point of the substitution.
    angle = jnp.arcsin(jnp.clip((start - middle) / half_width, -1 + 1e-6, 1 - 1e-6))
    errors = _errors(start, white_data, frequencies, sigma, labels)
    scale = jnp.minimum(errors / (half_width * jnp.cos(angle)), 0.5)

    def to_unknowns(z):
        return middle + half_width * jnp.sin(angle + scale * z)

    def objective(z):
        return negative_log_likelihood(to_unknowns(z)[labels], white_data, frequencies, sigma)

    optimizer = optax.lbfgs(
        memory_size=20,
        linesearch=optax.scale_by_zoom_linesearch(
            max_linesearch_steps=20, initial_guess_strategy="one"
        ),
    )
    value_and_grad = optax.value_and_grad_from_state(objective)

    def iterate(carry):
        z, state, iteration = carry
        value, gradient = value_and_grad(z, state=state)
        updates, state = optimizer.update(
            gradient, state, z, value=value, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(z, updates), state, iteration + 1

    def unfinished(carry):
        _, state, iteration = carry
        gradient = optax.tree.get(state, "grad")
        return (iteration < max_iterations) & (
            (iteration == 0) | (jnp.max(jnp.abs(gradient)) > tolerance)
        )

    z = jnp.zeros_like(start)
    z, _, iterations = jax.lax.while_loop(unfinished, iterate, (z, optimizer.init(z), 0))
    return to_unknowns(z), iterations
