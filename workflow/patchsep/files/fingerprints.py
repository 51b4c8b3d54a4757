"""Fingerprints of data: what has the same one is the same."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np

# Of what is sampled of a file.
N_PARTS, PART = 16, 4096


def fingerprint(*parts: np.ndarray | str | int | float | list | dict | None) -> str:
    """Fingerprint of arrays, by dtype, shape and content, and of whatever JSON can write."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part))
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def sampled_content(path: str | Path) -> str:
    """Fingerprint of a large file by its size and parts of it, for what is not changed by hand."""
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        parts = []
        for place in range(N_PARTS):
            file.seek(place * max(size - PART, 0) // (N_PARTS - 1))
            parts.append(file.read(PART))
    return hashlib.sha256(b"".join([str(size).encode(), *parts])).hexdigest()[:16]


@cache
def file_content(path: str | Path) -> str:
    """Fingerprint of a file of any size, which is read once."""
    return checksum(path)[:16]


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, as `sha256sum` tells it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
