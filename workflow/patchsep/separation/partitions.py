"""Partitions of a region into patches, and the configurations that combine them.

A configuration has one partition for every spectral parameter. Its name, such as "100-20-10", has
the numbers that were asked for, in the order of the parameters.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from ..files.maps import read_maps, write_maps
from ..lazy import healpy as hp
from .patches import STRATEGIES, kmeans

# Columns of the numbers of patches in tables have this before the parameter's name.
COUNT = "n_patches_"

# Patch labels (n_pixels,) of one region, by parameter and the value in the config.
Partitions = dict[tuple[str, int], np.ndarray]


def partition(
    strategy: str,
    nside: int,
    pixels: np.ndarray,
    values: dict[str, list[int]],
    seed: int,
    templates: dict[str, np.ndarray] | None = None,
    n_draws: int = 1,
    independent_patches: bool = False,
) -> list[Partitions]:
    """All partitions that a grid of configurations needs, of every draw.

    Parameters
    ----------
    strategy : str
        Of `patches.STRATEGIES`.
    values : dict of str to list of int
        Values that each spectral parameter takes in the grid.
    templates : dict of str to array (n_pixels,)
        For strategies that follow maps: a map of each spectral parameter in the region. Those
        without one are divided by K-means.
    n_draws : int
        How often patches are drawn, each time with other random numbers.
    independent_patches : bool
        Whether parameters with the same value have partitions of their own. As published they
        share one, but for strategies that follow maps.

    Returns
    -------
    list of dict of (str, int) to int array (n_pixels,)
        Labels by parameter and value, of every draw.
    """
    parameters, known = list(values), STRATEGIES[strategy]
    templates = templates or {}
    divide = kmeans if known.maps_from else known.divide

    @cache
    def by_position(value, seed):
        return divide(nside, pixels, value, seed)

    def labels(parameter, value, draw):
        if parameter in templates:
            template = templates[parameter]
            return known.divide(nside, pixels, value, (seed, draw), template)
        stream = parameters.index(parameter) if independent_patches else 0
        return by_position(value, (seed, draw, stream) if draw or stream else (seed,))

    return [
        {
            (parameter, value): labels(parameter, value, draw)
            for parameter in parameters
            for value in values[parameter]
        }
        for draw in range(n_draws)
    ]


def configurations(scans: list[dict[str, list[int]]], grid: str = "product") -> list[str]:
    """Names of all configurations of one or more scans through values of every parameter.

    Parameters
    ----------
    scans : list of dict of str to list of int
        Values by parameter, in the order of the model. What is in several of them counts once.
    grid : str
        Within a scan `product` combines all values with each other; `axes` goes through one
        parameter at a time, the others having the first of their values.
    """
    names = []
    for values in scans:
        combined = list(product(*values.values()))
        if grid == "axes":
            first = combined[0]
            combined = [c for c in combined if sum(a != b for a, b in zip(c, first)) <= 1]
        names += ["-".join(map(str, one)) for one in combined]
    return list(dict.fromkeys(names))


def numbers_of(configuration: str, parameters: Iterable[str]) -> dict[str, int]:
    """The value of each spectral parameter in a configuration."""
    return dict(zip(parameters, map(int, configuration.split("-")), strict=True))


def values_of(names: Sequence[str], parameters: Sequence[str]) -> dict[str, list[int]]:
    """Values that each spectral parameter takes in configurations, in rising order."""
    numbers = [numbers_of(name, parameters) for name in names]
    return {name: sorted({one[name] for one in numbers}) for name in parameters}


def count_patches(patches: dict[str, np.ndarray]) -> dict[str, int]:
    """Number of patches of each spectral parameter, by its column in tables."""
    return {f"{COUNT}{name}": len(np.unique(labels)) for name, labels in patches.items()}


def patch_count_columns(columns: Iterable[str]) -> list[str]:
    """Those of a table's columns that have numbers of patches."""
    return [column for column in columns if column.startswith(COUNT)]


def configuration_patches(configuration: str, partitions: Partitions) -> dict[str, np.ndarray]:
    """Patch labels (n_pixels,) of each spectral parameter in a configuration."""
    numbers = numbers_of(configuration, dict.fromkeys(parameter for parameter, _ in partitions))
    return {name: partitions[name, value] for name, value in numbers.items()}


def patch_labels(configuration: str, draws: list[Partitions]) -> list[np.ndarray]:
    """Labels of all spectral parameters in a configuration, of every draw."""
    patches = [configuration_patches(configuration, partitions) for partitions in draws]
    return [labels for one in patches for labels in one.values()]


def write_partitions(path: str | Path, draws: list[Partitions], pixels, nside, about):
    """Write patch labels of a region, of every draw, by parameter and value.

    Columns are <PARAMETER>_<value> of the first draw and DRAW_<number>_<PARAMETER>_<value>
    of the others. Outside of the region labels are -1.
    """
    columns = {}
    for number, partitions in enumerate(draws):
        prefix = f"DRAW_{number}_" if number else ""
        for (parameter, value), labels in partitions.items():
            sky = np.full(hp.nside2npix(nside), -1, dtype=np.int32)
            sky[pixels] = labels
            columns[f"{prefix}{parameter.upper()}_{value}"] = sky
    write_maps(path, columns, "", about)


def read_partitions(path: str | Path, pixels: np.ndarray) -> list[Partitions]:
    """Read what `write_partitions` wrote: labels (n_pixels,) of every draw."""
    draws = {}
    for name, labels in read_maps(path).items():
        draw, parameter, value = re.fullmatch(r"(?:DRAW_(\d+)_)?(\w+)_(\d+)", name).groups("0")
        draws.setdefault(draw, {})[parameter.lower(), int(value)] = labels[pixels]
    return list(draws.values())
