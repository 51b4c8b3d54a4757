"""Optimisers of other codes, to compare with: one realisation at a time, on the same data.

Optax's L-BFGS and SciPy's TNC minimise the spectral likelihood with its closed-form gradient,
in unknowns measured in their own error at the start; FGBuster uses TNC. Where
furax-cs is installed (envs/peers.txt), its active-set optimiser minimises its own likelihood.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize

from ..instrument.units import PLANCK_OVER_BOLTZMANN
from ..observation.bands import Bands
from ..sky.components import ModifiedBlackBody, PowerLaw
from .likelihood import expand
from .problem import Incidence, Problem


@dataclass(frozen=True)
class Task:
    """One fit.

    Attributes
    ----------
    problem : Problem
    bands : Bands
    data : array (n_bands, 2, n_pixels), µK_CMB
    statistics : array
        What `likelihood.expand` takes as data.
    errors : array (n_unknowns,)
        Errors at the start with all other unknowns fixed, infinite where unconstrained.
    max_iterations : int
    tolerance : float
        Derivative, times the error at the start, at which to stop.
    """

    problem: Problem
    bands: Bands
    data: jax.Array
    statistics: jax.Array
    errors: np.ndarray
    max_iterations: int
    tolerance: float

    @property
    def scale(self):
        """Errors where they are of use to scale an unknown, (n_unknowns,)."""
        return np.minimum(self.errors, (self.problem.upper - self.problem.lower) / 4)


@jax.jit
def value_and_gradient(unknowns, statistics, bands, labels):
    """NLL, but for a constant, and its derivatives by the unknowns."""
    incidence = Incidence(labels, len(unknowns))
    expansion = expand(incidence.spread(unknowns), statistics, bands)
    return jnp.sum(expansion.value), incidence.collect(expansion.gradient)


def optax_lbfgs(task: Task) -> tuple[np.ndarray, int]:
    """L-BFGS with bounds met by the substitution β = middle + half-width × sin θ."""
    unknowns, iterations = _optax_lbfgs(
        task.problem.start,
        task.problem.lower,
        task.problem.upper,
        task.scale,
        (task.statistics, task.bands, task.problem.labels),
        task.max_iterations,
        # Errors at the minimum are not those at the start.
        0.3 * task.tolerance,
    )
    return np.asarray(unknowns), int(iterations)


@jax.jit
def _optax_lbfgs(start, lower, upper, scale, model, max_iterations, tolerance):
    middle, half_width = (upper + lower) / 2, (upper - lower) / 2
    angle = jnp.arcsin((start - middle) / half_width)
    scale = scale / (half_width * jnp.cos(angle))

    def to_unknowns(z):
        return middle + half_width * jnp.sin(angle + scale * z)

    @jax.custom_vjp
    def value(unknowns):
        return value_and_gradient(unknowns, *model)[0]

    value.defvjp(
        lambda unknowns: value_and_gradient(unknowns, *model),
        lambda gradient, tangent: (tangent * gradient,),
    )

    def objective(z):
        return value(to_unknowns(z))

    optimizer = optax.lbfgs(
        memory_size=20,
        linesearch=optax.scale_by_zoom_linesearch(
            max_linesearch_steps=20, initial_guess_strategy="one"
        ),
    )
    value_and_grad = optax.value_and_grad_from_state(objective)

    def iterate(carry):
        z, state, iteration = carry
        current, gradient = value_and_grad(z, state=state)
        updates, state = optimizer.update(
            gradient, state, z, value=current, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(z, updates), state, iteration + 1

    def unfinished(carry):
        _, state, iteration = carry
        largest = jnp.max(jnp.abs(optax.tree.get(state, "grad")))
        return (iteration < max_iterations) & ((iteration == 0) | (largest > tolerance))

    z = jnp.zeros_like(start)
    z, _, iterations = jax.lax.while_loop(unfinished, iterate, (z, optimizer.init(z), 0))
    return to_unknowns(z), iterations


def scipy_tnc(task: Task) -> tuple[np.ndarray, int]:
    """Truncated Newton with bounds; the Hessian is taken from differences of gradients."""
    problem = task.problem

    def objective(scaled):
        value, gradient = value_and_gradient(
            scaled * task.scale, task.statistics, task.bands, task.problem.labels
        )
        return float(value), np.asarray(gradient) * task.scale

    found = scipy.optimize.minimize(
        objective,
        problem.start / task.scale,
        jac=True,
        method="TNC",
        bounds=np.stack([problem.lower, problem.upper], axis=1) / task.scale[:, None],
        options={"maxfun": task.max_iterations, "ftol": 0, "xtol": 0, "gtol": task.tolerance},
    )
    return found.x * task.scale, int(found.nfev)


def furax_active_set(task: Task) -> tuple[np.ndarray, int]:
    """The active-set optimiser of furax-cs on furax's likelihood.

    Tolerances, reference frequencies and inner conjugate gradients are those of its script
    for K-means patches (version 0.1.1). Its line search is zoom: with that script's default,
    backtracking, the search stopped 75 above the minimum of the single-patch NLL.

    Raises
    ------
    ImportError
        If furax-cs is not installed (envs/peers.txt).
    ValueError
        For another model than one modified black body and one power law.
    """
    components, bands = task.bands.model.components, task.bands
    if [type(one) for one in components] != [ModifiedBlackBody, PowerLaw]:
        raise ValueError("furax_active_set knows dust and synchrotron only; use newton")
    if bands.constants[0][0].shape[1] > 1 or bands.is_by_pixel or bands.relative is not None:
        raise ValueError("furax_active_set knows narrow bands of uniform noise only; use newton")
    problem, names = task.problem, ("beta_dust", "temp_dust", "beta_pl")
    used = [np.unique(row, return_inverse=True) for row in problem.labels[:, problem.cells]]
    places = [place for place, _ in used]
    start, lower, upper = (
        {name: jnp.asarray(vector[place]) for name, place in zip(names, places, strict=True)}
        for vector in (problem.start, problem.lower, problem.upper)
    )
    labels = {
        f"{name}_patches": jnp.asarray(label) for name, (_, label) in zip(names, used, strict=True)
    }
    frequency = task.bands.constants[0][0][:, 0] / PLANCK_OVER_BOLTZMANN
    found, iterations = _furax_active_set(
        task.data, 1 / task.bands.white, frequency, labels, start, lower, upper,
        tuple(one.reference for one in components), task.max_iterations,
    )  # fmt: skip
    unknowns = problem.start.copy()
    for name, place in zip(names, places, strict=True):
        unknowns[place] = found[name]
    return unknowns, int(iterations)


@partial(jax.jit, static_argnames=("references", "max_iterations"))
def _furax_active_set(
    data, sigma, frequency, labels, start, lower, upper, references, max_iterations
):
    import furax
    import furax_cs.optim
    import lineax
    from furax.obs import negative_log_likelihood
    from furax.obs.operators import NoiseDiagonalOperator
    from furax.obs.stokes import Stokes

    maps = Stokes.from_stokes(data[:, 0], data[:, 1])
    variance = Stokes.from_stokes(*2 * (sigma[:, None] ** 2,))
    with furax.Config(solver=lineax.CG(atol=1e-10, rtol=1e-6, max_steps=1000)):
        found, state = furax_cs.optim.minimize(
            partial(
                negative_log_likelihood,
                dust_nu0=references[0],
                synchrotron_nu0=references[1],
                analytical_gradient=True,
            ),
            start,
            "active_set",
            max_iterations,
            atol=1e-18,
            rtol=1e-18,
            precondition=False,
            solver_options={"linesearch": "zoom"},
            lower_bound=lower,
            upper_bound=upper,
            nu=frequency,
            N=NoiseDiagonalOperator(variance, in_structure=maps.structure),
            d=maps,
            patch_indices=labels,
        )
    return found, state.iter_num


PEERS = {
    "optax_lbfgs": optax_lbfgs,
    "scipy_tnc": scipy_tnc,
    "furax_active_set": furax_active_set,
}
