"""Optimisers of other codes, to compare with: one realisation at a time, on the same data.

Optax's L-BFGS and SciPy's TNC minimise the likelihood of `spectral` with its closed-form
gradient, in unknowns measured in their own error at the start; FGBuster uses TNC. Where
furax-cs is installed (envs/peers.txt), its optimisers minimise its own likelihood.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize

from .spectral import Bands, expand


@dataclass(frozen=True)
class Task:
    """One fit.

    Attributes
    ----------
    statistics : array
        What `spectral.expand` takes as data.
    start, lower, upper, errors : arrays (n_unknowns,)
        Errors at the start with all other unknowns fixed, infinite where unconstrained.
    labels : int array (3, n_cells)
        The unknown of each parameter of a cell.
    bands : Bands
    data : array (n_bands, 2, n_pixels), µK_CMB
    cells : int array (n_pixels,)
        The cell of each pixel.
    max_iterations : int
    tolerance : float
        Derivative, times the error at the start, at which to stop.
    """

    statistics: jax.Array
    start: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    errors: np.ndarray
    labels: np.ndarray
    bands: Bands
    data: np.ndarray
    cells: np.ndarray
    max_iterations: int
    tolerance: float

    @property
    def scale(self):
        """Errors where they are of use to scale an unknown, (n_unknowns,)."""
        return np.minimum(self.errors, (self.upper - self.lower) / 4)


@jax.jit
def value_and_gradient(unknowns, statistics, bands, labels):
    """NLL, but for a constant, and its derivatives by the unknowns."""
    expansion = expand(tuple(unknowns[label] for label in labels), statistics, bands)
    gradient = sum(
        jax.ops.segment_sum(along, label, len(unknowns))
        for along, label in zip(expansion.gradient, labels, strict=True)
    )
    return jnp.sum(expansion.value), gradient


def optax_lbfgs(task: Task) -> tuple[np.ndarray, int]:
    """L-BFGS with bounds met by the substitution β = middle + half-width × sin θ."""
    unknowns, iterations = _optax_lbfgs(
        task.start,
        task.lower,
        task.upper,
        task.scale,
        (task.statistics, task.bands, task.labels),
        task.max_iterations,
        task.tolerance,
    )
    return np.asarray(unknowns), int(iterations)


@jax.jit
def _optax_lbfgs(start, lower, upper, scale, model, max_iterations, tolerance):
    middle, half_width = (upper + lower) / 2, (upper - lower) / 2
    angle = jnp.arcsin((start - middle) / half_width)
    scale = scale / (half_width * jnp.cos(angle))

    def to_unknowns(z):
        return middle + half_width * jnp.sin(angle + scale * z)

    @jax.custom_vjp
    def value(unknowns):
        return value_and_gradient(unknowns, *model)[0]

    value.defvjp(
        lambda unknowns: value_and_gradient(unknowns, *model),
        lambda gradient, tangent: (tangent * gradient,),
    )

    def objective(z):
        return value(to_unknowns(z))

    optimizer = optax.lbfgs(
        memory_size=20,
        linesearch=optax.scale_by_zoom_linesearch(
            max_linesearch_steps=20, initial_guess_strategy="one"
        ),
    )
    value_and_grad = optax.value_and_grad_from_state(objective)

    def iterate(carry):
        z, state, iteration = carry
        current, gradient = value_and_grad(z, state=state)
        updates, state = optimizer.update(
            gradient, state, z, value=current, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(z, updates), state, iteration + 1

    def unfinished(carry):
        _, state, iteration = carry
        largest = jnp.max(jnp.abs(optax.tree.get(state, "grad")))
        return (iteration < max_iterations) & ((iteration == 0) | (largest > tolerance))

    z = jnp.zeros_like(start)
    z, _, iterations = jax.lax.while_loop(unfinished, iterate, (z, optimizer.init(z), 0))
    return to_unknowns(z), iterations


def scipy_tnc(task: Task) -> tuple[np.ndarray, int]:
    """Truncated Newton with bounds; the Hessian is taken from differences of gradients."""

    def objective(scaled):
        value, gradient = value_and_gradient(
            scaled * task.scale, task.statistics, task.bands, task.labels
        )
        return float(value), np.asarray(gradient) * task.scale

    found = scipy.optimize.minimize(
        objective,
        task.start / task.scale,
        jac=True,
        method="TNC",
        bounds=np.stack([task.lower, task.upper], axis=1) / task.scale[:, None],
        options={"maxfun": task.max_iterations, "ftol": 0, "xtol": 0, "gtol": task.tolerance},
    )
    return found.x * task.scale, int(found.nfev)


PEERS = {"optax_lbfgs": optax_lbfgs, "scipy_tnc": scipy_tnc}
