"""The optimiser: minimum of a sum over cells of functions of patch values, within bounds.

A trust-region Newton method made for the structure of the problem. Its model of the sum is
the quadratic one, known exactly cell by cell; each unknown is trusted within an interval
of its own, so that one faint patch, whose likelihood is far from quadratic, does not hold
up the others. The model is minimised within intervals and bounds by projected searches
along conjugate gradients on the unknowns that are free (Moré & Toraldo 1991), those of the
first parameter being eliminated beforehand: no two of them meet in a cell, so their part of
the matrix is diagonal. Far from the minimum the Gauss-Newton part alone often predicts the sum
better; whichever predicted the last step better makes the next (Dennis, Gay & Welsch 1981).
"""

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .likelihood import Expansion, pairs
from .problem import Incidence

# An interval grows by this factor where the model was right, and the model is right or
# wrong about an unknown if its error is below or above these parts of the quadratic term.
GROWTH, RIGHT, WRONG = 4.0, 0.25, 0.75
# A wrong model is still trusted within this part of an unknown's error, if the sum fell.
TRUSTED = 0.3
# No interval gets smaller than this part of an unknown's error.
SMALLEST_REACH = 1e-4
# Second derivatives along an unknown below this part of the Gauss-Newton ones are raised to it.
LEAST_CURVATURE = 0.05
# Steps in a row without effect after which the search ends.
MAX_IDLE = 6
# The model is minimised until its gradient has fallen by this factor, or further near the
# minimum, in so many searches of so many conjugate gradients each, at most.
REDUCTION, MAX_SEARCHES, MAX_GRADIENTS, MAX_HALVINGS = 0.1, 8, 60, 12


def batched_like(values, like: jax.Array):
    """The values themselves, batched under vmap if `like` is.

    A loop that starts from values of which some are batched is traced again until all that
    get batched in it are, and so is every loop within: a tenth of the time of compiling or more.

    Parameters
    ----------
    values : array or tree of arrays
    like : array of floats
    """
    never = like.ravel()[0] > jnp.inf
    return jax.tree.map(lambda value: jnp.where(never, value, value), values)


class Minimum(NamedTuple):
    """Where the search ended, after so many steps: arrays (n_unknowns,).

    Errors of the unknowns and the steps still asked of them are those of `steps_asked`.
    """

    unknowns: jax.Array
    iterations: jax.Array
    errors: jax.Array
    steps: jax.Array


class _State(NamedTuple):
    unknowns: jax.Array
    step: jax.Array  # the next one to try
    trial: tuple[jax.Array, ...]  # parameters of every cell after it
    expansion: Expansion  # at the unknowns
    reach: jax.Array  # half-width of the interval in which each unknown is trusted
    use_hessian: jax.Array
    rejections: jax.Array  # in a row
    idle: jax.Array  # steps in a row that float64 could not tell from none
    iterations: jax.Array
    finished: jax.Array


