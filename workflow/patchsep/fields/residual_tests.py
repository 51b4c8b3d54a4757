"""Tests of what the fit leaves in every band: its χ², and that of its multipoles.

As the score tests, from one fit. With what amplitudes and spectral parameters of the same pixel can
explain projected out to first order (see `moments.PixelFit`), whitened data are P n where the model
holds, with n white noise of unit variance and P a projector, so that neither priors nor patches
matter. Of a band, with P_b the 2 x 2 block of its Q and U,

    Σ |(P n)_b|² over pixels has mean Σ tr P_b and variance 2 Σ tr P_b²,

and the maps P_b^(-1/2) (P n)_b are white of unit variance. Harmonic coefficients of such maps, zero
where nothing is observed, have in an octave of multipoles the power Σ_ℓm |E_ℓm|² + |B_ℓm|², with
F(θ) = Σ_ℓ (2ℓ + 1) / 4π d^ℓ_22(θ) and θ the distance of two pixels,

    of mean 2 n_pixels F(0) and variance 4 Σ F(θ)² over all pairs of pixels.

All of these are exact, and nothing has to be drawn. The distribution is that of a χ² of as many
degrees of freedom as its mean and variance ask for (Satterthwaite 1946), which is exact where all
pixels, or modes, count alike.
"""

from functools import cache, partial

import ducc0
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.polynomial.legendre import leggauss, legvander
from scipy.special import eval_jacobi
from scipy.stats import chi2

from ..lazy import healpy as hp
from ..observation.bands import Bands, whiten
from ..separation.likelihood import double_precision
from ..sky.harmonics import geometry
from .moments import AT_ONCE, PixelFit, of_pixel, of_pixels
from .prior import octaves
from .systematics import with_any

CHI2 = "chi2"
ALL_BANDS = "all bands"
# Variance of what is left of a band in a pixel, in units of the noise, below which it is rounding.
LEAST = 1e-6


@double_precision
def residuals(
    parameters: np.ndarray, data: np.ndarray, bands: Bands, at_once: int = AT_ONCE
) -> tuple[np.ndarray, np.ndarray]:
    """What the fit leaves in every pixel, over the noise rms, and what is expected of it.

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
    left : array (n_pixels, n_bands, 2)
    covariance : array (n_pixels, n_bands, 2, 2)
        Of Q and U of a band, where the model holds; zero of a band that sees nothing.
    """
    return tuple(map(np.asarray, _residuals(parameters, data, bands, at_once)))


@partial(jax.jit, static_argnames="at_once")
def _residuals(parameters, data, bands, at_once):
    def one_pixel(own, white, bands):
        left, covariance = PixelFit(own, white, bands).left_in_bands()
        sees = jnp.all(of_pixel(bands.white) > 0, axis=-1)
        return left, jnp.where(sees[:, None, None], covariance, 0.0)

    return of_pixels(one_pixel, parameters, whiten(jnp.asarray(data), bands), at_once, bands)


def residual_table(
    left: np.ndarray, covariance: np.ndarray, pixels: np.ndarray, nside: int, labels: list[str]
) -> pd.DataFrame:
    """The tests of one region: of all bands, of every band, and of octaves of its multipoles.

    Parameters
    ----------
    left, covariance : arrays (n_pixels, n_bands, 2), (n_pixels, n_bands, 2, 2)
        See `residuals`.
    pixels : int array (n_pixels,), RING order
    nside : int
    labels : list of str
        Of the bands.

    Returns
    -------
    DataFrame
        Columns as those of `moments.single_tests`, with `parameter` CHI2, and the band and its
        multipoles in `with_parameter`. `chi2` has 2 / `error`² degrees of freedom; `moment` is
        chi2 over them less 1, and `error` its standard deviation. `probability` is twice that of
        a larger χ², or of a smaller one, whichever is less. Of the last row see
        `systematics.with_any`.
    """
    value = np.sum(left**2, axis=(0, 2))
    mean = np.trace(covariance, axis1=-2, axis2=-1).sum(axis=0)
    variance = 2 * np.sum(covariance**2, axis=(0, 2, 3))
    # Of a projector.
    of_all = [value.sum()], [mean.sum()], [2 * mean.sum()]
    whitened, seen = white_maps(left, covariance)
    power = octave_power(whitened, pixels, nside)
    # Most often all bands see the same pixels.
    keys = [mask.tobytes() for mask in seen]
    masks = dict(zip(keys, seen, strict=True))
    white = {key: white_moments(mask, pixels, nside) for key, mask in masks.items()}
    of_octaves = power.ravel(), *np.concatenate([white[key] for key in keys], axis=1)
    names = [ALL_BANDS, *labels]
    names += [f"{label} ell {low}-{high}" for label in labels for low, high in ranges(nside)]
    numbers = map(np.concatenate, zip(of_all, (value, mean, variance), of_octaves, strict=True))
    return with_any(_chi2_tests(names, *numbers), CHI2)


