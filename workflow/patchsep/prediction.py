"""Prediction: the statistical residual of a configuration from the curvature of its likelihood.

Near the minimum parameters answer linearly to noise, by the inverse of the Gauss-Newton matrix
(Stompor et al. 2016, arXiv:1609.03807), and so does the recovered CMB. One linear system per draw
of noise stands for the fit of a noise realisation.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .fit import BOUNDS
from .patches import PARAMETERS
from .problem import Incidence, room_for
from .spectral import PAIRS, Bands, cmb_response, expand, whiten

# Draws that are solved for together.
DRAWS_AT_ONCE = 8


def predict_residuals(
    parameters: dict[str, np.ndarray],
    patches: dict[str, np.ndarray],
    data: np.ndarray,
    sigma: np.ndarray,
    frequencies: np.ndarray,
    draws: int,
    seed: int,
    bounds: dict[str, tuple[float, float]] = BOUNDS,
) -> np.ndarray:
    """Statistical residuals of the recovered CMB, to first order in the noise.

    A parameter's error is limited by its bounds, of which the flat prior has the variance
    (upper - lower)² / 12.

    Parameters
    ----------
    parameters : dict of str to array (n_patches,)
        Where the likelihood is expanded: those of a fit, see `fit.Separation`.
    patches : dict of str to int array (n_pixels,)
    data : array (n_bands, 2, n_pixels), µK_CMB
        What was fitted, without noise or with it.
    sigma, frequencies : arrays (n_bands,)
        See `fit.separate`.
    draws, seed : int

    Returns
    -------
    array (draws, 2, n_pixels), µK_CMB
    """
    bands, n_pixels = Bands.of(frequencies, sigma), data.shape[-1]
    counts = [n_pixels, *(len(parameters[name]) for name in PARAMETERS[1:])]
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    labels = np.stack([patches[name] for name in PARAMETERS]) + offsets[:, None]
    unknowns, prior = np.ones((2, n_pixels + room_for(sum(counts[1:]), n_pixels)))
    for name, offset in zip(PARAMETERS, offsets, strict=True):
        lower, upper = bounds[name]
        place = slice(offset, offset + len(parameters[name]))
        unknowns[place], prior[place] = parameters[name], 12 / (upper - lower) ** 2
    model = _model(unknowns, labels, data, bands)
    rng = np.random.default_rng(seed)
    residuals = []
    for first in range(0, draws, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, draws - first)
        # Noise of the parameters' gradients, and of the CMB for given parameters.
        noise = rng.standard_normal((DRAWS_AT_ONCE, 5, labels.shape[1]))
        residuals.append(np.asarray(_respond(noise, labels, prior, *model))[:count])
    return np.concatenate(residuals)


@jax.jit
def _model(unknowns, labels, data, bands):
    by_pixel = tuple(unknowns[label] for label in labels)
    expansion = expand(by_pixel, whiten(data, bands), bands)
    return expansion.gauss_newton, *cmb_response(by_pixel, data, bands)


@jax.jit
def _respond(noise, labels, prior, matrix, response, rms):
    incidence = Incidence(labels, len(prior))
    root = _cholesky(matrix)
    diagonal = incidence.diagonal(matrix) + prior

    def times(unknowns):
        by_pixel = incidence.spread(unknowns)
        rows = [
            sum(matrix[PAIRS.index((min(k, m), max(k, m)))] * by_pixel[m] for m in range(3))
            for k in range(3)
        ]
        return incidence.collect(rows) + prior * unknowns

    def one(noise):
        gradient = incidence.collect(
            [sum(root[k][m] * noise[m] for m in range(k + 1)) for k in range(3)]
        )
        errors, _ = jax.scipy.sparse.linalg.cg(
            times, gradient, M=lambda x: x / diagonal, tol=1e-3, maxiter=300
        )
        by_pixel = incidence.spread(errors)
        return jnp.stack(
            [
                sum(response[k][stokes] * by_pixel[k] for k in range(3)) + rms * noise[3 + stokes]
                for stokes in range(2)
            ]
        )

    return jax.vmap(one)(noise)


def _cholesky(matrix):
    """Lower triangles of positive 3 × 3 matrices, 6 arrays (n_pixels,) in the order of `PAIRS`."""
    entries = dict(zip(PAIRS, matrix, strict=True))
    root = [[], [], []]
    for k in range(3):
        for m in range(k + 1):
            rest = entries[m, k] - sum(root[k][n] * root[m][n] for n in range(m))
            if m == k:
                root[k].append(jnp.sqrt(jnp.maximum(rest, 0.0)))
            else:
                root[k].append(jnp.where(root[m][m] > 0, rest / root[m][m], 0.0))
    return root
