"""Fits of the spectral parameters of every patch, many realisations at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..instrument.bandpass import Bandpasses
from ..instrument.noise import WhiteNoise
from ..instrument.plausible import check_maps, unmasked
from ..observation.bands import Bands, whiten
from ..sky.spectral_model import DUST_AND_SYNCHROTRON, SpectralModel
from .batches import batch_size, device, in_batches
from .likelihood import double_precision, expand, mixing, recover, second_moments
from .newton import Minimum, batched_like, minimize, steps_asked
from .peers import PEERS, Task
from .problem import Problem

OPTIMIZERS = ("newton", *PEERS)


@dataclass(frozen=True)
class Separation:
    """Fits of n_realizations data sets.

    Attributes
    ----------
    parameters, errors : dict of str to array (n_realizations, n_patches)
        Spectral parameters of every patch, and their errors from the curvature with all other
        parameters fixed; NaN for a patch without pixels, and an infinite error for one without
        signal.
    nll : array (n_realizations,)
        ½ Σ ‖P⊥ y‖² at the end.
    maps : dict of str to array (n_realizations, 2, n_pixels)
        Recovered components, those asked for: `cmb` in µK_CMB, the others in µK_RJ at their
        reference frequency.
    iterations : int array (n_realizations,)
    gradient : array (n_realizations,)
        Largest step, over all parameters, that the curvature asks for within the bounds,
        in units of that parameter's error.
    converged : bool array (n_realizations,)
        Whether `gradient` is below the tolerance, and what was found is finite.
    n_at_bounds : int array (n_realizations,)
        Parameters at a bound: nearer than a thousandth of their error, or of the interval
        where that is smaller.
    """

    parameters: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    nll: np.ndarray
    maps: dict[str, np.ndarray]
    iterations: np.ndarray
    gradient: np.ndarray
    converged: np.ndarray
    n_at_bounds: np.ndarray

    @property
    def cmb(self) -> np.ndarray:
        """Recovered CMB (n_realizations, 2, n_pixels) in µK_CMB."""
        return self.maps["cmb"]


@double_precision
def separate(
    data: np.ndarray,
    noise: WhiteNoise,
    bandpasses: Bandpasses | np.ndarray,
    patches: dict[str, np.ndarray],
    model: SpectralModel = DUST_AND_SYNCHROTRON,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    components: Sequence[str] = ("cmb",),
    memory: float = 2.0,
    optimizer: str = "newton",
) -> Separation:
    """Fit the spectral parameters of every patch and recover the components.

    Parameters
    ----------
    data : array (n_realizations, n_bands, 2, n_pixels)
        Q, U in µK_CMB.
    noise : WhiteNoise
    bandpasses : Bandpasses, or array (n_bands,)
        The latter in GHz, of infinitely narrow bands.
    patches : dict of str to int array (n_pixels,)
        Patch labels, from 0, for every parameter of the model.
    model : SpectralModel
        Components with their parameters, whose bounds and starts are those of all patches.
    max_iterations : int
        Iterations after which a fit is given up and marked as not converged.
    tolerance : float
        Largest `gradient` of a converged fit, in units of a parameter's error.
    components : sequence of str
        Components whose maps are returned: `cmb`, and names of the model's.
    memory : float
        GB that fits may use at once. Where it runs out all the same, fewer
        realisations are fitted together.
    optimizer : str
        `newton`, or one of `peers.PEERS` to compare with.

    Returns
    -------
    Separation

    Raises
    ------
    ValueError
        For shapes that do not agree or are empty, masked values, data, noise and frequencies
        that are not plausible (see `instrument.plausible`), labels that are negative, a start
        outside the bounds, and unknown names.
    NoDevice
        See `batches.device`.
    """
    data = unmasked(data, "data", float)
    noise = WhiteNoise(unmasked(noise.sigma, "sigma", float))
    patches = {name: unmasked(labels, f"patches of {name}") for name, labels in patches.items()}
    _check(data, noise, bandpasses, patches, model)
    known_components = ("cmb", *model.component_names)
    for name, known in (*((c, known_components) for c in components), (optimizer, OPTIMIZERS)):
        if name not in known:
            raise ValueError(f"{name!r} is not known; there are {', '.join(known)}")
    bands = Bands.of(bandpasses, noise, model)
    problem = Problem.from_patches(patches, model, merge=not bands.is_by_pixel)
    check_maps(data, noise.sigma)
    solve = _newton if optimizer == "newton" else partial(_one_by_one, PEERS[optimizer])

    def fit(batch):
        return _fit(batch, bands, problem, solve, max_iterations, tolerance, components)

    # Where Q and U have noise of their own, each has columns.
    n_columns = problem.labels.shape[1] * (1 + bands.is_by_stokes)
    batches = in_batches(fit, data, batch_size(data, n_columns, memory))
    stacked = jax.tree.map(lambda *parts: np.concatenate(parts), *batches)
    finite = stacked.pop("finite")
    return Separation(
        **stacked
        | {name: problem.by_parameter(stacked[name]) for name in ("parameters", "errors")},
        converged=finite & (stacked["gradient"] < tolerance),
    )


@double_precision
def misfit(
    parameters: np.ndarray,
    data: np.ndarray,
    noise: WhiteNoise,
    bandpasses: Bandpasses | np.ndarray,
    model: SpectralModel,
) -> np.ndarray:
    """½ Σ ‖P⊥ y‖² of data for parameters that are given, not fitted to them.

    Parameters
    ----------
    parameters : array (n_realizations, n_parameters, n_pixels)
        As `parameter_maps` makes them.
    data, noise, bandpasses, model :
        See `separate`.

    Returns
    -------
    array (n_realizations,)
    """
    bands = Bands.of(bandpasses, noise, model)
    return np.array(
        [recover(_mixing(p[None], bands)[0], d, bands).nll for p, d in zip(parameters, data)]
    )


def parameter_maps(parameters: dict[str, np.ndarray], patches: dict[str, np.ndarray]) -> np.ndarray:
    """Patch values (..., n_patches) spread over pixels: array (..., n_parameters, n_pixels)."""
    return np.stack([values[..., patches[name]] for name, values in parameters.items()], axis=-2)


def _check(data, noise, bandpasses, patches, model):
    if data.ndim != 4 or data.shape[2] != 2:
        raise ValueError(
            f"data has shape {data.shape}; needed is (n_realizations, n_bands, 2, n_pixels)"
        )
    if 0 in data.shape:
        raise ValueError(f"data has shape {data.shape}: there is nothing to fit")
    n_bands, n_pixels = data.shape[1], data.shape[3]
    n_components = 1 + len(model.components)
    if n_bands <= n_components:
        raise ValueError(
            f"{n_bands} bands cannot constrain {n_components} components; needed are "
            f"{n_components + 1} or more"
        )
    if noise.sigma.shape not in ((n_bands,), (n_bands, n_pixels), (n_bands, 2, n_pixels)):
        raise ValueError(
            f"sigma has shape {noise.sigma.shape}; data has {n_bands} bands and {n_pixels} pixels"
        )
    if len(bandpasses) != n_bands:
        raise ValueError(f"bandpasses are {len(bandpasses)}; data has {n_bands} bands")
    if set(patches) != set(model.names):
        raise ValueError(f"patches are given for {sorted(patches)}; needed: {sorted(model.names)}")
    for one in model.parameters:
        lower, upper = one.bounds
        if not lower < one.start < upper:
            raise ValueError(f"start of {one.name}, {one.start}, is not inside {lower} … {upper}")
    for name, labels in patches.items():
        if labels.shape != (n_pixels,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"patches of {name}: {labels.dtype} array of shape {labels.shape}; "
                f"needed are integer labels of {n_pixels} pixels"
            )
        if labels.min() < 0:
            raise ValueError(f"patches of {name}: negative label {labels.min()}; mask such pixels")


def _fit(data, bands, problem, solve, max_iterations, tolerance, components):
    """Fit one batch; returns the fields of `Separation`, unknowns for parameters."""
    data = jnp.asarray(data)
    statistics = prepare(data, bands, problem.blocks, problem.labels.shape[1])
    of_cells = bands.of_cells(problem.labels.shape[1])
    found = solve(data, statistics, of_cells, problem, max_iterations, tolerance)
    recovery = recover_maps(found.unknowns, problem, data, bands)
    maps = {"cmb": recovery.cmb} | dict(
        zip(bands.model.component_names, recovery.components, strict=True)
    )
    unknowns, errors, steps = map(np.asarray, (found.unknowns, found.errors, found.steps))
    margin = np.minimum(unknowns - problem.lower, problem.upper - unknowns)
    near = 1e-3 * np.minimum(errors, problem.upper - problem.lower)
    return {
        "parameters": unknowns,
        "errors": errors,
        "nll": np.asarray(recovery.nll),
        "finite": np.isfinite(recovery.nll) & np.isfinite(recovery.cmb).all(axis=(0, 2)),
        "maps": {name: np.stack(maps[name], axis=1) for name in components},
        "iterations": np.asarray(found.iterations),
        "gradient": steps.max(axis=1),
        "n_at_bounds": np.sum(np.isfinite(errors) & (margin < near), axis=1),
    }


@partial(jax.jit, static_argnums=3)
def prepare(data, bands, blocks, n_cells):
    """What the likelihood needs of the data, for every cell of a `Problem`.

    Parameters
    ----------
    data : array (n_realizations, n_bands, 2, n_pixels), µK_CMB
    bands : Bands
    blocks : see `Problem`
    n_cells : int

    Returns
    -------
    array
        Whitened maps (n_realizations, n_bands, 2, n_cells), or of merged pixels second moments
        (n_realizations, n_cells, n_bands, n_bands).
    """
    if blocks is None:
        white = jax.vmap(whiten, in_axes=(0, None))(data, bands)
        return jnp.pad(white, (*3 * ((0, 0),), (0, n_cells - data.shape[-1])))
    pixels, cells = blocks

    def moments(realization):
        # A dark pixel at the end stands for none.
        white = jnp.pad(whiten(realization, bands), ((0, 0), (0, 0), (0, 1)))
        return jax.ops.segment_sum(
            second_moments(white[:, :, pixels]), cells, n_cells, indices_are_sorted=True
        )

    return jax.lax.map(moments, data)


def recover_maps(unknowns, problem, data, bands):
    """`Recovery` of data (n_realizations, n_bands, 2, n_pixels) with unknowns of a `Problem`."""
    of_cells = bands.of_cells(problem.labels.shape[1])
    columns = _spread(_mixing(_spread(unknowns, problem.labels), of_cells), problem.cells)
    return _recover(columns, data, bands)


@jax.jit
def _spread(values, index):
    # Apart from what uses it: XLA would gather anew for every band.
    return values[..., index]


def _for_each(function, *batched):
    """vmap, but for a batch of one, whose pixels XLA then shares out among CPU cores."""
    if len(batched[0]) == 1:
        return jax.tree.map(lambda values: values[None], function(*(b[0] for b in batched)))
    return jax.vmap(function)(*batched)


@jax.jit
def _mixing(by_cell, bands):
    return jax.vmap(mixing, in_axes=(0, None))(by_cell, bands)


@jax.jit
def _recover(columns, data, bands):
    return jax.vmap(recover, in_axes=(0, 0, None))(columns, data, bands)


def _newton(data, statistics, bands, problem, max_iterations, tolerance):
    """Fit the realisations of a batch together."""
    return _minimize_batch(
        statistics,
        bands,
        problem.labels,
        problem.start,
        problem.lower,
        problem.upper,
        problem.reach,
        max_iterations,
        tolerance,
        # One after the other, which would only hold up an accelerator.
        n_parts=problem.n_parts if device().platform == "cpu" else 1,
    )


@partial(jax.jit, static_argnames="n_parts")
def _minimize_batch(statistics, bands, labels, start, *limits, n_parts):
    def fit(realization):
        divided = [_divide(realization, n_parts)]
        if bands.is_by_pixel:
            divided.append(jax.tree.map(partial(_divide, n_parts=n_parts), bands))

        def expand_part(part):
            parameters, data, *own = part
            return expand(parameters, data, *own or [bands])

        def expand_in_parts(parameters):
            if n_parts == 1:
                return expand(parameters, realization, bands)
            expansions = jax.lax.map(
                expand_part, (_divide(jnp.stack(parameters), n_parts), *divided)
            )
            return jax.tree.map(jnp.ravel, expansions)

        return minimize(expand_in_parts, labels, batched_like(start, realization), *limits)

    return _for_each(fit, statistics)


def _divide(by_cell, n_parts):
    """(..., n_cells) as (n_parts, ..., n_cells / n_parts); (..., 1) is the same in all parts."""
    if by_cell.shape[-1] == 1:
        return jnp.broadcast_to(by_cell, (n_parts, *by_cell.shape))
    return jnp.moveaxis(by_cell.reshape(*by_cell.shape[:-1], n_parts, -1), -2, 0)


def _one_by_one(peer, data, statistics, bands, problem, max_iterations, tolerance):
    """Fit the realisations of a batch with another code's optimiser."""

    def assess(unknowns):
        by_cell = _spread(unknowns, problem.labels)
        return _assess(
            by_cell, unknowns, statistics, bands, problem.labels, problem.lower, problem.upper
        )

    errors, _ = assess(jnp.broadcast_to(problem.start, (len(data), len(problem.start))))
    limits = (max_iterations, tolerance)
    fits = [
        peer(Task(problem, bands, data[i], statistics[i], np.asarray(errors[i]), *limits))
        for i in range(len(data))
    ]
    unknowns, iterations = (np.stack(values) for values in zip(*fits, strict=True))
    return Minimum(unknowns, iterations, *assess(unknowns))


@jax.jit
def _assess(by_cell, unknowns, statistics, bands, labels, lower, upper):
    def assess(by_cell, unknowns, statistics):
        return steps_asked(expand(by_cell, statistics, bands), labels, unknowns, lower, upper)

    return _for_each(assess, by_cell, unknowns, statistics)
