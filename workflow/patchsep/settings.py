"""Settings: the configuration, checked as a whole before the first job runs."""

import os
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from .patches import PARAMETERS, STRATEGIES
from .regions import RINGS, find_mask_file, mask_columns

SCHEMAS = Path(__file__).parents[1] / "schemas"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the key, the file and the mend."""


def load_settings(config: dict, source: str) -> dict:
    """Check a configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        Content of the configuration file(s).
    source : str
        Name of the file(s), for messages.

    Returns
    -------
    dict
        The settings, complete; every method has, per ring and parameter, a list of values.

    Raises
    ------
    SettingsError
        With one line for each thing that is wrong.
    """
    schema = read_schema("config")
    problems = _schema_problems(config, schema)
    if not problems:
        settings = _with_defaults(config, schema)
        for name, method in settings["methods"].items():
            problems += _method_problems(f"methods.{name}", method, settings["nside"])
        problems += _fit_problems(settings["fit"])
        problems += _nside_problems(settings["nside"])
    if not problems:
        problems += _foreground_problems(settings["foregrounds"]["model"], settings["nside"])
        problems += _region_problems(settings["regions"], settings["nside"])
    _raise(problems, source)
    _check_instrument(settings["instrument"], source)
    for method in settings["methods"].values():
        method["patches"] = _complete_patches(method)
    return settings


def read_schema(name: str) -> dict:
    """A schema of workflow/schemas/, by name."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text())


def _raise(problems: list[str], source: str):
    if problems:
        raise SettingsError("\n".join(f"{source}: {problem}" for problem in problems))


def _schema_problems(content, schema) -> list[str]:
    errors = Draft202012Validator(schema).iter_errors(content)
    return list(chain.from_iterable(map(_explain, sorted(errors, key=lambda e: list(e.path)))))


def _explain(error) -> list[str]:
    """A schema error in the words of its reader."""
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        prefix = f"{key}." if key else ""
        return [
            f"{prefix}{name}: unknown key; {_suggest(name, known)}"
            for name in error.instance
            if name not in known
        ]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [f"{key + '.' if key else ''}{name}: missing; add this key" for name in missing[:1]]
    if error.validator == "anyOf":
        about = error.schema.get("description", "see config/README.md for what it may be")
        return [f"{key}: {error.instance!r} does not fit here. {' '.join(about.split())}"]
    if error.validator == "enum":
        return [f"{key}: {error.instance!r}; {_suggest(error.instance, error.validator_value)}"]
    mends = {
        "minimum": "is below {limit}; use {limit} or more",
        "exclusiveMinimum": "must be above {limit}",
        "maximum": "is above {limit}; use {limit} or less",
        "type": "must be of type {limit}",
        "minItems": "has too few entries; at least {limit} are needed",
        "maxItems": "has too many entries; at most {limit} are allowed",
    }
    if error.validator in mends:
        mend = mends[error.validator].format(limit=error.validator_value)
        return [f"{key or 'the file'}: {error.instance!r} {mend}"]
    return [f"{key}: {error.message}"]


def _suggest(name, known) -> str:
    close = get_close_matches(str(name), [str(item) for item in known], n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(map(str, known))}"


def _with_defaults(content, schema):
    """Fill in the defaults of a schema's properties, all the way down."""
    content = deepcopy(content)
    for key, sub_schema in schema.get("properties", {}).items():
        if key not in content and "default" in sub_schema:
            content[key] = deepcopy(sub_schema["default"])
        if isinstance(content.get(key), dict):
            content[key] = _with_defaults(content[key], sub_schema)
    for key in set(content) - set(schema.get("properties", {})):
        if isinstance(schema.get("additionalProperties"), dict):
            content[key] = _with_defaults(content[key], schema["additionalProperties"])
    return content


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _nside_problems(nside) -> list[str]:
    if _power_of_two(nside):
        return []
    lower = 1 << (nside.bit_length() - 1)
    return [f"nside: {nside} is not a power of two; use {lower} or {2 * lower}"]


def _method_problems(key, method, nside) -> list[str]:
    strategy = method["strategy"]
    if strategy not in STRATEGIES:
        return [f"{key}.strategy: unknown strategy {strategy!r}; {_suggest(strategy, STRATEGIES)}"]
    if strategy == "uniform":
        return [f"{key}.patches: uniform is one patch; remove this key"] * ("patches" in method)
    if "patches" not in method:
        return [f"{key}.patches: missing; give hi, mid and low"]
    problems = []
    for ring, settings in method["patches"].items():
        for parameter, values in settings.items():
            where = f"{key}.patches.{ring}.{parameter}"
            for value in _as_list(values):
                if strategy == "kmeans" and value < 1:
                    problems.append(f"{where}: {value} patches; use 1 or more")
                if strategy == "multiresolution" and value != 0:
                    if not _power_of_two(value):
                        problems.append(f"{where}: nside {value} is neither 0 nor a power of two")
                    elif value > nside:
                        problems.append(
                            f"{where}: nside {value} is finer than the maps; use {nside} or less"
                        )
    return problems


