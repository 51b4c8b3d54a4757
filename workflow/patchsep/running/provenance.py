"""Provenance: fingerprints of the code and the data that a result depends on.

Snakemake compares the fingerprint of the code with the one that a result was made with, and
a shard that of everything that goes into a fit: what did not change is not computed again,
whatever the time stamps of a new checkout say.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ..files.fingerprints import fingerprint

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
            found[path], imported = _read(path, package)
            waiting += imported
    modules = [found[path] for path in sorted(found, key=lambda path: path.name)]
    return fingerprint(*modules, *(Path(file).read_text(encoding="utf-8") for file in files))


@cache
def _read(path: Path, package: Path) -> tuple[str, tuple[Path, ...]]:
    """Code of a module without comments and docstrings, and the modules that it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body[0].value = ast.Constant(None)
    return ast.unparse(tree), tuple(_imported(tree, path, package))


def _imported(tree: ast.AST, path: Path, package: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = (node.module or "").split(".") if node.module else []
        if node.level:
            # `from .name import …` is of the same room, `from ..room.name import …` of another.
            origin = path.parents[node.level - 1].joinpath(*parts)
        elif parts[:1] == [package.name]:
            origin = package.joinpath(*parts[1:])
        else:
            continue
        # What is imported from a folder are its modules.
        names = [origin / alias.name for alias in node.names] if origin.is_dir() else [origin]
        yield from (name.with_suffix(".py") for name in names if name.stem not in WITHOUT_EFFECT)
