"""Provenance: what a result depends on, and the records of what made it, kept beside it.

Snakemake compares the fingerprint of the code with the one that a result was made with, and
a shard that of everything that goes into a fit: what did not change is not computed again,
whatever the time stamps of a new checkout say.

Snakemake's records are in `.snakemake/`, apart from the results. A copy of them goes with the
results, and back to where Snakemake looks, so that results that were copied, or whose
`.snakemake/` was removed, are compared like any.
"""

import ast
import gzip
import json
import os
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ..files.fingerprints import fingerprint
from ..files.versions import computing_versions
from ..files.whole import whole

# No result depends on what is written to a log, or on when a library is imported.
WITHOUT_EFFECT = {"jobs", "lazy"}


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


# Copy of Snakemake's records, in the folder of a run; beside it, while the run goes on, a file that
# tells that the copy is not of what lies there.
KEPT, UNDER_WAY = "provenance.json.gz", "provenance.under_way"
SNAKEMAKE = Path(".snakemake")
# Below the folder of a run, what no rule has for its output.
NO_OUTPUT = {"logs", "benchmarks", "configurations", KEPT, UNDER_WAY}


def begin_run(results: str | Path):
    """Tell that records in the folder of a run are old from now on, until `keep_records`."""
    Path(results).mkdir(parents=True, exist_ok=True)
    (Path(results) / UNDER_WAY).touch()


def keep_records(results: str | Path, snakemake: Path = SNAKEMAKE) -> dict[str, dict]:
    """Copy Snakemake's records of what made the files of a run into the run's folder.

    A record that is new there gets the versions of what computes. Returns what is kept, by the
    name in Snakemake's folder.

    Raises
    ------
    OSError
        If the run's folder cannot be written.
    """
    before, now = _kept(results), computing_versions()
    records = {}
    for name, path in _recorded(results, snakemake).items():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        # Cut off while it was written. To Snakemake, too, it is none.
        except ValueError:
            continue
        known = before.get(name, {})
        made_with = known["versions"] if known.get("record") == record else now
        records[name] = {"record": record, "versions": made_with}
    if records:
        with whole(Path(results) / KEPT) as temporary:
            temporary.write_bytes(gzip.compress(json.dumps(records).encode(), mtime=0))
        (Path(results) / UNDER_WAY).unlink(missing_ok=True)
    return records


def compare_records(results: str | Path, snakemake: Path = SNAKEMAKE) -> list[str]:
    """Let Snakemake know of every file of a run what made it; returns what it cannot know.

    Records that Snakemake lacks are restored from those kept with the results; those that it has
    and that are not kept are kept. Warnings are of files without a record, of files that were made
    with other versions of what computes, and of records that cannot be kept. Nothing is done while
    Snakemake is at work here.
    """
    results = Path(results)
    if any((snakemake / "locks").glob("*")):
        return []
    kept = {} if (results / UNDER_WAY).exists() else _kept(results)
    time = (results / KEPT).stat().st_mtime if kept else 0.0
    for name, known in kept.items():
        path = snakemake / "metadata" / name
        if not path.exists() and Path(_output(name)).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            (snakemake / "incomplete").mkdir(exist_ok=True)
            path.write_text(json.dumps(known["record"]), encoding="utf-8")
            os.utime(path, (time, time))
    recorded = _recorded(results, snakemake)
    if any(name not in kept or path.stat().st_mtime > time for name, path in recorded.items()):
        try:
            kept = keep_records(results, snakemake)
        # Results that are only looked at may be someone else's.
        except OSError as error:
            return [f"what made the files in {results} cannot be recorded beside them: {error}"]
    # Snakemake itself asks what to do with a file that was being made.
    known = {_output(name) for name in (*kept, *_names(snakemake / "incomplete"))}
    return _without_record(results, known) + _with_other_versions(results, kept)


def _without_record(results, known) -> list[str]:
    files = sorted(
        str(path)
        for path in results.rglob("*")
        if path.is_file()
        and not NO_OUTPUT & set(path.relative_to(results).parts)
        # Set aside by `files.whole`, or what a killed job was writing.
        and not (path.suffix == ".damaged" or path.name.startswith("."))
    )
    unknown = [name for name in files if name not in known]
    if not unknown:
        return []
    return [
        f"nothing tells what made {len(unknown)} of the {len(files)} files in {results}, such as "
        f"{unknown[0]}, so that they are not made again for a changed setting. If they were "
        f"copied, copy {KEPT} with them. Remove them to make them anew; if they are of this very "
        "configuration, run the same command with --touch --forceall once"
    ]


def _with_other_versions(results, kept) -> list[str]:
    now, others = computing_versions(), {}
    for name, known in kept.items():
        if known["versions"] != now and os.path.exists(_output(name)):
            for package, version in known["versions"].items():
                if version != now.get(package):
                    others.setdefault((package, version), []).append(name)
    return [
        f"{len(names)} of the files in {results} were made with {package} {version}, and here is "
        f"{now.get(package)}. They are kept; to make all anew, run the same command with --forceall"
        for (package, version), names in sorted(others.items())
    ]


def _kept(results) -> dict[str, dict]:
    """Records that are kept with a run, by their name in Snakemake's folder."""
    path = Path(results) / KEPT
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    # A copy that was cut off is none, and files without a record are told.
    except (FileNotFoundError, gzip.BadGzipFile, EOFError, ValueError, zlib.error):
        return {}


def _recorded(results, snakemake) -> dict[str, Path]:
    """Snakemake's records of the files that a run has, by their name in Snakemake's folder."""
    # The record of a file that is being made anew is that of the old one.
    unfinished = set(_names(snakemake / "incomplete"))
    folder = snakemake / "metadata"
    return {
        name: folder / name
        for name in _names(folder)
        if _output(name).startswith(f"{results}/")
        and name not in unfinished
        and os.path.exists(_output(name))
    }


def _names(folder) -> Iterator[str]:
    """Names of the files in one of Snakemake's folders; there may be very many."""
    for root, _, files in os.walk(folder):
        within = os.path.relpath(root, folder)
        yield from (name if within == "." else f"{within}/{name}" for name in files)


def _output(name) -> str:
    """The file that a record is of, which Snakemake has in the record's name."""
    *folders, last = name.split("/")
    return urlsafe_b64decode("".join([*(one[1:] for one in folders), last])).decode()
