"""Provenance: fingerprints of the code and the data that a result depends on.

Snakemake compares the fingerprint of the code with the one that a result was made with, and
a shard that of everything that goes into a fit: what did not change is not computed again,
whatever the time stamps of a new checkout say.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

# No result depends on what is written to a log, or on when a library is imported.
WITHOUT_EFFECT = {"logs", "lazy"}


def code_fingerprint(script: str | Path, package: str | Path, *files: str | Path) -> str:
    """Fingerprint of a script and of the modules that it imports from the package, and so on.

    Comments, docstrings and layout do not count, nor do modules `WITHOUT_EFFECT`.

    Parameters
    ----------
    script, package : str or Path
        A Python file, and the folder of the package that it imports from.
    files : str or Path
        Other files that count, by their text.

    Raises
    ------
    FileNotFoundError
        If the script, or a module that is imported, does not exist.
    """
    package = Path(package)
    found, waiting = {}, [Path(script)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path], imported = _read(path, package.name)
            waiting += [package / f"{name}.py" for name in imported]
    modules = [found[path] for path in sorted(found, key=lambda path: path.name)]
    return fingerprint(*modules, *(Path(file).read_text(encoding="utf-8") for file in files))


@cache
def _read(path: Path, package: str) -> tuple[str, tuple[str, ...]]:
    """Code of a module without comments and docstrings, and the siblings that it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body[0].value = ast.Constant(None)
    return ast.unparse(tree), tuple(_imported(tree, package))


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        # `from .name import …` in the package, `from patchsep.name import …` in a script.
        origin = f"{package}.{node.module or ''}" if node.level == 1 else node.module or ""
        top, _, module = origin.partition(".")
        if top == package:
            names = [module] if module else [alias.name for alias in node.names]
            yield from (name for name in names if name not in WITHOUT_EFFECT)


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
