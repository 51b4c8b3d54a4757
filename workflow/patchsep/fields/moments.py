"""Score tests for what the spectral model lacks: second moments of its spectral parameters.

Where spectra of several kinds are mixed along the line of sight or within a pixel, the sum has a
spectrum of its own. To second order it is that of the mean parameters and

    ½ Σ_kl ω_kl ∂²A/∂β_k∂β_l s,

with ω the covariance of the parameters that are mixed (Chluba, Hill & Abitbol 2017,
arXiv:1701.00274, eq. 8). A power law whose index changes by C ln ν has ω = 2 C. Rao's score test
(1948) tells whether data ask for such a term without fitting it: the score is the derivative of the
log-likelihood by ω, and its variance, where the model holds, the Fisher information. What
amplitudes and parameters of the same pixel could explain is projected out, so that neither a prior
nor patches change what is expected of a score.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from ..observation.bands import Bands, whiten
from ..separation.likelihood import columns_and_derivatives, double_precision

# Pixels at a time: each has some matrices of its own.
AT_ONCE = 4096
# Of all moments together.
ALL = "all"
# A probability below which data are said to ask for more than the spectral model.
UNLIKELY = 0.05


@double_precision
def moment_scores(
    parameters: np.ndarray, data: np.ndarray, bands: Bands, at_once: int = AT_ONCE
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of second moments of every pixel, and their information.

    Parameters
    ----------
    parameters : array (n_parameters, n_pixels)
        That were fitted to the data.
    data : array (n_bands, 2, n_pixels), µK_CMB
    bands : Bands
    at_once : int
        Pixels that are held in memory at a time.

    Returns
    -------
    score : array (n_pixels, n_moments)
        Of the moments in the order of `moment_names`.
    information : array (n_pixels, n_moments, n_moments)
    """
    score, information = _moment_scores(parameters, data, bands, at_once)
    return np.asarray(score), np.asarray(information)


@partial(jax.jit, static_argnames="at_once")
def _moment_scores(parameters, data, bands, at_once):
    def scores(own, white, bands):
        fit, owners = PixelFit(own, white, bands), bands.model.owners
        by_moment = [
            v * fit.maps[1 + owners[k]] * (0.5 if k == m else 1.0)
            for (k, m), v in fit.second.items()
        ]
        left = fit.unexplained(jnp.stack(by_moment, axis=-1))
        return left.T @ fit.residual, left.T @ left

    white = whiten(jnp.asarray(data), bands)
    return of_pixels(scores, parameters, white, at_once, bands)


class PixelFit:
    """What amplitudes and spectral parameters of one pixel make of its data, for score tests.

    Columns are those of Q and U, n_noise = 1, or of each where their noise is not alike, 2.

    Parameters
    ----------
    parameters : array (n_parameters,)
    white : array (n_bands, 2)
        Data over the noise rms.
    bands : Bands
        Of the pixel.

    Attributes
    ----------
    columns : array (n_bands, n_noise, 1 + n_components)
        Whitened, the CMB's first.
    maps : array (1 + n_components, 2)
        Amplitudes of the columns.
    second : dict of (int, int) to array (n_bands, n_noise)
        Second derivatives, see `likelihood.columns_and_derivatives`.
    residual : array (2 n_bands,)
    """

    def __init__(self, parameters, white, bands):
        columns, first, second = columns_and_derivatives(parameters, bands)
        self.columns = jnp.stack([of_pixel(c) for c in (bands.cmb, *columns)], axis=-1)
        self.second = {pair: of_pixel(v) for pair, v in second.items()}
        self._bases, triangles = jnp.linalg.qr(jnp.moveaxis(self.columns, 1, 0))
        amplitudes = jnp.linalg.solve(triangles, self._along(white))
        self.maps = jnp.moveaxis(amplitudes, 0, 1).reshape(-1, 2)
        self.residual = self._without_amplitudes(white).ravel()
        by_parameter = [
            self._without_amplitudes(of_pixel(v) * self.maps[1 + owner]).ravel()
            for v, owner in zip(first, bands.model.owners, strict=True)
        ]
        self._of_parameters, _ = jnp.linalg.qr(jnp.stack(by_parameter, axis=-1))

    def _along(self, vectors):
        """Of vectors (n_bands, 2, ...) along each base: array (n_noise, 1 + n_components, -1)."""
        n_noise, n_bands, _ = self._bases.shape
        by_noise = jnp.moveaxis(vectors.reshape(n_bands, n_noise, -1), 1, 0)
        return jnp.matrix_transpose(self._bases) @ by_noise

    def _without_amplitudes(self, vectors):
        explained = jnp.moveaxis(self._bases @ self._along(vectors), 0, 1)
        return vectors - explained.reshape(vectors.shape)

    def unexplained(self, vectors):
        """What amplitudes and parameters could not make of changes (n_bands, 2, n) of the data.

        Returns
        -------
        array (2 n_bands, n)
        """
        left = self._without_amplitudes(vectors).reshape(-1, vectors.shape[-1])
        return self._without_parameters(left)

    def _without_parameters(self, vectors):
        return vectors - self._of_parameters @ (self._of_parameters.T @ vectors)

    def left_in_bands(self):
        """What amplitudes and parameters leave of the data.

        Returns
        -------
        left : array (n_bands, 2)
        covariance : array (n_bands, 2, 2)
            Of Q and U of each band, where the model holds and there is noise in all bands.
        """
        left = self._without_parameters(self.residual).reshape(-1, 2)
        of_parameters = self._of_parameters.reshape(*left.shape, -1)
        of_noise = 1 - jnp.sum(self._bases**2, axis=-1).T
        explained = of_parameters @ jnp.matrix_transpose(of_parameters)
        return left, of_noise[:, :, None] * jnp.eye(2) - explained


