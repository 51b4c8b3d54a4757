"""The fits are lowered for a GPU where there is none: what CUDA does not have breaks here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from patchsep.fields import moments
from patchsep.fields.pixelwise import eliminate
from patchsep.observation.bands import Bands
from patchsep.separation import fit, propagation
from patchsep.separation.problem import Problem

pytestmark = pytest.mark.usefixtures("double_precision")


def lowered(function, *arguments, **static):
    """Text of what XLA gets of a jitted function on a GPU."""
    exported = export.export(function, platforms=["cuda"])(*arguments, **static)
    assert exported.platforms == ("cuda",)
    return exported.mlir_module()


@pytest.fixture
def bands(bright_sky):
    return Bands.of(bright_sky.bandpasses, bright_sky.noise, bright_sky.model)


@pytest.fixture(params=["of many pixels", "of one pixel each"])
def problem(request, bright_sky):
    """With cells that are sums over pixels, and with those that are pixels."""
    patches = dict(bright_sky.patches)
    if request.param == "of many pixels":
        patches = {name: np.zeros_like(labels) for name, labels in patches.items()}
    problem = Problem.from_patches(patches, bright_sky.model)
    assert (problem.blocks is None) == (request.param == "of one pixel each")
    return problem


@pytest.fixture
def data(bright_sky):
    return jnp.asarray(np.stack([bright_sky.data, bright_sky.data]))


def test_fits_of_patches_are_lowered(problem, bands, data):
    n_cells = problem.labels.shape[1]
    assert lowered(fit.prepare, data, bands, problem.blocks, n_cells)
    statistics = fit.prepare(data, bands, problem.blocks, n_cells)
    limits = problem.start, problem.lower, problem.upper, problem.reach, 200, 1e-3
    text = lowered(fit._minimize_batch, statistics, bands, problem.labels, *limits, n_parts=1)
    assert "f64" in text and "f32" not in text
    unknowns = jnp.stack([problem.start] * len(data))
    by_cell = unknowns[..., problem.labels]
    assert lowered(fit._spread, unknowns, problem.labels)
    assert lowered(fit._mixing, by_cell, bands)
    assert lowered(fit._recover, fit._mixing(by_cell, bands)[..., problem.cells], data, bands)


def test_predictions_are_lowered(problem, bands, data):
    n_cells = problem.labels.shape[1]
    assert lowered(
        propagation._propagate,
        fit.prepare(data, bands, problem.blocks, n_cells),
        problem.start,
        np.zeros(len(problem.start), dtype=bool),
        problem.labels,
        problem.lower,
        problem.upper,
        bands,
    )


@pytest.mark.parametrize("own", [(), (0,), (0, 2), (0, 1, 2)])
def test_fields_are_lowered(bright_sky, bands, own):
    white = fit.whiten(jnp.asarray(bright_sky.data), bands)
    maps = jnp.asarray(bright_sky.parameters)
    # Beneath what sets the precision is what is compiled.
    text = lowered(
        eliminate.__wrapped__, maps, maps, white, bands, jnp.ones(3), own=own, tolerance=1e-4
    )
    assert "f64" in text and "f32" not in text


def test_score_tests_are_lowered(bright_sky, bands):
    assert lowered(
        moments._moment_scores, bright_sky.parameters, bright_sky.data, bands, at_once=16
    )


def test_what_a_gpu_does_not_have_is_seen():
    """Schur's decomposition is one of the host alone."""
    with pytest.raises(NotImplementedError, match="cuda"):
        lowered(jax.jit(jax.scipy.linalg.schur), jnp.eye(3))
