"""What a run was made with and warns of, for those who read its results."""

import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from .fingerprints import checksum
from .whole import whole

# What numbers depend on.
COMPUTING = ("jax", "numpy", "healpy", "ducc0", "pysm3", "camb")
PACKAGES = ("patchsep", "snakemake", *COMPUTING)
# How lines of a run's summary begin that tell where r may be wrong.
WARNING = "WARNING: "


class _InFull(yaml.SafeDumper):
    """Writes what occurs twice twice."""

    def ignore_aliases(self, data):
        return True


def installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def computing_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    return {name: installed_version(name) for name in COMPUTING}


def describe_run(settings: dict) -> dict[str, str]:
    """The `settings` with all defaults, as YAML, and the `versions` of what computes with them."""
    return {
        "settings": yaml.dump(
            settings, Dumper=_InFull, sort_keys=False, width=90, default_flow_style=None
        ),
        "versions": ", ".join(f"{name} {installed_version(name)}" for name in PACKAGES),
    }


def write_provenance(path: str | Path, settings: dict, inputs: Iterable[str | Path]):
    """Write what the results of observed maps go back to, as JSON.

    Parameters
    ----------
    path : str or Path
    settings : dict
        Of the run, with all defaults.
    inputs : iterable of str or Path
        The user's files, such as maps, splits, the instrument's description and masks. Each is
        told by its path as it is given, with its size in `bytes` and its `sha256`.

    Raises
    ------
    FileNotFoundError
        If one of them is not there.
    """
    told = {
        "settings": settings,
        "versions": {name: installed_version(name) for name in PACKAGES},
        "inputs": {
            file: {"bytes": Path(file).stat().st_size, "sha256": checksum(file)}
            for file in sorted(set(map(str, inputs)))
        },
    }
    with whole(path) as temporary:
        temporary.write_text(json.dumps(told, indent=2, ensure_ascii=False), encoding="utf-8")


def warnings_of(summary: str | Path) -> list[str]:
    """What the text of a run's summary warns of; nothing where there is none yet."""
    if not Path(summary).is_file():
        return []
    lines = Path(summary).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(WARNING) for line in lines if line.startswith(WARNING)]
