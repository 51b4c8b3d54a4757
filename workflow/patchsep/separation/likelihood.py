"""The spectral likelihood: data = A(β) s + noise, per pixel, with β the spectral parameters.

A has a column of ones for the CMB and one for each component of a `SpectralModel`, integrated over
the bandpasses, in µK_CMB per µK_CMB of CMB and per µK_RJ of foreground at its reference frequency.
Noise is white and diagonal in pixels, so everything here is closed form, pixel by pixel. The
likelihood is that of Stompor et al. 2009 (arXiv:0804.2645); equation numbers are those of the first
draft of arXiv:2604.08463.

Arrays have bands first and pixels last. Inside, a column of A is a list over bands of
arrays (n_pixels,), and a matrix per pixel a list of its entries: written out that way, sums
are loops over pixels for XLA, ten times faster on a CPU than reductions over an axis.

The minimum of the likelihood is not resolved in float32. What is called from outside works in
`double_precision`, whatever JAX is set to; functions that only others call are in theirs.
"""

from functools import partial
from itertools import combinations_with_replacement
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Of a function: it works in float64, in its own thread and no longer than it takes.
double_precision = jax.enable_x64(True)


def pairs(n_parameters: int) -> list[tuple[int, int]]:
    """Pairs of parameters in the order in which symmetric matrices are stored."""
    return list(combinations_with_replacement(range(n_parameters), 2))


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


def are_maps(data):
    """Whether they are maps, of Q and U or one of them, and not second moments of more bands."""
    return data.shape[1] <= 2


class Expansion(NamedTuple):
    """The negative log-likelihood of every pixel to second order in its parameters.

    Attributes
    ----------
    value : array (n_pixels,)
        Less ½ ‖y‖², which no parameter changes.
    gradient : tuple of arrays (n_pixels,)
        Along every parameter.
    hessian, gauss_newton : tuples of arrays (n_pixels,)
        Second derivatives in the order of `pairs`, and their positive part
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
    parameters : array (n_parameters, n_pixels), or as many arrays (n_pixels,)
        Those of `bands.model`, of every pixel.
    data : array (n_bands, 2, n_pixels) or (n_pixels, n_bands, n_bands)
        `whiten(data, bands)`, or sums of its `second_moments` over pixels that share
        their parameters.
    bands : Bands

    Returns
    -------
    Expansion
    """
    if not bands.is_by_stokes:
        return _expand(parameters, data, bands)
    # Of Q and of U, each with the noise of its own.
    each = jax.vmap(partial(_expand, parameters), in_axes=(1, 0))(
        data[:, :, None], bands.by_stokes()
    )
    return jax.tree.map(partial(jnp.sum, axis=0), each)


def _expand(parameters, data, bands):
    """`expand` of Q and U that are alike, or of one of them."""
    owners = bands.model.owners
    n, p = len(bands.model.components), len(owners)
    columns, first, second = columns_and_derivatives(parameters, bands)
    # Columns come first, then first derivatives, then second ones.
    vectors = [*columns, *first, *second.values()]
    inner = _inner_products(vectors, bands)
    inverse = _inverse([[inner(a, b) for b in range(n)] for a in range(n)])
    correlation = _correlations(vectors, data, n + p)

    power = [row[:n] for row in correlation[:n]]
    # ŝ ŝᵀ summed over Q and U, as everything below.
    maps = _product(_product(inverse, power), inverse)
    # Of every derivative: its overlap with the columns, and how much of it they explain.
    overlap = [[inner(v, a) for a in range(n)] for v in range(n, len(vectors))]
    explained = [[_dot(row, o) for row in inverse] for o in overlap]
    column_derivative = [row[n:] for row in correlation[:n]]
    # Aᵀy and ŝ, times (∂A)ᵀr.
    column_residual = [
        [column_derivative[i][v] - _dot(e, power[i]) for v, e in enumerate(explained)]
        for i in range(n)
    ]
    map_residual = [
        [_dot(inverse[i], [column_residual[j][v] for j in range(n)]) for v in range(len(explained))]
        for i in range(n)
    ]
    first_first = [row[n : n + p] for row in correlation[n : n + p]]
    second_index = {pair: p + number for number, pair in enumerate(second)}

    hessian, gauss_newton = [], []
    for k, m in pairs(p):
        i, j = owners[k], owners[m]
        positive = maps[i][j] * (inner(n + k, n + m) - _dot(overlap[k], explained[m]))
        residual_residual = (
            first_first[k][m]
            - _dot(explained[k], [column_derivative[v][m] for v in range(n)])
            - _dot(explained[m], [column_residual[v][k] for v in range(n)])
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
        value=-0.5 * sum(_dot(row, q) for row, q in zip(inverse, power, strict=True)),
        gradient=tuple(-map_residual[i][k] for k, i in enumerate(owners)),
        hessian=tuple(hessian),
        gauss_newton=tuple(gauss_newton),
    )


