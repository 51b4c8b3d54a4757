"""The device, and realisations in batches: as many at once as cache and memory hold."""

import logging
import os
from collections.abc import Callable
from operator import itemgetter

import jax
import numpy as np

log = logging.getLogger(__name__)

# Cells of a batch beyond which arrays only leave the cache of a CPU, and bytes of data beyond
# which every array is memory fresh from the system, which costs more than filling it.
CELLS_IN_CACHE, BYTES_IN_HEAP = 2048, 12e6
# Arrays (n_pixels,) that a fit holds at once, per realisation: columns, expansions, maps.
ARRAYS_PER_FIT = 400


class NoDevice(RuntimeError):
    """JAX has nothing to compute on; the message says what to set."""


def device() -> jax.Device:
    """What JAX computes on.

    Raises
    ------
    NoDevice
        If `JAX_PLATFORMS` asks for what this machine, or this JAX, does not have.
    """
    try:
        return jax.devices()[0]
    # Of a platform that this JAX has no plugin for it only asserts that there is one.
    except (AssertionError, RuntimeError) as error:
        asked = os.environ.get("JAX_PLATFORMS")
        raise NoDevice(
            f"JAX_PLATFORMS={asked} asks for a device that JAX {jax.__version__} does not find here"
            f"{f' ({error})' if str(error) else ''}. To compute on the CPU, set JAX_PLATFORMS=cpu; "
            "for a GPU install JAX with CUDA (envs/environment-cuda.yaml) where nvidia-smi shows it"
        ) from error


def batch_size(data: np.ndarray, n_cells: int, memory: float) -> int:
    """Realisations to fit at once, so many that batches are of equal size.

    Parameters
    ----------
    data : array (n_realizations, n_bands, 2, n_pixels)
    n_cells : int
        Of the `Problem`.
    memory : float
        GB that fits may use at once.
    """
    n_realizations, n_pixels = len(data), data.shape[-1]
    most = int(memory * 1e9 / (8 * ARRAYS_PER_FIT * max(n_cells, n_pixels / 4)))
    if device().platform == "cpu":
        most = min(most, CELLS_IN_CACHE // n_cells, int(BYTES_IN_HEAP / data[0].nbytes))
    return -(-n_realizations // -(-n_realizations // max(most, 1)))


def in_batches(fit: Callable[[np.ndarray], dict], data: np.ndarray, size: int) -> list[dict]:
    """Results of `fit` for consecutive parts of the data, smaller ones if memory runs out.

    Parameters
    ----------
    fit : function of an array (size, n_bands, 2, n_pixels) to a tree of arrays (size, ...)
    data : array (n_realizations, n_bands, 2, n_pixels)
    size : int
        Realisations of a part.

    Raises
    ------
    MemoryError, jax.errors.JaxRuntimeError
        If not even one realisation fits in memory.
    """
    results, done = [], 0
    while done < len(data):
        batch = data[done : done + size]
        missing = size - len(batch)
        try:
            # One shape for all batches: the last is filled up.
            result = fit(
                np.pad(batch, ((0, missing), *3 * ((0, 0),)), "edge") if missing else batch
            )
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if size == 1 or not _out_of_memory(error):
                raise
            size = -(-size // 2)
            log.warning("out of memory: %d realisations at once from here on", size)
            continue
        results.append(jax.tree.map(itemgetter(slice(len(batch))), result))
        done += len(batch)
    return results


def _out_of_memory(error):
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