def _chi2_tests(names, value, mean, variance):
    """Rows for quadratic forms of noise with these means and variances; NaN where nothing is."""
    mean = np.where(variance > 0, mean, np.nan)
    freedom = 2 * mean**2 / np.where(variance > 0, variance, np.nan)
    scaled = freedom * value / mean
    less, more = chi2.cdf(scaled, freedom), chi2.sf(scaled, freedom)
    return pd.DataFrame({"parameter": CHI2, "with_parameter": names}).assign(
        moment=value / mean - 1,
        error=np.sqrt(2 / freedom),
        chi2=scaled,
        probability=2 * np.minimum(less, more),
    )


def white_maps(left: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is left, of unit variance in Q and U.

    Parameters
    ----------
    left, covariance : arrays (n_pixels, n_bands, 2), (n_pixels, n_bands, 2, 2)

    Returns
    -------
    maps : array (n_bands, 2, n_pixels)
        Zero where nothing can be left.
    seen : bool array (n_bands, n_pixels)
    """
    qq, qu, uu = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    trace, determinant = qq + uu, qq * uu - qu**2
    seen = trace / 2 - np.sqrt(np.maximum(trace**2 / 4 - determinant, 0)) > LEAST
    root = np.sqrt(np.where(seen, determinant, 1.0))
    # The inverse root of a matrix of 2 x 2 numbers, by Cayley and Hamilton.
    scale = np.where(seen, 1 / (root * np.sqrt(np.where(seen, trace, 1.0) + 2 * root)), 0.0)
    q, u = left[..., 0], left[..., 1]
    maps = scale * np.stack([(uu + root) * q - qu * u, (qq + root) * u - qu * q])
    return np.moveaxis(maps, (2, 0, 1), (0, 1, 2)), seen.T


def highest(nside: int) -> int:
    """Of the multipoles whose power is looked at."""
    return 2 * nside - 1


def ranges(nside: int) -> list[tuple[int, int]]:
    """First and last multipoles of octaves, from the quadrupole on."""
    number = octaves(highest(nside))
    each = [np.flatnonzero(number == one) for one in np.unique(number[2:])]
    return [(int(ell[0]), int(ell[-1])) for ell in each]


def octave_power(maps: np.ndarray, pixels: np.ndarray, nside: int) -> np.ndarray:
    """Σ |E_ℓm|² + |B_ℓm|² of octaves, with coefficients that are sums over pixels, not integrals.

    Parameters
    ----------
    maps : array (n_bands, 2, n_pixels)
    pixels : int array (n_pixels,), RING order
    nside : int

    Returns
    -------
    array (n_bands, n_octaves)
    """
    power = [_power(one, pixels, nside, 2, highest(nside)) for one in maps]
    return _by_octave(np.stack(power), nside)


def white_moments(seen: np.ndarray, pixels: np.ndarray, nside: int) -> np.ndarray:
    """Mean and variance of the same where Q and U are white noise of unit variance.

    Parameters
    ----------
    seen : bool array (n_pixels,)
        Where there is noise.
    pixels : int array (n_pixels,), RING order
    nside : int

    Returns
    -------
    array (2, n_octaves)
    """
    pairs = _power(seen[None].astype(float), pixels, nside, 0, 2 * highest(nside))
    at_zero, squared = _correlations(nside)
    return np.stack([2 * seen.sum() * at_zero, 4 * squared @ pairs])


def _power(maps, pixels, nside, spin, lmax):
    """Σ_m |a_ℓm|² (lmax + 1,), summed over the 1 or 2 coefficients of a spin."""
    sky = np.zeros((len(maps), hp.nside2npix(nside)))
    sky[:, pixels] = maps
    alm = ducc0.sht.adjoint_synthesis(map=sky, spin=spin, lmax=lmax, **geometry(nside))
    return (2 * np.arange(lmax + 1) + 1) * sum(hp.alm2cl(one) for one in alm)


def _by_octave(values, nside):
    return np.stack([values[..., low : high + 1].sum(axis=-1) for low, high in ranges(nside)], -1)


@cache
def _correlations(nside):
    """F(0) (n_octaves,), and Legendre coefficients of F² (n_octaves, 2 lmax + 1)."""
    ell = np.arange(highest(nside) + 1)
    # Exact for polynomials of twice the degree of F².
    x, weights = leggauss(2 * highest(nside) + 1)
    of_spin_2 = ((1 + x[:, None]) / 2) ** 2 * eval_jacobi(np.maximum(ell - 2, 0), 0, 4, x[:, None])
    modes = (2 * ell + 1) / (4 * np.pi)
    squared = _by_octave(modes * of_spin_2, nside) ** 2
    coefficients = 2 * np.pi * (weights[:, None] * squared).T @ legvander(x, 2 * highest(nside))
    return _by_octave(modes, nside), coefficients
