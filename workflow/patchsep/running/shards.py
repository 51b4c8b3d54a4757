"""Shards: how the fits of a method in a region are divided into jobs.

A shard has some of the configurations and some of the realisations.
"""

from zlib import crc32


def chunks(n_realizations: int, per_chunk: int) -> dict[str, list[int]]:
    """The realisations of a run, cut into chunks, by name."""
    firsts = range(0, n_realizations, per_chunk)
    members = [list(range(first, min(first + per_chunk, n_realizations))) for first in firsts]
    return {f"realizations-{chunk[0]:05d}-{chunk[-1]:05d}": chunk for chunk in members}


def part_of(names: list[str], part: int, n_parts: int) -> list[str]:
    """The configurations of one part: which part one is in does not depend on the others."""
    return [name for name in names if crc32(name.encode()) % n_parts == part]
