"""What is free in every pixel is eliminated pixel by pixel.

Some spectral parameters have a value t of their own in every pixel, of which a map g tells the
expected value to within a remainder; the others are what the map says. What is left is a function
of the maps alone: the minimum over t of

    NLL(t, g) + ½ Σ precision (t - g)²

found by Newton steps within the bounds. Its derivatives by g follow from those of the likelihood
where it is smallest, as the Hessian of a variable projection does (Golub & Pereyra 1973).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..separation.likelihood import double_precision, expand, pairs

# Newton steps of a pixel at most. The step that is trusted shrinks by the first factor where the
# value rose, and grows by the second where it fell.
MAX_STEPS, SHRINK, GROWTH = 60, 0.25, 4.0
# Second derivatives below this part of the Gauss-Newton ones are raised to it.
LEAST_CURVATURE = 0.05


class Eliminated(NamedTuple):
    """A function of the maps of parameters, to second order.

    Attributes
    ----------
    parameters : array (n_parameters, n_pixels)
        Where it is smallest, within the bounds.
    value : float
        Sum over pixels, less ½ ‖y‖².
    gradient : array (n_parameters, n_pixels)
        By the maps.
    curvature : array (2, n_parameters, n_parameters, n_pixels)
        Gauss-Newton and exact second derivatives by the maps.
    own_curvature : array (n_parameters, n_pixels)
        Exact second derivatives of the likelihood along each parameter.
    asked : float
        Largest step still asked of a pixel's own value, in units of its error.
    at_bounds : int
        Values of parameters at a bound.
    """

    parameters: jax.Array
    value: jax.Array
    gradient: jax.Array
    curvature: jax.Array
    own_curvature: jax.Array
    asked: jax.Array
    at_bounds: jax.Array


@double_precision
@partial(jax.jit, static_argnames="own")
def eliminate(maps, start, data, bands, precision, own, tolerance):
    """Minimise over the values that pixels have of their own.

    Parameters
    ----------
    maps : array (n_parameters, n_pixels)
        Expected values.
    start : array (n_parameters, n_pixels)
        Where the search for pixels' own values starts.
    data : array (n_bands, 2, n_pixels)
        `likelihood.whiten(data, bands)`.
    bands : Bands
    precision : array (n_parameters,)
        Inverse variance of the remainders; 0 where nothing is known of a pixel's own value.
    own : tuple of int
        Numbers of the parameters that pixels have values of their own of.
    tolerance : float
        The search ends when no pixel is asked for a larger step, in units of its error.

    Returns
    -------
    Eliminated
    """
    model = bands.model
    n_parameters = len(maps)
    lower, upper = jnp.array([parameter.bounds for parameter in model.parameters]).T[:, :, None]
    reach = jnp.array([parameter.reach for parameter in model.parameters])
    rows = jnp.array(own, dtype=int)
    weight, low, high = precision[rows, None], lower[rows], upper[rows]
    index = {pair: number for number, pair in enumerate(pairs(n_parameters))}

    def entry(matrix, k, m):
        return matrix[index[min(k, m), max(k, m)]]

    def evaluate(t):
        parameters = jnp.clip(maps, lower, upper).at[rows].set(t)
        expansion, off = expand(parameters, data, bands), t - maps[rows]
        value = expansion.value + 0.5 * jnp.sum(weight * off**2, axis=0)
        slope = jnp.stack([expansion.gradient[k] for k in own]) + weight * off
        return expansion, value, slope

    def own_matrix(matrix):
        return [
            [entry(matrix, k, m) + (weight[i] if k == m else 0.0) for m in own]
            for i, k in enumerate(own)
        ]

    def is_free(t, slope):
        return ~(((t <= low) & (slope > 0)) | ((t >= high) & (slope < 0)))

    def steps_asked(expansion, t, slope):
        scale = jnp.stack([entry(expansion.gauss_newton, k, k) for k in own]) + weight
        scale = jnp.where(scale > 0, scale, 1.0)
        return jnp.max(jnp.abs(jnp.clip(t - slope / scale, low, high) - t) * jnp.sqrt(scale))

    def iterate(state):
        t, expansion, value, slope, radius, _, count = state
        matrix = own_matrix(expansion.gauss_newton)
        # Exact second derivatives where they are easily kept positive.
        if len(own) == 1:
            exact = own_matrix(expansion.hessian)[0][0]
            matrix = [[jnp.maximum(exact, LEAST_CURVATURE * matrix[0][0])]]
        step = -_solve(matrix, slope, is_free(t, slope))
        # Shortened as a whole: along part of it alone the value may rise.
        step = step / jnp.maximum(jnp.max(jnp.abs(step) / radius, axis=0), 1.0)
        trial = jnp.clip(t + step, low, high)
        there = evaluate(trial)
        resolution = 64 * jnp.finfo(value.dtype).eps * (jnp.abs(value) + 1)
        better, moved = there[1] <= value + resolution, jnp.abs(trial - t)
        radius = jnp.where(
            better,
            jnp.maximum(radius, GROWTH * moved),
            # What is held did not move, and is not to blame.
            jnp.where(moved > 0, jnp.maximum(SHRINK * moved, 1e-12), radius),
        )
        t, (expansion, value, slope) = jax.tree.map(
            lambda new, old: jnp.where(better, new, old), (trial, there), (t, state[1:4])
        )
        return t, expansion, value, slope, radius, steps_asked(expansion, t, slope), count + 1

    if own:
        t = jnp.clip(start[rows], low, high)
        here = evaluate(t)
        radius = jnp.broadcast_to(reach[rows][:, None], t.shape)
        t, expansion, value, slope, _, asked, _ = jax.lax.while_loop(
            lambda state: (state[-2] > tolerance) & (state[-1] < MAX_STEPS),
            iterate,
            (t, *here, radius, steps_asked(here[0], t, here[2]), 0),
        )
        free = is_free(t, slope)
    else:
        t, free, asked = maps[rows], None, jnp.array(0.0)
        expansion = expand(jnp.clip(maps, lower, upper), data, bands)
        value = expansion.value
    inside = (maps > lower) & (maps < upper)
    parameters = jnp.clip(maps, lower, upper).at[rows].set(t)

    def by_maps(matrix):
        """Second derivatives by the maps: a Schur complement over the pixels' own values."""
        inverse = _inverse_of_free(own_matrix(matrix), free)

        def between(a, b):
            if a in own and b in own:
                i, j = own.index(a), own.index(b)
                return (weight[i] if a == b else 0.0) - weight[i] * inverse[i][j] * weight[j]
            if b in own:
                a, b = b, a
            if a in own:
                i = own.index(a)
                along = sum(inverse[i][j] * entry(matrix, m, b) for j, m in enumerate(own))
                return weight[i] * along * inside[b]
            explained = sum(
                entry(matrix, a, k) * inverse[i][j] * entry(matrix, m, b)
                for i, k in enumerate(own)
                for j, m in enumerate(own)
            )
            return (entry(matrix, a, b) - explained) * inside[a] * inside[b]

        entries = [[between(a, b) for b in range(n_parameters)] for a in range(n_parameters)]
        return jnp.stack(
            [jnp.stack([jnp.broadcast_to(e, maps.shape[1]) for e in row]) for row in entries]
        )

    gradient = [
        weight[own.index(k)] * (maps[k] - parameters[k])
        if k in own
        else expansion.gradient[k] * inside[k]
        for k in range(n_parameters)
    ]
    return Eliminated(
        parameters=parameters,
        value=jnp.sum(value),
        gradient=jnp.stack(gradient),
        curvature=jnp.stack([by_maps(expansion.gauss_newton), by_maps(expansion.hessian)]),
        own_curvature=jnp.stack([entry(expansion.hessian, k, k) for k in range(n_parameters)]),
        asked=asked,
        at_bounds=jnp.sum((parameters <= lower) | (parameters >= upper)),
    )


def _inverse_of_free(matrix, free):
    """Inverse of a symmetric matrix per pixel, on the rows that are free; elsewhere zero."""
    if len(matrix) == 1:
        positive = free[0] & (matrix[0][0] > 0)
        return [[jnp.where(positive, 1 / jnp.where(positive, matrix[0][0], 1.0), 0.0)]]
    if not matrix:
        return []
    mask = free.T * 1.0
    both = mask[:, :, None] * mask[:, None, :]
    stacked = jnp.moveaxis(jnp.array(matrix), -1, 0) * both
    # Rows that are held count as ones of their own.
    held = jnp.eye(len(matrix)) * (1 - mask)[:, :, None]
    inverse = jnp.linalg.inv(stacked + held) * both
    return [[inverse[:, i, j] for j in range(len(matrix))] for i in range(len(matrix))]


def _solve(matrix, right, free):
    inverse = _inverse_of_free(matrix, free)
    return jnp.stack([sum(e * r for e, r in zip(row, right, strict=True)) for row in inverse])
