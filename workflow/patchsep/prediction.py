"""Prediction: what a fit would make of noise, to first order, without fitting it.

Near the minimum parameters answer linearly to noise, by the inverse of the likelihood's curvature
(Stompor et al. 2016, arXiv:1609.03807), and so does the recovered CMB. One linear system then
stands for the search of a fit.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .fit import BOUNDS
from .patches import PARAMETERS
from .problem import Incidence, room_for
from .spectral import PAIRS, Bands, cmb_response, expand, mixing, recover, whiten

# Part of the right-hand side that may be left of a linear system, and searches for less.
TOLERANCE, MAX_GRADIENTS = 1e-3, 300
# Part of its interval within which a parameter is at its bound, and the inverse variance that it
# is held with there.
AT_BOUND, HELD = 1e-3, 1e30


def propagate(
    parameters: np.ndarray,
    patches: dict[str, np.ndarray],
    data: np.ndarray,
    changes: np.ndarray,
    sigma: np.ndarray,
    frequencies: np.ndarray,
    bounds: dict[str, tuple[float, float]] = BOUNDS,
    prior: dict[str, tuple[float, float]] | None = None,
) -> np.ndarray:
    """Change of the recovered CMB with the data, to first order.

    Parameters at a bound stay there. To the others bounds do not matter; a prior a hundred times as
    wide only keeps those in place that nothing constrains. One as wide as the bounds would halve
    the power that is predicted.

    Parameters
    ----------
    parameters : array (3, n_pixels)
        beta_dust, temp_dust (K), beta_synch that were fitted to the data.
    patches : dict of str to int array (n_pixels,)
    data : array (n_bands, 2, n_pixels), µK_CMB
        Where the likelihood is expanded. What a fit makes of noise is met best around data that
        have noise themselves: without it faint patches answer to more than their parameters allow.
    changes : array (n_realizations, n_bands, 2, n_pixels), µK_CMB
        What is added to the data: noise, and if you like CMB, which is recovered as it is.
    sigma, frequencies, bounds, prior :
        See `fit.separate`.

    Returns
    -------
    array (n_realizations, 2, n_pixels), µK_CMB
    """
    n_pixels = data.shape[-1]
    counts = [n_pixels, *(int(patches[name].max()) + 1 for name in PARAMETERS[1:])]
    first = np.concatenate([[0], np.cumsum(counts)])
    labels = np.stack([patches[name] for name in PARAMETERS]) + first[:3, None]
    precision = np.ones(n_pixels + room_for(sum(counts[1:]), n_pixels))
    for name, start, end, own, values in zip(PARAMETERS, first, first[1:], labels, parameters):
        lower, upper = bounds[name]
        precision[start:end] = 12 / (100 * (upper - lower)) ** 2
        if name in (prior or {}):
            precision[start:end] = 1 / prior[name][1] ** 2
        held = np.minimum(values - lower, upper - values) < AT_BOUND * (upper - lower)
        precision[own[held]] = HELD
    bands = Bands.of(frequencies, sigma)
    return np.asarray(_propagate(changes, tuple(parameters), labels, precision, data, bands))


@jax.jit
def _propagate(changes, parameters, labels, precision, data, bands):
    patches = Incidence(labels, len(precision))
    white = whiten(data, bands)
    matrix = expand(parameters, white, bands).hessian
    entry = {pair: values for (k, m), values in zip(PAIRS, matrix) for pair in ((k, m), (m, k))}
    # Unknowns in units of their error: bright patches would hide what is left of faint ones.
    error = 1 / jnp.sqrt(jnp.maximum(patches.diagonal(matrix), 0.0) + precision)
    response = cmb_response(parameters, data, bands)
    columns = mixing(parameters, bands)

    def times(scaled):
        unknowns = error * scaled
        by_pixel = patches.spread(unknowns)
        rows = [sum(entry[k, m] * by_pixel[m] for m in range(3)) for k in range(3)]
        return error * (patches.collect(rows) + precision * unknowns)

    def gradient(white):
        return expand(parameters, white, bands).gradient

    def one(change):
        _, slope = jax.jvp(gradient, (white,), (whiten(change, bands),))
        moved, _ = jax.scipy.sparse.linalg.cg(
            times,
            -error * patches.collect(slope),
            tol=TOLERANCE,
            maxiter=MAX_GRADIENTS,
        )
        moved = patches.spread(error * moved)
        direct = recover(columns, change, bands).cmb
        return jnp.stack(
            [
                direct[stokes] + sum(response[k][stokes] * moved[k] for k in range(3))
                for stokes in range(2)
            ]
        )

    return jax.lax.map(one, changes)
