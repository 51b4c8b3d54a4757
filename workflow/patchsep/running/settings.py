"""Settings: the configuration, checked as a whole before the first job runs."""

import json
import math
import os
from copy import deepcopy
from functools import cache
from itertools import chain
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from ..fields.prior import KINDS
from ..figures.registry import FIGURES
from ..inference.selection import CRITERIA
from ..separation.ilc import FEWEST_BANDS, ILC
from ..separation.patches import STRATEGIES
from ..sky.regions import region_names
from ..sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL
from ..spectra.estimator import ESTIMATORS
from ..spectra.pixel_weights import PIXEL_WEIGHTS
from ..studies.published import TAKES
from .checks import FIELDS, cross_check
from .data_checks import data_problems
from .messages import all_of, as_list, suggest

# Beside the package in a checkout, within it where it is installed.
SCHEMAS = [folder / "schemas" for folder in Path(__file__).parents[1:3]]

# What the code has of every kind, by the schema's word for it.
NAMES = {
    "criteria": CRITERIA,
    "estimators": ESTIMATORS,
    "figures": FIGURES,
    "kinds": KINDS,
    "parameters": MODEL.names,
    "pixel_weights": PIXEL_WEIGHTS,
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


def load_settings(config: dict, source: str, with_data: bool = True) -> dict:
    """Check a configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        Content of the configuration file(s).
    source : str
        Name of the file(s), for messages.
    with_data : bool
        Whether masks and templates are read to see if they can be used, which takes seconds where
        they are fine: once for a run is enough.

    Returns
    -------
    dict
        The settings, complete; every method has, per ring, a list of scans, each with a list of
        values per parameter. `~` and `${VARIABLES}` of paths are expanded.

    Raises
    ------
    SettingsError
        With one line for each thing that is wrong.
    """
    schema = read_schema("config")
    config = _with_text_keys(config)
    problems = _schema_problems(config, schema)
    if not problems:
        settings = _with_defaults(config, schema)
        regions = settings["regions"]
        for method in settings["methods"].values():
            maps = method.setdefault("maps", {})
            # Quoted or not, as a truth value of YAML.
            maps |= {name: "true" if path is True else path for name, path in maps.items()}
        for section in ("benchmark", "search"):
            last = region_names(regions["rings"], regions["split_hemispheres"])[-1]
            settings[section].setdefault("region", last)
        problems = cross_check(settings)
        if with_data and not problems:
            problems = data_problems(settings)
    _raise(problems, source)
    _check_instrument(settings["instrument"], settings["methods"], source)
    _check_published(settings["published"], source)
    for method in settings["methods"].values():
        method["patches"] = _complete_patches(method, regions["rings"])
        method.setdefault("recovered_by", None)
    settings["likelihood"]["theory"] = as_list(settings["likelihood"]["theory"])
    for test_set in settings["test_sets"].values():
        test_set.setdefault("r", settings["cmb"]["r"])
        test_set.setdefault("methods", list(settings["methods"]))
    return settings


@cache
def read_schema(name: str) -> dict:
    """A schema of workflow/schemas/, by name, with what the code knows filled in.

    `names: <kind>` is an enumeration of what the code has of a kind, `one_per: <kind>` a list of as
    many items, and `by_parameter: <schema>` a section with a key for every spectral parameter.
    """
    paths = (folder / f"{name}.schema.yaml" for folder in SCHEMAS)
    path = next(path for path in paths if path.is_file())
    return _filled(yaml.safe_load(path.read_text(encoding="utf-8")))


def _filled(node):
    if isinstance(node, list):
        return [_filled(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _filled(value) for key, value in node.items()}
    if isinstance(node.get("names"), str):
        node["enum"] = list(NAMES[node.pop("names")])
    if isinstance(node.get("one_per"), str):
        node["minItems"] = node["maxItems"] = len(NAMES[node.pop("one_per")])
    if "by_parameter" in node:
        return _by_parameter(**node)
    return node


def _by_parameter(by_parameter, defaults=None, all_required=False, **node):
    """Schema of a section with a key for every spectral parameter.

    `defaults` are by name of the parameter, or the attribute of `Parameter` that has them; a
    parameter that they do not name has the default of `by_parameter`.
    """
    properties = {name: dict(by_parameter) for name in MODEL.names}
    if defaults is not None:
        known = defaults if isinstance(defaults, dict) else _of_model(defaults)
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


def _of_model(attribute):
    return {parameter.name: getattr(parameter, attribute) for parameter in MODEL.parameters}


def _with_text_keys(content):
    """YAML reads keys such as 1 and yes as numbers and truth values."""
    if isinstance(content, dict):
        return {str(key): _with_text_keys(value) for key, value in content.items()}
    return content


def _raise(problems: list[str], source: str):
    if problems:
        raise SettingsError("\n".join(f"{source}: {problem}" for problem in problems))


def _schema_problems(content, schema) -> list[str]:
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


def _with_defaults(content, schema):
    """Fill in the defaults of a schema's properties, all the way down, in the schema's order."""
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    complete = {}
    for key, sub_schema in known.items():
        if key in content or "default" in sub_schema:
            value = content.get(key, sub_schema.get("default"))
            complete[key] = _with_defaults_of(value, sub_schema)
    for key in content:
        if key not in known:
            complete[key] = _with_defaults_of(content[key], others)
    return complete


def _with_defaults_of(value, schema):
    if not isinstance(schema, dict):
        return deepcopy(value)
    if schema.get("format") == "path":
        return [_expand(path) for path in value] if isinstance(value, list) else _expand(value)
    return _with_defaults(value, schema) if isinstance(value, dict) else deepcopy(value)


def _expand(path):
    """A path with `~` and `${VARIABLES}` of the environment in full; true is none."""
    return os.path.expanduser(os.path.expandvars(path)) if isinstance(path, str) else path


def _complete_patches(method, rings) -> dict[str, list[dict[str, list[int]]]]:
    """Scans of every ring, with lists of values for every parameter; uniform has the value 1."""
    patches = method.get("patches", {ring: dict.fromkeys(MODEL.names, 1) for ring in rings})
    return {
        ring: [
            {parameter: as_list(scan[parameter]) for parameter in MODEL.names}
            for scan in as_list(patches[ring])
        ]
        for ring in rings
    }


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
        _raise(_keys_given_twice(root), path)
        return None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        _raise([f"this is not YAML{where}; see {Path(path).parent} for examples"], path)


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


def _check_instrument(path, methods, source):
    if not Path(path).is_file():
        known = sorted(map(str, Path("config/instruments").glob("*.yaml")))
        mend = suggest(path, known) if known else "paths are relative to the working directory"
        _raise([f"instrument: {path!r} is not a file; {mend}"], source)
    content = read_yaml(path)
    problems = _schema_problems(content, read_schema("instrument"))
    if not problems:
        n_bands = len(content["frequency"])
        problems = [
            f"{key}: {len(content[key])} values for {n_bands} bands in frequency; give one per band"
            for key in ("depth_p", "beam")
            if len(content[key]) != n_bands
        ]
    _raise(problems, path)
    problems = [
        f"methods.{name}.strategy: {one['strategy']} needs {fewest} bands or more, and {path} has "
        f"{n_bands}; remove this method, or use another instrument"
        for name, one in methods.items()
        if (fewest := FEWEST_BANDS.get(one["strategy"], 0)) > n_bands
    ]
    _raise(problems, source)


def _check_published(path, source):
    if not path:
        return
    if not Path(path).is_file():
        mend = "remove this key, or see config/published/ for an example"
        _raise([f"published: {path!r} is not a file; {mend}"], source)
    _raise(_schema_problems(read_yaml(path), read_schema("published")), path)
