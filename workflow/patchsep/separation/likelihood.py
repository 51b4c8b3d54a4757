"""The spectral likelihood: data = A(beta_dust, temp_dust, beta_synch) s + noise, per pixel.

A has one column each for the CMB (ones), dust (modified black body) and synchrotron
(power law), in µK_CMB per µK_CMB of CMB and per µK_RJ of foreground at its reference
frequency. Noise is white and diagonal in pixels, so everything here is closed form, pixel
by pixel. The likelihood is that of Stompor et al. 2009 (arXiv:0804.2645); equation numbers
are those of the first draft of arXiv:2604.08463.

Arrays have bands first and pixels last. Inside, a column of A is a list over bands of
arrays (n_pixels,), and a matrix per pixel a list of its entries: written out that way, sums
are loops over pixels for XLA, ten times faster on a CPU than reductions over an axis.

Importing this module switches JAX to float64: the minimum of the likelihood is not
resolved in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..sky.spectral_model import (
    DUST_REFERENCE,
    PLANCK_OVER_BOLTZMANN,
    SYNCH_REFERENCE,
    dust_sed,
    rj_per_cmb,
    synch_sed,
)

jax.config.update("jax_enable_x64", True)

DUST_PHOTON = PLANCK_OVER_BOLTZMANN * DUST_REFERENCE

# The component whose spectrum each parameter shapes: 0 is dust, 1 synchrotron.
COMPONENT = (0, 0, 1)
# Pairs of parameters in the order in which symmetric 3 × 3 matrices are stored.
PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def whiten(data, bands):
    """Data over the noise rms, less what the CMB column explains.

    Parameters
    ----------
    data : array (n_bands, ...), µK_CMB
    bands : Bands

    Returns
    -------
    array (n_bands, ...)
        P⊥ N^(-1/2) data, with P⊥ the projector orthogonal to the whitened CMB column. That
        column does not depend on the parameters, so this is done to the data only once.
    """
    white, cmb = (a.reshape((-1,) + (1,) * (data.ndim - 1)) for a in (bands.white, bands.cmb))
    return white * data - cmb * jnp.tensordot(bands.cmb * bands.white, data, axes=1)


def second_moments(white_data):
    """Σ over Q, U and pixels of y yᵀ: all that the likelihood needs of equal parameters.

    Parameters
    ----------
    white_data : array (n_bands, 2, ..., n_pixels)

    Returns
    -------
    array (..., n_bands, n_bands)
    """
    by_group = jnp.moveaxis(white_data, (0, 1), (-3, -2))
    vectors = by_group.reshape(*by_group.shape[:-2], -1)
    return vectors @ jnp.matrix_transpose(vectors)


class Bands(NamedTuple):
    """What the likelihood needs of each band, arrays (n_bands,).

    Attributes
    ----------
    photon : hν / k, K
    dust_slope, synch_slope : ln(ν / ν_reference)
    dust_unit, synch_unit : noise rms per µK_RJ at the reference, but for the powers of ν / ν_ref
    white : noise rms per µK_CMB, 1 / sigma
    cmb : the whitened CMB column, of unit length
    """

    photon: jax.Array
    dust_slope: jax.Array
    synch_slope: jax.Array
    dust_unit: jax.Array
    synch_unit: jax.Array
    white: jax.Array
    cmb: jax.Array

    @classmethod
    def of(cls, frequency, sigma):
        """Bands at `frequency` (GHz) with noise rms `sigma` per pixel (µK_CMB), arrays (n_bands,).

        To be computed once, not within a jitted function: XLA would compute it again for
        every pixel.
        """
        unit = 1 / (rj_per_cmb(frequency) * sigma)
        return cls(
            photon=PLANCK_OVER_BOLTZMANN * frequency,
            dust_slope=jnp.log(frequency / DUST_REFERENCE),
            synch_slope=jnp.log(frequency / SYNCH_REFERENCE),
            dust_unit=unit * frequency / DUST_REFERENCE,
            synch_unit=unit,
            white=1 / sigma,
            cmb=(1 / sigma) / jnp.sqrt(jnp.sum(1 / sigma**2)),
        )


class Expansion(NamedTuple):
    """The negative log-likelihood of every pixel to second order in its parameters.

    Attributes
    ----------
    value : array (n_pixels,)
        Less ½ ‖y‖², which no parameter changes.
    gradient : 3 arrays (n_pixels,)
        Along beta_dust, temp_dust (K), beta_synch.
    hessian, gauss_newton : 6 arrays (n_pixels,)
        Second derivatives in the order of `PAIRS`, and their positive part
        (∂A/∂β_k ŝ)ᵀ P⊥ (∂A/∂β_l ŝ), which is what is left of them where the model fits.
    """

    value: jax.Array
    gradient: tuple[jax.Array, ...]
    hessian: tuple[jax.Array, ...]
    gauss_newton: tuple[jax.Array, ...]


def expand(parameters, data, bands):
    """Value and derivatives of the negative log-likelihood, maximised over component maps.

    The problem is a separable one (variable projection, Golub & Pereyra 1973): with the
    maps ŝ eliminated, the derivative along β_k is -(∂A/∂β_k ŝ)ᵀ r, with the residual
    r = P⊥ y. The Hessian follows from that of ½ ‖y - A s‖² over (β, s) by elimination of
    s: H = F_ββ - F_βs F_ss⁻¹ F_sβ.

    Parameters
    ----------
    parameters : array (3, n_pixels), or 3 arrays (n_pixels,)
        beta_dust, temp_dust (K), beta_synch of every pixel.
    data : array (n_bands, 2, n_pixels) or (n_pixels, n_bands, n_bands)
        `whiten(data, bands)`, or sums of its `second_moments` over pixels that share
        their parameters.
    bands : Bands

    Returns
    -------
    Expansion
    """
    columns, first, second = _columns(parameters, bands)
    # Columns are 0 and 1, first derivatives 2 to 4, second ones 5 to 8.
    vectors = [*columns, *first, *second.values()]
    inner = _inner_products(vectors, bands)
    inverse = _inverse([[inner(a, b) for b in range(2)] for a in range(2)])
    correlation = _correlations(vectors, data)

    power = [row[:2] for row in correlation[:2]]
    # ŝ ŝᵀ summed over Q and U, as everything below.
    maps = _product(_product(inverse, power), inverse)
    # Of every derivative: its overlap with the columns, and how much of it they explain.
    overlap = [[inner(n, a) for a in range(2)] for n in range(2, 9)]
    explained = [[_dot(row, o) for row in inverse] for o in overlap]
    column_derivative = [row[2:] for row in correlation[:2]]
    # Aᵀy and ŝ, times (∂A)ᵀr.
    column_residual = [
        [column_derivative[i][n] - _dot(e, power[i]) for n, e in enumerate(explained)]
        for i in range(2)
    ]
    map_residual = [
        [_dot(inverse[i], [column_residual[j][n] for j in range(2)]) for n in range(7)]
        for i in range(2)
    ]
    first_first = [row[2:5] for row in correlation[2:5]]
    second_index = {pair: 3 + n for n, pair in enumerate(second)}

    hessian, gauss_newton = [], []
    for k, m in PAIRS:
        i, j = COMPONENT[k], COMPONENT[m]
        positive = maps[i][j] * (inner(2 + k, 2 + m) - _dot(overlap[k], explained[m]))
        residual_residual = (
            first_first[k][m]
            - _dot(explained[k], [column_derivative[n][m] for n in range(2)])
            - _dot(explained[m], [column_residual[n][k] for n in range(2)])
        )
        rest = (
            map_residual[i][m] * explained[k][j]
            + map_residual[j][k] * explained[m][i]
            - residual_residual * inverse[i][j]
        )
        if (k, m) in second:
            rest = rest - map_residual[i][second_index[k, m]]
        gauss_newton.append(positive)
        hessian.append(positive + rest)
    return Expansion(
        value=-0.5 * sum(_dot(row, p) for row, p in zip(inverse, power, strict=True)),
        gradient=tuple(-map_residual[i][k] for k, i in enumerate(COMPONENT)),
        hessian=tuple(hessian),
        gauss_newton=tuple(gauss_newton),
    )


class Recovery(NamedTuple):
    """What maximum likelihood makes of the data for given parameters.

    Attributes
    ----------
    cmb, dust, synch : Q and U, arrays (n_pixels,)
        CMB in µK_CMB, dust in µK_RJ at 160 GHz, synchrotron in µK_RJ at 20 GHz.
    nll : float
        ½ Σ ‖P⊥ y‖² = ½ dᵀN⁻¹d - ln L, with ln L of arXiv:2604.08463 eq. 5.
    """

    cmb: tuple[jax.Array, jax.Array]
    dust: tuple[jax.Array, jax.Array]
    synch: tuple[jax.Array, jax.Array]
    nll: jax.Array


def mixing(parameters, bands):
    """Whitened dust and synchrotron columns of A, array (2, n_bands, n_pixels).

    Parameters
    ----------
    parameters : array (3, n_pixels), or 3 arrays (n_pixels,)
    bands : Bands
    """
    beta_dust, temp_dust, beta_synch = parameters
    # All at once: written out band by band it takes seconds to compile.
    every = Bands(*(values[:, None] for values in bands))
    thermal = _expm1(DUST_PHOTON / temp_dust) / _expm1(every.photon / temp_dust)
    return jnp.stack([_dust(beta_dust, thermal, every), _synch(beta_synch, every)])


def cmb_noise(frequencies, sigma, parameters: dict[str, float]) -> float:
    """Noise rms per pixel of the recovered CMB in µK where spectral parameters are known.

    The root of the first element of (AᵀN⁻¹A)⁻¹ (Stompor et al. 2009, eq. 8).

    Parameters
    ----------
    frequencies, sigma : arrays (n_bands,)
        GHz, µK_CMB per pixel.
    parameters : dict of str to float
        beta_dust, temp_dust (K), beta_synch.
    """
    dust = dust_sed(frequencies, parameters["beta_dust"], parameters["temp_dust"])
    synch = synch_sed(frequencies, parameters["beta_synch"])
    columns = np.stack([np.ones(len(frequencies)), dust, synch])
    white = columns / sigma
    return float(np.sqrt(np.linalg.inv(white @ white.T)[0, 0]))


@jax.jit
def recover(mixing, data, bands):
    """Component maps ŝ = W(β) d (arXiv:2604.08463 eqs. 4, 7, 8) and the misfit they leave.

    Parameters
    ----------
    mixing : array (2, n_bands, n_pixels)
        See `mixing`.
    data : array (n_bands, 2, n_pixels), µK_CMB
    bands : Bands

    Returns
    -------
    Recovery
    """
    columns = [list(column) for column in mixing]
    whitened = [[data[b, stokes] * bands.white[b] for b in range(len(data))] for stokes in range(2)]
    inner = _inner_products([*columns, *whitened], bands)
    inverse = _inverse([[inner(a, b) for b in range(2)] for a in range(2)])
    maps, misfit = [], 0.0
    for number, white in enumerate(whitened, start=2):
        dust, synch = (_dot(row, [inner(a, number) for a in range(2)]) for row in inverse)
        cleaned = [y - dust * d - synch * s for y, d, s in zip(white, *columns, strict=True)]
        cmb = _dot(bands.cmb, cleaned)
        misfit += sum((y - cmb * c) ** 2 for y, c in zip(cleaned, bands.cmb, strict=True))
        maps.append((cmb / jnp.sqrt(jnp.sum(bands.white**2)), dust, synch))
    return Recovery(*zip(*maps, strict=True), 0.5 * jnp.sum(misfit))


def _columns(parameters, bands):
    """Whitened dust and synchrotron columns, and their derivatives.

    Each is a list over bands of (n_pixels,). The first derivatives are along the three
    parameters, the second along those pairs of them where they are not zero.
    """
    beta_dust, temp_dust, beta_synch = parameters

    def log_expm1(photon):
        """ln(eᵘ - 1), u = hν / kT, as eᵘ - 1 and its first and second derivative by T."""
        u = photon / temp_dust
        power = _expm1(u)
        excess = 1 + 1 / power
        return (
            power,
            -u * excess / temp_dust,
            (2 * u * excess - u**2 * (excess - 1) * excess) / temp_dust**2,
        )

    reference = log_expm1(DUST_PHOTON)
    dust, synch, first, second = [], [], ([], [], []), ([], [], [], [])
    for band in map(Bands._make, zip(*bands, strict=True)):
        thermal = log_expm1(band.photon)
        slope, by_temp = band.dust_slope, reference[1] - thermal[1]
        d = _dust(beta_dust, reference[0] / thermal[0], band)
        dust.append(d)
        first[0].append(d * slope)
        first[1].append(d * by_temp)
        second[0].append(d * slope**2)
        second[1].append(d * by_temp * slope)
        second[2].append(d * (by_temp**2 + reference[2] - thermal[2]))
        slope = band.synch_slope
        s = _synch(beta_synch, band)
        synch.append(s)
        first[2].append(s * slope)
        second[3].append(s * slope**2)
    return (dust, synch), first, dict(zip(((0, 0), (0, 1), (1, 1), (2, 2)), second, strict=True))


def _expm1(u):
    return jnp.exp(u) - 1  # u is never small, and expm1 takes four times as long


def _dust(beta_dust, thermal, bands):
    """Whitened dust column; `thermal` is (eᵘ - 1) at the reference over that of the band."""
    return bands.dust_unit * jnp.exp(beta_dust * bands.dust_slope) * thermal


def _synch(beta_synch, bands):
    return bands.synch_unit * jnp.exp(beta_synch * bands.synch_slope)


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _product(a, b):
    return [[_dot(row, column) for column in zip(*b, strict=True)] for row in a]


def _inverse(matrix):
    """Of a symmetric 2 × 2 matrix per pixel."""
    (dd, ds), (_, ss) = matrix
    determinant = dd * ss - ds**2
    return [[ss / determinant, -ds / determinant], [-ds / determinant, dd / determinant]]


def _inner_products(vectors, bands):
    """aᵀ P⊥ b of whitened vectors, by their numbers; P⊥ orthogonal to the CMB."""
    along = [_dot(bands.cmb, vector) for vector in vectors]
    return lambda a, b: _dot(vectors[a], vectors[b]) - along[a] * along[b]


def _correlations(columns, data):
    """Σ over Q, U of (aᵀy)(bᵀy): the first five columns by all, from maps or second moments."""
    if data.shape[1] == 2:
        products = [[_dot(column, data[:, s]) for s in range(2)] for column in columns]
        return [[_dot(a, b) for b in products] for a in products[:5]]
    stacked = jnp.stack(
        [jnp.stack(column) for column in columns], axis=-1
    )  # bands, pixels, columns
    by_pixel = jnp.moveaxis(stacked, 1, 0)
    matrix = jnp.moveaxis(data @ by_pixel[..., :5], 1, 2) @ by_pixel
    return [[matrix[:, a, b] for b in range(len(columns))] for a in range(5)]
