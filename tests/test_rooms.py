"""The rooms of the package: each imports only those before it, in the order of the data."""

import ast
from itertools import pairwise

import pytest
from workflows import ROOT

PACKAGE = ROOT / "workflow" / "patchsep"
ROOMS = (
    "files",
    "instrument",
    "sky",
    "observation",
    "separation",
    "fields",
    "spectra",
    "skies",
    "inference",
    "analysis",
    "studies",
    "figures",
    "running",
)
MODULES = sorted(PACKAGE.glob("*/*.py"))


def imported_rooms(path):
    """Rooms that a module imports from, wherever in the module it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("patchsep") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("patchsep"), "imports here are relative"
            if node.level == 2:
                names = [node.module] if node.module else [alias.name for alias in node.names]
                yield from (name.split(".")[0] for name in names)


def test_every_module_is_in_a_room():
    assert {path.parent.name for path in MODULES} == set(ROOMS)
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "lazy"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_module_imports_only_rooms_before_its_own(path):
    before = {"lazy", *ROOMS[: ROOMS.index(path.parent.name)]}
    assert set(imported_rooms(path)) <= before


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_no_module_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


SOURCES = [*MODULES, *sorted((ROOT / "scripts").glob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_text_is_utf8_in_every_locale(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            said = {keyword.arg: keyword.value for keyword in node.keywords}
            if name in ("read_text", "write_text", "basicConfig", "FileHandler"):
                assert said["encoding"].value == "utf-8", f"line {node.lineno}"
            # Files are opened by name; FITS has an `open` of its own.
            assert not (isinstance(node.func, ast.Name) and name == "open"), f"line {node.lineno}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_takes_and_hands_on(room):
    said = ast.get_docstring(
        ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    )
    assert said
    assert "ands on" in said
    assert len(list((PACKAGE / room).glob("*.py"))) <= 12


def test_the_rooms_are_those_that_the_docs_list_in_this_order():
    readme = (ROOT / "docs/adding.md").read_text(encoding="utf-8")
    places = [readme.index(f"| `{room}` |") for room in ROOMS]
    assert all(one < other for one, other in pairwise(places))


def test_the_package_that_is_installed_has_every_room():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"patchsep.{room}"' in settings for room in ROOMS)