class Recovery(NamedTuple):
    """What maximum likelihood makes of the data for given parameters.

    Attributes
    ----------
    cmb : Q and U, arrays (n_pixels,), µK_CMB
    components : tuple of the same, one per component of the model
        In µK_RJ at its reference frequency.
    nll : float
        ½ Σ ‖P⊥ y‖² = ½ dᵀN⁻¹d - ln L, with ln L of arXiv:2604.08463 eq. 5.
    """

    cmb: tuple[jax.Array, jax.Array]
    components: tuple[tuple[jax.Array, jax.Array], ...]
    nll: jax.Array


def mixing(parameters, bands):
    """Whitened columns of A but for the CMB's.

    Parameters
    ----------
    parameters : array (n_parameters, n_pixels), or as many arrays (n_pixels,)
    bands : Bands

    Returns
    -------
    array (n_components, n_bands, n_pixels), or (n_components, n_bands, 2, n_pixels) where Q and U
    have noise of their own
    """
    n_pixels = len(parameters[0])

    def of_component(component, constants, own):
        # Pixels are the last axis of constants that have them.
        shaped = [c if bands.is_by_pixel else c[..., None] for c in constants]
        nodes = component.column(shaped, *own)
        # A sum over one is a loop of its own for XLA.
        column = nodes[:, 0] if nodes.shape[1] == 1 else nodes.sum(axis=1)
        return jnp.broadcast_to(column, (*column.shape[:-1], n_pixels))

    # All bands at once: written out band by band it takes seconds to compile.
    return jnp.stack(
        [
            of_component(component, constants, own)
            for component, constants, own in zip(
                bands.model.components,
                bands.constants,
                bands.model.of_component(parameters),
                strict=True,
            )
        ]
    )


@jax.jit
def recover(mixing, data, bands):
    """Component maps ŝ = W(β) d (arXiv:2604.08463 eqs. 4, 7, 8) and the misfit they leave.

    Parameters
    ----------
    mixing : array (n_components, n_bands, n_pixels) or (n_components, n_bands, 2, n_pixels)
        See `mixing`.
    data : array (n_bands, 2, n_pixels), µK_CMB
    bands : Bands

    Returns
    -------
    Recovery
    """
    if not bands.is_by_stokes:
        return _recover(mixing, data, bands)
    each = jax.vmap(_recover, in_axes=(2, 1, 0))(mixing, data[:, :, None], bands.by_stokes())
    components = tuple(tuple(*maps) for maps in each.components)
    return Recovery(tuple(*each.cmb), components, jnp.sum(each.nll))


def _recover(mixing, data, bands):
    """`recover` of Q and U that are alike, or of one of them."""
    columns = [list(column) for column in mixing]
    n = len(columns)
    if bands.relative is not None:
        data = data / bands.relative
    n_stokes = data.shape[1]
    whitened = [
        [data[b, stokes] * bands.white[b] for b in range(len(data))] for stokes in range(n_stokes)
    ]
    inner = _inner_products([*columns, *whitened], bands)
    inverse = _inverse([[inner(a, b) for b in range(n)] for a in range(n)])
    cmb, components, misfit = [], [], 0.0
    for number, white in enumerate(whitened, start=n):
        maps = [_dot(row, [inner(a, number) for a in range(n)]) for row in inverse]
        cleaned = white
        for amplitude, column in zip(maps, columns, strict=True):
            cleaned = [y - amplitude * c for y, c in zip(cleaned, column, strict=True)]
        along = _dot(bands.cmb, cleaned)
        misfit += sum((y - along * c) ** 2 for y, c in zip(cleaned, bands.cmb, strict=True))
        cmb.append(along * bands.noise_of_cmb)
        components.append(maps)
    maps = tuple(cmb), tuple(zip(*components, strict=True))
    if bands.relative is not None:
        maps = jax.tree.map(lambda values: values * bands.relative, maps)
    return Recovery(*maps, 0.5 * jnp.sum(misfit))