def minimize(
    expand: Callable[[tuple[jax.Array, ...]], Expansion],
    labels: jax.Array,
    start: jax.Array,
    lower: jax.Array,
    upper: jax.Array,
    reach: jax.Array,
    max_iterations: int,
    tolerance: float,
) -> Minimum:
    """Minimise Σ over cells of expand(parameters of the cells).value.

    Parameters
    ----------
    expand : function of n_parameters arrays (n_cells,) to `likelihood.Expansion`
    labels : int array (n_parameters, n_cells)
        The unknown that each parameter of a cell is. Those of the first row are below
        n_cells, those of the others are not.
    start, lower, upper, reach : arrays (n_unknowns,)
        Starting values, bounds, and the steps within which the model is trusted at first.
        Under vmap the start should be batched, see `batched_like`.
    max_iterations : int
    tolerance : float
        The search ends when no unknown is asked for a larger step, see `steps_asked`.

    Returns
    -------
    Minimum
    """
    patches = Incidence(labels, len(start))

    def iterate(state):
        first = state.iterations == 0
        trial = expand(state.trial)
        assessed = _assess(patches, state, trial)
        accepted = first | assessed.accepted
        old = (state.expansion, state.unknowns)
        new = (trial, state.unknowns + state.step)
        expansion, unknowns = jax.tree.map(lambda n, o: jnp.where(accepted, n, o), new, old)
        _, asked = _steps_asked(patches, expansion, unknowns, lower, upper)
        idle = jnp.where(assessed.negligible & ~first, state.idle + 1, 0)
        finished = (jnp.max(asked) < tolerance) | (idle == MAX_IDLE)

        reach_now = jnp.where(first, reach, jnp.minimum(assessed.reach, reach))
        use_hessian = ~first & assessed.use_hessian
        step = _minimize_quadratic(
            patches,
            # Where the search is finished nothing is left to minimise.
            jnp.where(finished, 0.0, patches.collect(expansion.gradient)),
            [
                jnp.where(use_hessian, h, g)
                for h, g in zip(expansion.hessian, expansion.gauss_newton, strict=True)
            ],
            patches.diagonal(expansion.gauss_newton),
            jnp.maximum(lower - unknowns, -reach_now),
            jnp.minimum(upper - unknowns, reach_now),
        )
        step = jnp.clip(unknowns + step, lower, upper) - unknowns
        return _State(
            unknowns,
            step,
            patches.spread(unknowns + step),
            expansion,
            reach_now,
            use_hessian,
            jnp.where(accepted, 0, state.rejections + 1),
            idle,
            state.iterations + 1,
            finished,
        )

    nothing, n = jnp.zeros(labels.shape[1]), len(labels)
    n_pairs = len(pairs(n))
    state = _State(
        start,
        jnp.zeros_like(start),
        patches.spread(start),
        Expansion(nothing, n * (nothing,), n_pairs * (nothing,), n_pairs * (nothing,)),
        reach,
        jnp.array(False),
        jnp.array(0),
        jnp.array(0),
        jnp.array(0),
        jnp.array(False),
    )
    # The first pass tries no step: it expands at the start.
    state = jax.lax.while_loop(
        lambda s: ~s.finished & (s.iterations <= max_iterations),
        iterate,
        batched_like(state, start),
    )
    errors, steps = _steps_asked(patches, state.expansion, state.unknowns, lower, upper)
    return Minimum(state.unknowns, state.iterations - 1, errors, steps)


class _Assessment(NamedTuple):
    accepted: jax.Array
    negligible: jax.Array
    reach: jax.Array
    use_hessian: jax.Array


def _assess(patches, state, trial):
    """Compare what a step brought with what the model had predicted."""
    model, n = state.expansion, len(patches.labels)
    by_cell = patches.spread(state.step)
    fall = model.value - trial.value
    slope = -_dot(model.gradient, by_cell)
    bend_hessian, bend_gauss_newton = (
        0.5 * _dot(_multiply(matrix, by_cell), by_cell)
        for matrix in (model.hessian, model.gauss_newton)
    )
    bend = jnp.where(state.use_hessian, bend_hessian, bend_gauss_newton)
    resolution = 64 * jnp.finfo(fall.dtype).eps * jnp.sum(jnp.abs(trial.value))
    total_fall, predicted = jnp.sum(fall), jnp.sum(slope - bend)
    negligible = (jnp.abs(total_fall) < resolution) & (jnp.abs(predicted) < resolution)
    accepted = (total_fall > 0) | negligible

    # How wrong the model was, patch by patch of every parameter. After rejections in a row
    # less and less is forgiven, in the end nothing.
    wrong_by = patches.collect(n * (slope - bend - fall,))
    size = patches.collect(n * (jnp.abs(bend),))
    wrong = wrong_by > WRONG * size * 0.25**state.rejections + resolution
    right = accepted & ~wrong & (wrong_by < RIGHT * size + resolution)
    error = _errors(patches.diagonal(model.gauss_newton))
    moved = jnp.abs(state.step)
    shrunk = jnp.where(
        accepted,
        jnp.maximum(moved / 2, jnp.minimum(TRUSTED * error, state.reach)),
        jnp.maximum(jnp.minimum(moved, state.reach) / 4, SMALLEST_REACH * error),
    )
    shrink = wrong | (~accepted & (state.rejections > 2))
    reach = jnp.where(shrink, shrunk, state.reach)
    reach = jnp.where(right, jnp.maximum(state.reach, GROWTH * moved), reach)
    better = jnp.abs(jnp.sum(slope - bend_hessian) - total_fall) <= jnp.abs(
        jnp.sum(slope - bend_gauss_newton) - total_fall
    )
    return _Assessment(accepted, negligible, reach, better)


