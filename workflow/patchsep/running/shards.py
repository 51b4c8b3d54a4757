"""Shards: how the fits of a method in a region are divided into jobs.

A shard has some of the configurations and some of the realisations.
"""

from zlib import crc32


def realization_shards(n_realizations: int, per_shard: int) -> dict[str, list[int]]:
    """The realisations of a sky, cut into consecutive groups, by name."""
    firsts = range(0, n_realizations, per_shard)
    groups = [list(range(first, min(first + per_shard, n_realizations))) for first in firsts]
    return {f"realizations-{group[0]:05d}-{group[-1]:05d}": group for group in groups}


def configuration_shard(names: list[str], number: int, n_shards: int) -> list[str]:
    """The configurations of one shard: which shard one is in does not depend on the others."""
    return [name for name in names if crc32(name.encode()) % n_shards == number]