def _as_list(values):
    return values if isinstance(values, list) else [values]


def _complete_patches(method) -> dict[str, dict[str, list[int]]]:
    """Lists of values for every ring and parameter; uniform has the value 1."""
    patches = method.get("patches", {ring: dict.fromkeys(PARAMETERS, 1) for ring in RINGS})
    return {
        ring: {parameter: _as_list(settings[parameter]) for parameter in PARAMETERS}
        for ring, settings in patches.items()
    }


def _fit_problems(fit) -> list[str]:
    problems = []
    for parameter in PARAMETERS:
        (lower, upper), start = fit["bounds"][parameter], fit["start"][parameter]
        if not lower < upper:
            problems.append(
                f"fit.bounds.{parameter}: [{lower}, {upper}]; give the lower bound first"
            )
        elif not lower < start < upper:
            problems.append(
                f"fit.start.{parameter}: {start} is not inside the bounds {lower} … {upper}"
            )
    return problems


def _foreground_problems(model, nside) -> list[str]:
    if model == "embedded":
        return []
    presets = pysm_presets()
    unknown = [preset for preset in model if preset not in presets]
    if unknown:
        return [
            f"foregrounds.model: PySM has no preset {name!r}; {_suggest(name, presets)}"
            for name in unknown
        ]
    local = os.environ.get("PYSM_LOCAL_DATA")
    if not local:
        return []
    templates = set(chain.from_iterable(_templates(presets[preset]) for preset in model))
    problems = []
    for template in sorted(templates):
        path = Path(local) / template
        if not path.is_file():
            problems.append(
                f"foregrounds.model: {path} does not exist; choose presets that PYSM_LOCAL_DATA "
                "holds, or unset it to let PySM download them"
            )
        elif (available := _fits_nside(path)) < nside:
            problems.append(
                f"nside: {nside} is above the {available} of the template {path}; "
                f"use {available} or less"
            )
    return problems


def pysm_presets() -> dict[str, dict]:
    """PySM 3's presets, read without the seconds that importing pysm3 takes."""
    folder = Path(find_spec("pysm3").submodule_search_locations[0])
    return tomllib.loads((folder / "data" / "presets.cfg").read_text())


def _templates(component) -> Iterator[str]:
    """Template files of a preset; those that PySM stores per nside are left to PySM."""
    for value in component.values():
        if isinstance(value, dict):
            yield from _templates(value)
        elif isinstance(value, str) and value.endswith(".fits") and "{nside}" not in value:
            yield value


def _fits_nside(path) -> int:
    from astropy.io import fits

    return fits.getheader(path, 1)["NSIDE"]


def _region_problems(regions, nside) -> list[str]:
    if regions["method"] == "dust_intensity":
        fractions = regions["sky_fractions"]
        if sorted(set(fractions)) == fractions:
            return []
        return [f"regions.sky_fractions: {fractions} are cumulative and must increase"]
    path = find_mask_file(regions["mask_file"])
    if path is None:
        tried = " nor ".join(str(candidate) for candidate in _as_list(regions["mask_file"]))
        return [
            f"regions.mask_file: found no {tried}; download Planck's Galactic masks (README, "
            "Planck regions) or use regions.method dust_intensity"
        ]
    available = mask_columns(path)
    problems = []
    for name in regions["masks"]:
        if name not in available:
            problems.append(
                f"regions.masks: {path} has no mask {name!r}; {_suggest(name, available)}"
            )
        elif available[name] < nside:
            problems.append(
                f"nside: {nside} is above the {available[name]} of mask {name} in {path}; "
                f"use {available[name]} or less"
            )
    return problems


def _check_instrument(path, source):
    if not Path(path).is_file():
        folder = Path(path).parent
        known = sorted(str(file) for file in folder.glob("*.yaml"))
        _raise([f"instrument: {path} does not exist; {_suggest(path, known)}"], source)
    content = yaml.safe_load(Path(path).read_text())
    problems = _schema_problems(content, read_schema("instrument"))
    if not problems:
        n_bands = len(content["frequency"])
        problems = [
            f"{key}: {len(content[key])} values for {n_bands} bands in frequency; give one per band"
            for key in ("depth_p", "beam")
            if len(content[key]) != n_bands
        ]
    _raise(problems, path)