def steps_asked(expansion, labels, unknowns, lower, upper):
    """Errors of the unknowns, and the steps that the gradient asks of them within the bounds.

    Parameters
    ----------
    expansion : Expansion
        At the unknowns.
    labels : int array (n_parameters, n_cells)
    unknowns, lower, upper : arrays (n_unknowns,)

    Returns
    -------
    errors, steps : arrays (n_unknowns,)
        Errors from the Gauss-Newton diagonal, with all other unknowns fixed, and |steps|
        along that curvature in units of them: the projected gradient. Where nothing
        depends on an unknown its error is infinite and the step zero.
    """
    return _steps_asked(Incidence(labels, len(unknowns)), expansion, unknowns, lower, upper)


def _steps_asked(patches, expansion, unknowns, lower, upper):
    scale = patches.diagonal(expansion.gauss_newton)
    errors = _errors(scale)
    known = scale > 0
    asked = unknowns - patches.collect(expansion.gradient) / jnp.where(known, scale, 1.0)
    step = jnp.clip(asked, lower, upper) - unknowns
    return errors, jnp.where(known, jnp.abs(step) / errors, 0.0)


def _errors(scale):
    known = scale > 0
    return jnp.where(known, 1 / jnp.sqrt(jnp.where(known, scale, 1.0)), jnp.inf)


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _multiply(matrix, vector):
    """Symmetric matrices by vectors, as many arrays (n_cells,) as `pairs` and as parameters."""
    rows = len(vector) * [0.0]
    for entry, (k, m) in zip(matrix, pairs(len(vector)), strict=True):
        rows[k] += entry * vector[m]
        if k != m:
            rows[m] += entry * vector[k]
    return rows


def _minimize_quadratic(patches, gradient, matrix, scale, lower, upper):
    """Minimise gradient · d + ½ d · matrix · d approximately for lower ≤ d ≤ upper.

    The matrix, arrays (n_cells,) in the order of `pairs`, is made positive along the unknowns by
    the Gauss-Newton diagonal `scale`; a direction of negative curvature that is left ends it.
    """
    diagonal = patches.diagonal(matrix)
    damping = 1e-6 * scale + jnp.maximum(0.0, LEAST_CURVATURE * scale - diagonal)
    positive = diagonal + damping
    inverse = jnp.where(positive > 0, 1 / jnp.where(positive > 0, positive, 1.0), 0.0)
    n = patches.n_first

    def times(d):
        return patches.collect(_multiply(matrix, patches.spread(d))) + damping * d

    def free(d, slope):
        return ~(((d <= lower) & (slope > 0)) | ((d >= upper) & (slope < 0)))

    def size(d, slope):
        return jnp.sum(jnp.where(free(d, slope), slope**2 * inverse, 0.0))

    initial = size(jnp.zeros_like(gradient), gradient)
    # Squared; superlinear convergence needs ever better steps (Dembo et al. 1982).
    goal = initial * jnp.minimum(REDUCTION**2, jnp.sqrt(initial / len(gradient)))

    def search(carry):
        d, slope, held, searches, _ = carry
        mask = jnp.where(free(d, slope) & ~held, 1.0, 0.0)
        direction = _newton_direction(
            patches,
            -mask * slope,
            matrix,
            damping[n:],
            inverse,
            mask,
            goal / 4,
        )

        def shorten(trial):
            length, *_, halvings = trial
            return (length / 2, *try_length(length / 2), halvings + 1)

        def try_length(length):
            end = jnp.clip(d + length * direction, lower, upper)
            change = times(end - d)
            return end, slope + change, (end - d) @ (slope + 0.5 * change)

        _, end, end_slope, fall, _ = jax.lax.while_loop(
            lambda trial: (trial[3] > 0) & (trial[4] < MAX_HALVINGS),
            shorten,
            batched_like((1.0, *try_length(1.0), 0), slope),
        )
        fell = fall < 0
        # Unknowns that the direction drives against a bound may hold up all others.
        shortest = d + direction / 2**MAX_HALVINGS
        held = (shortest < lower) | (shortest > upper)
        d, slope = jnp.where(fell, end, d), jnp.where(fell, end_slope, slope)
        unfinished = (size(d, slope) > goal) & (fell | jnp.any(held))
        return d, slope, held, searches + 1, unfinished

    nothing = jnp.zeros_like(gradient)
    d, *_ = jax.lax.while_loop(
        lambda carry: carry[4] & (carry[3] < MAX_SEARCHES),
        search,
        batched_like(
            (nothing, gradient, jnp.zeros(gradient.shape, bool), 0, initial > 0), gradient
        ),
    )
    return d


