"""The pages of the configuration, the configuration's schema and the shipped files say the same."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from patchsep.running.schema import read_schema
from patchsep.running.settings import load_settings
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

ROOT = Path(__file__).parents[1]
CONFIG_FILES = sorted((ROOT / "config").glob("*.yaml"))
MODEL_FILES = sorted((ROOT / "config/models").glob("*.yaml"))
# In these sections of a method all parameters have the same row.
BY_PARAMETER = {"patches", "maps", "errors", "parameters", "n_patches"}
FREE = dict.fromkeys(DUST_AND_SYNCHROTRON.names, "<parameter>")
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def schema_keys():
    """Full dotted path of every leaf key of the schema, and what the documentation states.

    That is the default, or whether the key is required.
    """
    schema = read_schema("config")
    keys = {}

    def resolved(node):
        node = dict(node)
        if "$ref" in node:
            return resolved(schema["$defs"][node.pop("$ref").rsplit("/", 1)[1]] | node)
        # Of what may be a list of several: one.
        return resolved(node.pop("else") | node) if "else" in node else node

    def walk(node, path, required):
        node = resolved(node)
        if isinstance(node.get("additionalProperties"), dict):
            # Rings have the names that the configuration gives them, as methods and sets have.
            own = "<ring>" if path[-1:] == ["patches"] else "<name>"
            walk(node["additionalProperties"], [*path, own], False)
        elif "properties" in node:
            for name, child in node["properties"].items():
                own = FREE.get(name, name) if BY_PARAMETER & set(path) else name
                walk(child, [*path, own], name in node.get("required", []))
        else:
            without = "required" if required else "–"
            keys[".".join(path)] = node.get("default", without)

    walk(schema, [], False)
    return keys


def readme_rows():
    """Rows of keys of all pages: (unit, default, meaning) by key."""
    pages = sorted((ROOT / "docs").glob("configuration-*.md"))
    rows = [row for page in pages for row in ROW.findall(page.read_text(encoding="utf-8"))]
    assert len({key for key, *_ in rows}) == len(rows), "a key has two rows"
    return {key: cells for key, *cells in rows}


@pytest.mark.parametrize(("key", "default"), schema_keys().items())
def test_every_key_is_documented_with_its_default(key, default):
    _, stated, _ = readme_rows()[key]
    assert yaml.safe_load(stated.strip("`")) == default


def test_every_documented_key_exists():
    assert set(readme_rows()) == set(schema_keys())


def test_every_key_has_a_unit_and_a_meaning():
    for unit, _, meaning in readme_rows().values():
        assert unit and meaning.endswith(".")


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.name)
def test_every_shipped_configuration_can_be_used(path, monkeypatch, request):
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(path.read_text())
    monkeypatch.delenv("PYSM_LOCAL_DATA", raising=False)
    # Of `community.yaml` PySM downloads templates.
    if config["foregrounds"]["model"] != "embedded" and path.stem != "community":
        shared = request.getfixturevalue("shared")
        monkeypatch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
    # As in the environment that it asks for.
    monkeypatch.setattr("patchsep.running.checks.find_spec", lambda name: True)
    assert load_settings(config, str(path))["run"]


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.name)
def test_every_shipped_configuration_is_named_in_the_readme(path):
    assert f"`{path.name}`" in (ROOT / "config/README.md").read_text()


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.name)
def test_every_shipped_model_can_be_laid_over_its_configuration(path, monkeypatch):
    """As Snakemake merges files: the first word of the model's name is its configuration's."""
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((ROOT / f"config/{path.stem.split('_')[0]}.yaml").read_text())
    update_config(config, yaml.safe_load(path.read_text()))
    assert load_settings(config, str(path))["run"] == path.stem
    assert f"`models/{path.name}`" in (ROOT / "config/README.md").read_text()