def of_pixel(of_bands):
    """What bands have in one pixel, (n_bands,) or (n_bands, 2) or a list, as (n_bands, n_noise)."""
    return jnp.stack(of_bands).reshape(len(of_bands), -1)


def of_pixels(function, parameters, white, at_once: int, *bands: Bands):
    """Results of a function of single pixels, for all of them.

    Parameters
    ----------
    function : callable
        Of parameters (n_parameters,), whitened data (n_bands, 2), and as many `Bands` as are given.
    parameters : array (n_parameters, n_pixels)
    white : array (n_bands, 2, n_pixels)
        See `bands.whiten`.
    at_once : int
        Pixels that are held in memory at a time.
    bands : Bands
    """
    n_pixels = white.shape[-1]

    def pixels_first(leaf):
        return jnp.moveaxis(jnp.broadcast_to(leaf, (*leaf.shape[:-1], n_pixels)), -1, 0)

    pixels = jnp.asarray(parameters).T, jnp.moveaxis(white, -1, 0)
    if bands[0].is_by_pixel:
        pixels, bands = (*pixels, *jax.tree.map(pixels_first, bands)), ()
    # XLA would work on a smaller last batch beside the others, and on two cores decompositions
    # (QR) of both then wait for each other's threads without end: all batches are of one size.
    n_batches = -(-n_pixels // at_once)
    size = -(-n_pixels // n_batches)
    missing = n_batches * size - n_pixels

    def filled(leaf):
        return jnp.pad(leaf, ((0, missing), *(leaf.ndim - 1) * ((0, 0),)), "edge")

    found = jax.lax.map(
        lambda pixel: function(*pixel, *bands), jax.tree.map(filled, pixels), batch_size=size
    )
    return jax.tree.map(lambda leaf: leaf[:n_pixels], found)


def moment_names(model) -> list[tuple[str, str]]:
    """Pairs of parameters of one component, as the scores are ordered."""
    return [
        (component.parameters[k].name, component.parameters[m].name)
        for component in model.components
        for k in range(len(component.parameters))
        for m in range(k, len(component.parameters))
    ]


def single_tests(
    names: list[tuple[str, str]], score: np.ndarray, information: np.ndarray
) -> pd.DataFrame:
    """A row for the test of every departure by itself, of its score and information.

    Returns
    -------
    DataFrame
        `parameter` and `with_parameter`, the names; the `moment` that the data ask for and its
        `error` (1 σ); `chi2`, and the `probability` of a larger one where the model holds.
    """
    return pd.DataFrame(names, columns=["parameter", "with_parameter"]).assign(
        moment=score / information,
        error=information**-0.5,
        chi2=score**2 / information,
        probability=2 * norm.sf(np.abs(score) / np.sqrt(information)),
    )


def moment_table(score: np.ndarray, information: np.ndarray, model) -> pd.DataFrame:
    """The tests of one region, a row for every moment and a last one for all together.

    Parameters
    ----------
    score : array (n_pixels, n_moments)
    information : array (n_pixels, n_moments, n_moments)
    model : SpectralModel

    Returns
    -------
    DataFrame
        `parameter` and `with_parameter`; the `moment` that the data ask for where it is the same
        in all pixels, and its `error` (1 σ), in the units of the parameters; `chi2`, and the
        `probability` of a larger one where the spectral model holds. The last row is named `ALL`.
    """
    total, matrix = np.asarray(score).sum(axis=0), np.asarray(information).sum(axis=0)
    alone = np.diag(matrix)
    table = single_tests(moment_names(model), total, alone)
    # Moments of one component are nearly alike: what is the same within rounding counts once.
    scale = np.sqrt(np.outer(alone, alone))
    together = (total / np.sqrt(alone)) @ np.linalg.pinv(matrix / scale, rcond=1e-8, hermitian=True)
    value = together @ (total / np.sqrt(alone))
    rank = np.linalg.matrix_rank(matrix / scale, tol=1e-8, hermitian=True)
    table.loc[len(table)] = [ALL, ALL, np.nan, np.nan, value, chi2.sf(value, rank)]
    return table
