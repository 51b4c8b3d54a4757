"""Prediction: what a fit would make of noise, without a search.

Near the minimum parameters answer linearly to noise, by the inverse of the likelihood's curvature
(Stompor et al. 2016, arXiv:1609.03807; Rizzieri et al. 2025). The curvature is that of the
foregrounds, which white noise does not change on average: of noise alone the likelihood expects the
same for all parameters. One linear system then stands for the search of a fit, and the CMB is
recovered with the parameters that it gives.

Of a temperature it is the inverse that is taken to answer linearly, as dust's spectrum nearly does,
x / (eˣ - 1) = 1 - x / 2 + … with x = hν / kT: warm dust looks the same at any temperature.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..instrument.bandpass import Bandpasses
from ..instrument.noise import WhiteNoise
from ..observation.bands import Bands
from ..sky.spectral_model import SpectralModel
from .fit import prepare, recover_maps
from .likelihood import double_precision, expand, pairs
from .problem import Incidence, Problem

# Part of the right-hand side that may be left of a linear system, and searches for less.
TOLERANCE, MAX_GRADIENTS = 1e-3, 300
# Linear systems, each with those parameters held that left their bounds in the one before; more of
# them change less than a thousandth of the power.
N_SYSTEMS = 2
# Standard deviation that nothing constrains better, in widths of the bounds: one as wide as the
# bounds would halve the power that is predicted.
WIDE = 100.0


@double_precision
def propagate(
    parameters: dict[str, np.ndarray],
    patches: dict[str, np.ndarray],
    foregrounds: np.ndarray,
    data: np.ndarray,
    noise: WhiteNoise,
    bandpasses: Bandpasses | np.ndarray,
    model: SpectralModel,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters and CMB that fits would find in data with noise, the parameters to first order.

    Parameters
    ----------
    parameters : dict of str to array (n_patches,)
        Those that were fitted to the foregrounds.
    patches : dict of str to int array (n_pixels,)
    foregrounds : array (n_bands, 2, n_pixels), µK_CMB
    data : array (n_realizations, n_bands, 2, n_pixels), µK_CMB
        The foregrounds with noise, and if you like CMB.
    noise, bandpasses, model :
        See `fit.separate`.

    Returns
    -------
    parameters : dict of str to array (n_realizations, n_patches)
        Within the bounds.
    cmb : array (n_realizations, 2, n_pixels), µK_CMB
    """
    middle = {name: sum(ends) / 2 for name, ends in model.bounds.items()}
    bands = Bands.of(bandpasses, noise, model)
    limits = model.with_limits(start=middle)
    problem = Problem.from_patches(patches, limits, merge=not bands.is_by_pixel)
    n_cells = problem.labels.shape[1]
    inverses = [problem.places[one.name] for one in model.parameters if one.inverse]
    by_inverse = np.isin(np.arange(len(problem.lower)), np.concatenate([[-1], *inverses]))
    unknowns = _propagate(
        prepare(np.concatenate([foregrounds[None], data]), bands, problem.blocks, n_cells),
        problem.vector(parameters),
        by_inverse,
        problem.labels,
        problem.lower,
        problem.upper,
        bands.of_cells(n_cells),
    )
    recovery = recover_maps(unknowns, problem, data, bands)
    return problem.by_parameter(np.asarray(unknowns)), np.stack(recovery.cmb, axis=1)


def _straight(unknowns, start, by_inverse):
    """Steps from `start` in unknowns or their inverse, in units of the unknowns there."""
    return jnp.where(by_inverse, start * (1 - start / unknowns), unknowns - start)


def _bent(steps, start, by_inverse):
    """Unknowns after steps that `_straight` would give."""
    return jnp.where(by_inverse, start / (1 - steps / start), start + steps)


@jax.jit
def _propagate(statistics, start, by_inverse, labels, lower, upper, bands):
    patches, n = Incidence(labels, len(start)), len(labels)
    by_cell = patches.spread(start)
    lowest, highest = (_straight(ends, start, by_inverse) for ends in (lower, upper))

    matrix = expand(by_cell, statistics[0], bands).hessian
    entry = {pair: values for (k, m), values in zip(pairs(n), matrix) for pair in ((k, m), (m, k))}
    precision = 1 / (WIDE * (upper - lower)) ** 2
    # Unknowns in units of their error: bright patches would hide what is left of faint ones.
    error = 1 / jnp.sqrt(jnp.maximum(patches.diagonal(matrix), 0.0) + precision)

    def times(step):
        along = patches.spread(step)
        rows = [sum(entry[k, m] * along[m] for m in range(n)) for k in range(n)]
        return patches.collect(rows) + precision * step

    def one(statistics):
        slope = patches.collect(expand(by_cell, statistics, bands).gradient)

        def system(_, found):
            free, within = found
            held = (1 - free) * within
            scaled, _ = jax.scipy.sparse.linalg.cg(
                lambda scaled: free * error * times(free * error * scaled) + (1 - free) * scaled,
                -free * error * (slope + times(held)),
                tol=TOLERANCE,
                maxiter=MAX_GRADIENTS,
            )
            trial = held + free * error * scaled
            outside = (trial < lowest) | (trial > highest)
            return jnp.where(outside, 0.0, free), jnp.clip(trial, lowest, highest)

        all_free = jnp.ones_like(start), jnp.zeros_like(start)
        _, within = jax.lax.fori_loop(0, N_SYSTEMS, system, all_free)
        return _bent(within, start, by_inverse)

    return jax.lax.map(one, statistics[1:])
