"""Schemas of what users write, and what is wrong with it in the words of its reader."""

import json
import math
import os
from copy import deepcopy
from difflib import get_close_matches
from functools import cache
from itertools import chain
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from ..fields.prior import FIELDS, KINDS
from ..figures.registry import FIGURES
from ..inference.selection import CRITERIA
from ..separation.ilc import ILC
from ..separation.patches import STRATEGIES
from ..sky.spectral_model import DUST_AND_SYNCHROTRON, SPECTRA, SpectralModel
from ..spectra.estimator import ESTIMATORS
from ..spectra.pixel_weights import PIXEL_WEIGHTS
from ..studies.published import TAKES

# Beside the package in a checkout, within it where it is installed.
SCHEMAS = [folder / "schemas" for folder in Path(__file__).parents[1:3]]

# What the code has of every kind, by the schema's word for it.
NAMES = {
    "criteria": CRITERIA,
    "estimators": ESTIMATORS,
    "figures": FIGURES,
    "kinds": KINDS,
    "pixel_weights": PIXEL_WEIGHTS,
    "spectra": SPECTRA,
    "strategies": [FIELDS, *STRATEGIES, *ILC],
    "takes": TAKES,
}

# The schema's types in the words of a message.
TYPES = {
    "object": "a section with keys of its own",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number, such as 0.5 or 1.0e-3",
    "string": "text, in quotes where it looks like a number",
    "boolean": "true or false",
}


def _is_whole(_, value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_, value) -> bool:
    return _is_whole(_, value) or (isinstance(value, float) and math.isfinite(value))


# Whole numbers are written without a point; infinity and NaN are no numbers.
Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_whole, "number": _is_number}
    ),
)


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the key, the file and the mend."""


def suggest(name, known) -> str:
    """The known name that was meant, or all there are."""
    by_lower = {str(item).lower(): str(item) for item in known}
    close = get_close_matches(str(name).lower(), by_lower, n=1)
    return (
        f"did you mean {by_lower[close[0]]}?"
        if close
        else f"known are {', '.join(map(str, known))}"
    )


def as_list(values):
    return values if isinstance(values, list) else [values]


def all_of(names) -> str:
    """Names in a sentence: "hi, mid and low"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def raise_problems(problems: list[str], source: str):
    if problems:
        raise SettingsError("\n".join(f"{source}: {problem}" for problem in problems))


@cache
def read_schema(name: str, model: SpectralModel = DUST_AND_SYNCHROTRON) -> dict:
    """A schema of workflow/schemas/, by name, with what the code knows filled in.

    `names: <kind>` is an enumeration of what the code has of a kind, `one_per: parameters` a list
    of as many items as the model has spectral parameters, and `by_parameter: <schema>` a section
    with a key for each.
    """
    paths = (folder / f"{name}.schema.yaml" for folder in SCHEMAS)
    path = next(path for path in paths if path.is_file())
    return _filled(yaml.safe_load(path.read_text(encoding="utf-8")), model)


def _filled(node, model):
    if isinstance(node, list):
        return [_filled(item, model) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _filled(value, model) for key, value in node.items()}
    if isinstance(node.get("names"), str):
        node["enum"] = list(NAMES[node.pop("names")])
    if node.pop("one_per", None) == "parameters":
        node["minItems"] = node["maxItems"] = len(model.names)
    if "by_parameter" in node:
        return _by_parameter(model, **node)
    return node


def _by_parameter(model, by_parameter, defaults=None, all_required=False, **node):
    """Schema of a section with a key for every spectral parameter.

    `defaults` are by name of the parameter, or the attribute of `Parameter` that has them; a
    parameter that they do not name has the default of `by_parameter`.
    """
    properties = {name: dict(by_parameter) for name in model.names}
    if defaults is not None:
        known = defaults if isinstance(defaults, dict) else _of_model(model, defaults)
        for name, of_parameter in properties.items():
            default = known[name] if name in known else by_parameter["default"]
            of_parameter["default"] = list(default) if isinstance(default, tuple) else default
        node.setdefault("default", {})
    required = list(properties) if all_required else []
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    } | node


def _of_model(model, attribute):
    return {parameter.name: getattr(parameter, attribute) for parameter in model.parameters}