def _newton_direction(patches, right, matrix, damping, inverse, mask, goal):
    """Solve matrix · d = right for the unknowns in the mask.

    The first unknowns are eliminated exactly, and preconditioned conjugate gradients run on
    the rest until the squared size of their residual is below the goal.
    """
    n, n_parameters = patches.n_first, len(patches.labels)
    h = dict(zip(pairs(n_parameters), matrix, strict=True))
    others = range(1, n_parameters)
    inverse_first, inverse_rest, mask = inverse[:n] * mask[:n], inverse[n:], mask[n:]
    if not others:
        return jnp.concatenate([inverse_first * right[:n], jnp.zeros_like(inverse_rest)])

    def along(k, by_cell):
        """Row k of the matrix by values of the other parameters than the first."""
        return reduce(
            add, (h[min(k, m), max(k, m)] * v for m, v in zip(others, by_cell, strict=True))
        )

    def solve_first(right_first, by_cell):
        return inverse_first * (right_first - patches.collect_first(along(0, by_cell)))

    def couple(eliminated):
        by_cell = eliminated[patches.labels[0]]
        return [h[0, k] * by_cell for k in others]

    def times(rest):
        by_cell = patches.spread_rest(rest)
        coupled = couple(solve_first(0.0, by_cell))
        rows = [along(k, by_cell) + c for k, c in zip(others, coupled, strict=True)]
        return mask * (patches.collect_rest(rows) + damping * rest)

    def iterate(carry):
        d, residual, direction, size, _, count = carry
        image = times(direction)
        bend = direction @ image
        norm = jnp.sum(
            jnp.where(mask > 0, direction**2 / jnp.where(inverse_rest > 0, inverse_rest, 1.0), 0.0)
        )
        negative = bend <= 1e-3 * norm
        # Along negative curvature only the first step, which is one of steepest descent.
        length = jnp.where(negative, jnp.where(count == 0, size / norm, 0.0), size / bend)
        d = d + length * direction
        residual = residual - length * image
        conditioned = inverse_rest * residual
        new_size = residual @ conditioned
        direction = conditioned + new_size / size * direction
        return d, residual, direction, new_size, negative, count + 1

    reduced = right[n:] - mask * patches.collect_rest(couple(inverse_first * right[:n]))
    conditioned = inverse_rest * reduced
    size = reduced @ conditioned
    goal = jnp.maximum(goal, REDUCTION**2 * size)
    rest, *_ = jax.lax.while_loop(
        lambda carry: ~carry[4] & (carry[5] < MAX_GRADIENTS) & (carry[3] > goal),
        iterate,
        batched_like((jnp.zeros_like(reduced), reduced, conditioned, size, size <= 0, 0), reduced),
    )
    return jnp.concatenate([solve_first(right[:n], patches.spread_rest(rest)), rest])