def columns_and_derivatives(parameters, bands):
    """Whitened columns, and their derivatives.

    Each is a list over bands of (n_pixels,), or (2, n_pixels) where Q and U have noise of their
    own; of a single pixel, of numbers or (2,). The first derivatives are along the parameters, the
    second along those pairs of them where they are not zero.
    """
    model, shape = bands.model, jnp.shape(parameters[0])
    columns, first, second, offset = [], [], {}, 0
    by_component = zip(
        model.components, bands.constants, model.of_component(parameters), strict=True
    )
    for component, constants, own in by_component:
        spectrum = component.spectra(*own)
        spectra = _in_bands(spectrum, constants, shape)
        columns.append([one.value for one in spectra])
        first += [list(derivatives) for derivatives in zip(*(one.first for one in spectra))]
        for k, m in spectra[0].second:
            of_pair = [one.second[k, m] for one in spectra]
            second[offset + k, offset + m] = of_pair
        offset += len(own)
    return columns, first, second


def _in_bands(spectrum, constants, shape):
    """The `Spectrum` in every band, of one at a node; arrays of the shape of parameters.

    That is if constants are those of Q and U alike; else they have both, before any pixels.
    """
    n_bands, n_nodes = constants[0].shape[:2]
    shape = jnp.broadcast_shapes(shape, *(values.shape[2:] for values in constants))
    if n_nodes == 1:
        # Apart from each other, what bands have is never an array by itself.
        narrow = [spectrum([values[band, 0] for values in constants]) for band in range(n_bands)]
        return jax.tree.map(lambda values: jnp.broadcast_to(values, shape), narrow)
    by_node = [
        values.reshape(n_bands, n_nodes, *(values.shape[2:] or (1,))) for values in constants
    ]

    def in_band(values):
        return jnp.broadcast_to(values.sum(axis=1), (n_bands, *(shape or (1,))))

    wide = jax.tree.map(in_band, spectrum(by_node))
    return [
        jax.tree.map(lambda values, band=band: values[band].reshape(shape), wide)
        for band in range(n_bands)
    ]


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _product(a, b):
    return [[_dot(row, column) for column in zip(*b, strict=True)] for row in a]


def _inverse(matrix):
    """Of a symmetric matrix per pixel, by its entries."""
    if len(matrix) == 1:
        return [[1 / matrix[0][0]]]
    if len(matrix) == 2:
        (dd, ds), (_, ss) = matrix
        determinant = dd * ss - ds**2
        return [[ss / determinant, -ds / determinant], [-ds / determinant, dd / determinant]]
    # By blocks: all but the last row and column first.
    border = matrix[-1][:-1]
    block = _inverse([row[:-1] for row in matrix[:-1]])
    solved = [_dot(row, border) for row in block]
    rest = 1 / (matrix[-1][-1] - _dot(border, solved))
    edge = [-value * rest for value in solved]
    inside = [
        [entry - value * e for entry, e in zip(row, edge, strict=True)]
        for row, value in zip(block, solved, strict=True)
    ]
    return [*([*row, e] for row, e in zip(inside, edge, strict=True)), [*edge, rest]]


def _inner_products(vectors, bands):
    """aᵀ P⊥ b of whitened vectors, by their numbers; P⊥ orthogonal to the CMB."""
    along = [_dot(bands.cmb, vector) for vector in vectors]
    return lambda a, b: _dot(vectors[a], vectors[b]) - along[a] * along[b]


def _correlations(vectors, data, n_first):
    """Σ over Q, U of (aᵀy)(bᵀy): the first vectors by all, from maps or second moments."""
    if are_maps(data):
        n_stokes = data.shape[1]
        products = [[_dot(vector, data[:, s]) for s in range(n_stokes)] for vector in vectors]
        return [[_dot(a, b) for b in products] for a in products[:n_first]]
    stacked = jnp.stack(
        [jnp.stack(vector) for vector in vectors], axis=-1
    )  # bands, pixels, vectors
    by_pixel = jnp.moveaxis(stacked, 1, 0)
    matrix = jnp.moveaxis(data @ by_pixel[..., :n_first], 1, 2) @ by_pixel
    return [[matrix[:, a, b] for b in range(len(vectors))] for a in range(n_first)]