def schema_problems(content, schema) -> list[str]:
    errors = sorted(Validator(schema).iter_errors(content), key=lambda e: list(e.path))
    # There is an error for each missing key, and each names all of them.
    return list(dict.fromkeys(chain.from_iterable(map(_explain, errors))))


def _explain(error) -> list[str]:
    """A schema error in the words of its reader."""
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known, renamed = list(error.schema.get("properties", {})), error.schema.get("renamed", {})
        prefix = f"{key}." if key else ""
        return [
            f"{prefix}{name}: is now {prefix}{renamed[name]}; give it that name"
            if name in renamed
            else f"{prefix}{name}: unknown key; {suggest(name, known)}"
            for name in error.instance
            if name not in known
        ]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [f"{key + '.' if key else ''}{name}: missing; add this key" for name in missing]
    if error.validator in ("anyOf", "not", "pattern", "minProperties"):
        about = error.schema.get("description", "see docs/ for what it may be")
        return [f"{key}: {error.instance!r} does not fit here. {' '.join(about.split())}"]
    if error.validator == "enum":
        renamed = error.schema.get("renamed", {}).get(str(error.instance))
        mend = f"it is now {renamed}" if renamed else suggest(error.instance, error.validator_value)
        return [f"{key}: {error.instance!r} is unknown; {mend}"]
    if error.validator == "type":
        needed = TYPES[error.validator_value]
        given = "nothing" if error.instance is None else repr(error.instance)
        return [f"{key or 'the file'}: {given} is given; needed is {needed}"]
    mends = {
        "minimum": "is below {limit}; use {limit} or more",
        "exclusiveMinimum": "must be above {limit}",
        "maximum": "is above {limit}; use {limit} or less",
        "minItems": "has too few entries; at least {limit} are needed",
        "maxItems": "has too many entries; at most {limit} are allowed",
        "uniqueItems": "has an entry twice; give each once",
    }
    if error.validator in mends:
        mend = mends[error.validator].format(limit=error.validator_value)
        return [f"{key or 'the file'}: {error.instance!r} {mend}"]
    return [f"{key}: {error.message}"]


def with_defaults(content, schema):
    """Fill in the defaults of a schema's properties, all the way down, in the schema's order."""
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    complete = {}
    for key, sub_schema in known.items():
        if key in content or "default" in sub_schema:
            value = content.get(key, sub_schema.get("default"))
            complete[key] = _defaults_of(value, sub_schema)
    for key in content:
        if key not in known:
            complete[key] = _defaults_of(content[key], others)
    return complete


def _defaults_of(value, schema):
    if not isinstance(schema, dict):
        return deepcopy(value)
    if schema.get("format") == "path":
        return _expand(value)
    return with_defaults(value, schema) if isinstance(value, dict) else deepcopy(value)


def _expand(path):
    """Paths, in whatever lists and sections, with `~` and `${VARIABLES}` in full; true is none."""
    if isinstance(path, list):
        return list(map(_expand, path))
    if isinstance(path, dict):
        return {name: _expand(own) for name, own in path.items()}
    return os.path.expanduser(os.path.expandvars(path)) if isinstance(path, str) else path


def read_yaml(path):
    """Content of a YAML or JSON file.

    Raises
    ------
    SettingsError
        If it is none, or has a key twice, of which YAML would keep the last.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        # JSON is YAML but for tabs, which are in no string there.
        if _is_json(text):
            text = text.replace("\t", " ")
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        raise_problems(_keys_given_twice(root), path)
        return None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise_problems([f"this is not YAML{where}; see {Path(path).parent} for examples"], path)


def _is_json(text) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _keys_given_twice(root) -> list[str]:
    """Problems of the keys of a composed YAML document, wherever in it they are."""
    problems, seen, waiting = [], set(), [("", root)]
    while waiting:
        prefix, node = waiting.pop()
        # What an anchor names is looked at once, and may contain itself.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(f"{prefix}{number}.", item) for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines = {}
            for key, value in node.value:
                lines.setdefault(str(key.value), []).append(key.start_mark.line + 1)
                waiting.append((f"{prefix}{key.value}.", value))
            problems += [
                f"{prefix}{key}: given {len(given)} times, in lines {all_of(map(str, given))}; "
                "keep one, or give the others another name"
                for key, given in lines.items()
                if len(given) > 1
            ]
    return sorted(problems)
