"""PySM's presets: of what class their components are, and which template files these read.

This is asked of PySM's table of presets and of the source of its classes, which does not take the
seconds that importing pysm3 does.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Classes, and those that are derived from them, by what they emit in polarization.
EMISSIONS = {
    "dust": ("ModifiedBlackBody", "ModifiedBlackBodyLayers", "HensleyDraine2017"),
    "synchrotron": ("PowerLaw",),
}
CMB = ("CMBMap", "WebSkyCMB", "CMBDipole")
# Classes that have a spectral parameter in one map, by their attribute.
OWNERS = {
    "mbb_index": "ModifiedBlackBody",
    "mbb_temperature": "ModifiedBlackBody",
    "pl_index": "PowerLaw",
    "spectral_curvature": "CurvedPowerLaw",
}
# A template is a path below the folder of PySM's data.
TEMPLATE = re.compile(r"[\w*{][\w.*{}+/-]*/[\w.*{}+-]+\.(fits|fits\.gz|txt|dat|h5)")


@dataclass(frozen=True)
class PySMClass:
    """A class of PySM's models.

    Attributes
    ----------
    bases : list of str
        Names of the classes that it is derived from.
    templates : list of str
        Files that its code names, with `*` for what is filled in; it may not read all of them.
    """

    bases: list[str]
    templates: list[str]


@cache
def presets() -> dict[str, dict]:
    """PySM 3's presets, with the arguments of their components."""
    return tomllib.loads((_folder() / "data" / "presets.cfg").read_text(encoding="utf-8"))


def components(preset: str) -> list[dict]:
    """The components of a preset, each with its `class` and the arguments of that."""
    entry = presets()[preset]
    return [entry] if "class" in entry else list(entry.values())


def is_cmb(preset: str) -> bool:
    return any(_is_a(one["class"], CMB) for one in components(preset))


def emits(preset: str, emission: str) -> bool:
    """Whether a preset has polarized emission of a kind of `EMISSIONS`."""
    return any(
        _is_a(one["class"], EMISSIONS[emission]) and one.get("has_polarization", True)
        for one in components(preset)
    )


def owns(preset: str, attribute: str) -> bool:
    """Whether PySM's component of a preset has a map of a spectral parameter, by its attribute.

    A preset of several components has none of its own.
    """
    one, *others = components(preset)
    return not others and _is_a(one["class"], (OWNERS.get(attribute),))


def templates(preset: str, nside: int) -> list[str]:
    """Files that the table of presets gives to the components of a preset at an nside."""
    return sorted({name for one in components(preset) for name in _of_table(one, nside)})


def templates_in_code(preset: str) -> list[str]:
    """Files that the code of the preset's classes names, with `*`, of which it may read some."""
    names = [one["class"] for one in components(preset)]
    return sorted({template for name in names for template in _of_code(name)})


def local_files(folder: str | Path, template: str) -> list[Path]:
    """The files below a folder that a template may be."""
    return sorted(Path(folder).glob(template))


def _of_table(component, nside) -> Iterator[str]:
    available = component.get("available_nside")
    # As PySM chooses.
    nearest = min(available, key=lambda one: abs(one - nside)) if available else "*"
    for key, value in component.items():
        name = f"{value}/*.fits" if key == "path" else value
        if isinstance(name, str) and TEMPLATE.fullmatch(name):
            yield re.sub(r"\{\w+\}", "*", name.replace("{nside}", str(nearest)))


def _of_code(name) -> list[str]:
    if name not in _classes():
        return []
    known = _classes()[name]
    return [*known.templates, *(path for base in known.bases for path in _of_code(base))]


def _is_a(name, wanted) -> bool:
    if name in wanted:
        return True
    known = _classes().get(name)
    return bool(known) and any(_is_a(base, wanted) for base in known.bases)


@cache
def _classes() -> dict[str, PySMClass]:
    """Classes of PySM's models, by name."""
    classes = {}
    for path in sorted((_folder() / "models").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                classes[node.name] = PySMClass(bases, [*_named(node)])
    return classes


def _named(node) -> Iterator[str]:
    """Templates among the strings of a piece of code."""
    for one in ast.walk(node):
        parts = one.values if isinstance(one, ast.JoinedStr) else [one]
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts)
        if isinstance(one, ast.JoinedStr | ast.Constant) and TEMPLATE.fullmatch(text):
            yield text


def _folder() -> Path:
    return Path(find_spec("pysm3").submodule_search_locations[0])
