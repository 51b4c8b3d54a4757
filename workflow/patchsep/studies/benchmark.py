"""Benchmarks: optimisers side by side on one problem."""

import logging
import platform
import resource
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from ..files.versions import installed_version
from ..observation.region_sky import RegionSky
from ..separation.batches import device
from ..separation.fit import separate
from ..separation.partitions import COUNT
from ..separation.patches import kmeans
from ..sky.harmonics import n_cores
from ..sky.spectral_model import SpectralModel

log = logging.getLogger(__name__)

PACKAGES = ("jax", "jaxlib", "optax", "scipy", "furax", "furax-cs")
# Iteration limits at which a search is looked at, and how often the faster ones are timed.
TRACED_ITERATIONS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987)
REPEATS = 3
# Seconds that repetitions may take.
SECONDS_OF_REPEATS = 30


def machine() -> dict[str, str]:
    """What a speed depends on besides the code: processor, device and versions."""

    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines()
    models = [line for line in lines if line.startswith("model name")]
    return {
        "processor": models[0].split(":")[1].strip() if models else platform.processor(),
        "n_cores": n_cores(),
        "device": device().device_kind,
        "python": platform.python_version(),
        **{package: installed_version(package) for package in PACKAGES},
    }


def draw_patches(
    sky: RegionSky, n_patches: tuple[int, ...], seed: int, model: SpectralModel
) -> dict[str, np.ndarray]:
    """K-means patches (n_pixels,) of every spectral parameter, of seeds of their own."""
    return {
        name: kmeans(sky.nside, sky.pixels, n, seed + i)
        for i, (name, n) in enumerate(zip(model.names, n_patches, strict=True))
    }


def time_fits(
    sky: RegionSky,
    configurations: list[tuple[int, ...]],
    optimizers: dict[str, dict],
    seed: int,
    model: SpectralModel,
) -> pd.DataFrame:
    """Fit the same data with every optimiser and take the time.

    Parameters
    ----------
    sky : RegionSky
    configurations : list of tuple of int
        Numbers of patches, in the order of the model's parameters.
    optimizers : dict by name
        `n_realizations` to fit and `max_iterations` of each.
    seed : int
        Of the patches.
    model : SpectralModel

    Returns
    -------
    DataFrame
        A row per configuration, optimiser and realisation: `nll`, `gradient`, `iterations`,
        `converged`, and repeated in each `seconds_per_fit`, all of `separate` included and
        compilation not, `seconds_first` with it, and `peak_memory_mb` of the process.
    """
    tables = []
    for configuration in configurations:
        patches = draw_patches(sky, configuration, seed, model)
        for name, options in optimizers.items():
            realizations = list(range(options["n_realizations"]))
            data = np.stack([sky.observe(i) for i in realizations])
            fit = data, sky, patches, model, name, options["max_iterations"]
            result, first = _timed(*fit)
            # Beside what takes longer compilation is nothing.
            repeats = min(REPEATS, int(SECONDS_OF_REPEATS // first))
            seconds = [first] + [_timed(*fit)[1] for _ in range(repeats)]
            table = pd.DataFrame({"realization": realizations, "optimizer": name})
            for column in ("nll", "gradient", "iterations", "converged"):
                table[column] = getattr(result, column)
            table[[f"{COUNT}{parameter}" for parameter in patches]] = configuration
            table["n_pixels"] = len(sky.pixels)
            table["nside"] = sky.nside
            table["seconds_per_fit"] = np.median(seconds[1:] or seconds) / len(data)
            table["seconds_first"] = first
            table["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            tables.append(table)
            log.info(
                "%s, %s: %.1f ms per fit, %.0f iterations, %d of %d converged",
                configuration,
                name,
                1e3 * table["seconds_per_fit"][0],
                result.iterations.mean(),
                result.converged.sum(),
                len(data),
            )
    return pd.concat(tables, ignore_index=True).assign(**machine())


def _timed(data, sky, patches, model, optimizer, max_iterations):
    start = perf_counter()
    result = separate(
        data,
        sky.noise,
        sky.bandpasses,
        patches,
        model,
        optimizer=optimizer,
        max_iterations=max_iterations,
    )
    return result, perf_counter() - start


def trace_fits(
    sky: RegionSky,
    configuration: tuple[int, ...],
    optimizers: dict[str, dict],
    seed: int,
    model: SpectralModel,
) -> pd.DataFrame:
    """NLL and projected gradient of one realisation against iterations, per optimiser.

    Each point is a search of its own that was ended after so many iterations.
    """
    patches = draw_patches(sky, configuration, seed, model)
    data = sky.observe(0)[None]
    rows = []
    for name, options in optimizers.items():
        for limit in TRACED_ITERATIONS:
            if limit > options["max_iterations"]:
                break
            result, _ = _timed(data, sky, patches, model, name, limit)
            rows.append(
                {
                    "optimizer": name,
                    "iterations": int(result.iterations[0]),
                    "nll": result.nll[0],
                    "gradient": result.gradient[0],
                }
            )
            if result.converged[0]:
                break
    return pd.DataFrame(rows)
