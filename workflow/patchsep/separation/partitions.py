"""Patches: the groups of pixels that share one value of a spectral parameter.

A strategy is a function of the region's pixels that returns their patch labels. A new
one is a function here and its name in `STRATEGIES`; the config then knows the word. Those
that look at maps of the spectral parameters are named in `GUIDED` instead.
"""

import re
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from ..files.maps import read_maps, write_maps
from ..lazy import healpy as hp
from ..sky.spectral_model import PARAMETERS
from .patches import STRATEGIES, equal_width_bins, kmeans, kmeans_of_map

# Columns of their numbers of patches in tables.
N_PATCHES = [f"n_patches_{parameter}" for parameter in PARAMETERS]

# Patch labels (n_pixels,) of one region, by parameter and the value in the config.
Partitions = dict[tuple[str, int], np.ndarray]


def partition(
    strategy: str,
    nside: int,
    pixels: np.ndarray,
    values: dict[str, list[int]],
    seed: int,
    guide: dict[str, np.ndarray] | None = None,
    members: int = 1,
    own_patches: bool = False,
    template_weight: float = 0.0,
) -> list[Partitions]:
    """All partitions that a grid of configurations needs, of every member of an ensemble.

    Parameters
    ----------
    values : dict of str to list of int
        Values that each spectral parameter takes in the grid.
    guide : dict of str to array (n_pixels,)
        For strategies in `GUIDED`: a map of each spectral parameter in the region. Those
        without one are divided by K-means.
    members : int
        Size of the ensemble: how often patches are drawn, each time with other random numbers.
    own_patches : bool
        Whether parameters with the same value have partitions of their own. As published they
        share one, but for `GUIDED` strategies.
    template_weight : float
        Of `kmeans_of_map`.

    Returns
    -------
    list of dict of (str, int) to int array (n_pixels,)
        Labels by parameter and value, of every member.
    """

    directions = np.stack(hp.pix2vec(nside, pixels), axis=1)

    @cache
    def by_position(value, seed):
        return STRATEGIES.get(strategy, kmeans)(nside, pixels, value, seed)

    def labels(parameter, value, member):
        if parameter in (guide or {}):
            if strategy == "template_kmeans":
                return kmeans_of_map(
                    guide[parameter], value, directions, template_weight, (seed, member)
                )
            return equal_width_bins(guide[parameter], value)
        stream = PARAMETERS.index(parameter) if own_patches else 0
        return by_position(value, (seed, member, stream) if member or stream else (seed,))

    return [
        {
            (parameter, value): labels(parameter, value, member)
            for parameter in PARAMETERS
            for value in values[parameter]
        }
        for member in range(members)
    ]


def configurations(scans: list[dict[str, list[int]]], grid: str = "product") -> list[str]:
    """Names of all configurations of one or more scans through values of every parameter.

    "100-20-10" has the values 100 for beta_dust, 20 for temp_dust and 10 for beta_synch.

    Parameters
    ----------
    scans : list of dict of str to list of int
        What is in several of them counts once.
    grid : str
        Within a scan `product` combines all values with each other; `axes` goes through one
        parameter at a time, the others having the first of their values.
    """
    names = []
    for values in scans:
        triples = list(product(*(values[parameter] for parameter in PARAMETERS)))
        if grid == "axes":
            first = triples[0]
            triples = [t for t in triples if sum(a != b for a, b in zip(t, first)) <= 1]
        names += ["-".join(map(str, triple)) for triple in triples]
    return list(dict.fromkeys(names))


def values_of(names: list[str]) -> dict[str, list[int]]:
    """Values that each spectral parameter takes in configurations, in rising order."""
    columns = zip(*(map(int, name.split("-")) for name in names), strict=True)
    return {name: sorted(set(column)) for name, column in zip(PARAMETERS, columns, strict=True)}


def count_patches(patches: dict[str, np.ndarray]) -> dict[str, int]:
    """Number of patches of each spectral parameter, by the names of `N_PATCHES`."""
    counts = [len(np.unique(patches[parameter])) for parameter in PARAMETERS]
    return dict(zip(N_PATCHES, counts, strict=True))


def configuration_patches(configuration: str, partitions: Partitions) -> dict[str, np.ndarray]:
    """Patch labels (n_pixels,) of each spectral parameter in a configuration."""
    values = map(int, configuration.split("-"))
    return {name: partitions[name, value] for name, value in zip(PARAMETERS, values, strict=True)}


def patch_labels(configuration: str, members: list[Partitions]) -> list[np.ndarray]:
    """Labels of all spectral parameters in a configuration, of every member."""
    patches = [configuration_patches(configuration, partitions) for partitions in members]
    return [labels for one in patches for labels in one.values()]


def write_partitions(
    path: str | Path, members: list[dict[tuple[str, int], np.ndarray]], pixels, nside, about
):
    """Write patch labels of a region, of every member of an ensemble, by parameter and value.

    Columns are <PARAMETER>_<value> of the first member and MEMBER_<number>_<PARAMETER>_<value>
    of the others. Outside of the region labels are -1.
    """
    columns = {}
    for number, partitions in enumerate(members):
        prefix = f"MEMBER_{number}_" if number else ""
        for (parameter, value), labels in partitions.items():
            sky = np.full(hp.nside2npix(nside), -1, dtype=np.int32)
            sky[pixels] = labels
            columns[f"{prefix}{parameter.upper()}_{value}"] = sky
    write_maps(path, columns, "", about)


def read_partitions(
    path: str | Path, pixels: np.ndarray
) -> list[dict[tuple[str, int], np.ndarray]]:
    """Read what `write_partitions` wrote: labels (n_pixels,) of every member."""
    members = {}
    for name, labels in read_maps(path).items():
        member, parameter, value = re.fullmatch(r"(?:MEMBER_(\d+)_)?(\w+)_(\d+)", name).groups("0")
        members.setdefault(member, {})[parameter.lower(), int(value)] = labels[pixels]
    return list(members.values())
