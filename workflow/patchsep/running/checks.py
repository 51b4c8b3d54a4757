"""What a configuration must be that a schema cannot say: settings that must fit together.

Every check returns problems in the user's words, each with its key and the mend.
"""

import math
import os
import re
import tomllib
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from ..separation.patches import GUIDED, STRATEGIES, TEMPLATED
from ..sky.regions import FULL_SKY, find_mask_file, mask_columns, region_names
from ..sky.spectral_model import PARAMETERS

# Figures of methods that not every configuration has.
NEEDED_STRATEGIES = {
    "kmeans_patches": "kmeans",
    "binned_patches": "recovered_parameters",
    "binned_spectra": "recovered_parameters",
    "template_errors": "template",
}


# Criteria that only fits to every realisation can tell.
OF_FITS = ("information", "evidence", "held_out")


def cross_check(settings: dict) -> list[str]:
    """Problems of complete settings, one line each; those of the sky only where all else fits."""
    methods, criteria = settings["methods"], settings["choice"]["criteria"]
    zones, nside = settings["regions"]["zones"], settings["nside"]
    problems = []
    for name, method in methods.items():
        problems += _method_problems(f"methods.{name}", method, nside)
    problems += _source_problems(methods)
    problems += _fit_problems(settings["fit"], criteria)
    problems += _shrinkage_problems(methods, criteria)
    problems += _nside_problems(nside)
    problems += _benchmark_problems(settings["benchmark"], zones)
    problems += _search_problems(settings["search"], zones)
    if problems:
        return problems
    problems += _judging_problems(settings)
    problems += _rehearsal_problems(settings)
    problems += _figure_problems(settings)
    for key, sky in {"": settings, **_judging_sets(settings)}.items():
        if "foregrounds" in sky:
            model = sky["foregrounds"]["model"]
            problems += _foreground_problems(f"{key}foregrounds", model, nside)
    return problems + _region_problems(settings["regions"], nside)


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _nside_problems(nside) -> list[str]:
    if _power_of_two(nside):
        return []
    lower = 1 << (nside.bit_length() - 1)
    return [f"nside: {nside} is not a power of two; use {lower} or {2 * lower}"]


def _method_problems(key, method, nside) -> list[str]:
    strategy = method["strategy"]
    known = [*STRATEGIES, *GUIDED]
    if strategy not in known:
        return [f"{key}.strategy: unknown strategy {strategy!r}; {suggest(strategy, known)}"]
    problems = [
        f"{key}.{name}: only for kmeans and template_kmeans, which draw at random; remove it"
        for name, only in (("members", 1), ("own_patches", False))
        if strategy not in ("kmeans", "template_kmeans") and method[name] != only
    ]
    problems += _template_problems(key, method)
    if strategy == "uniform":
        if "patches" in method:
            problems.append(f"{key}.patches: uniform is one patch; remove this key")
        return problems
    if "patches" not in method:
        return [*problems, f"{key}.patches: missing; give hi, mid and low"]
    for ring, parameter, value in _patch_values(method["patches"]):
        where = f"{key}.patches.{ring}.{parameter}"
        if strategy in ("kmeans", *GUIDED) and value < 1:
            problems.append(f"{where}: {value} patches; use 1 or more")
        if strategy == "multiresolution" and value != 0:
            if not _power_of_two(value):
                problems.append(f"{where}: nside {value} is neither 0 nor a power of two")
            elif value > nside:
                problems.append(
                    f"{where}: nside {value} is finer than the maps; use {nside} or less"
                )
    return problems


def _template_problems(key, method) -> list[str]:
    maps, errors = method["maps"], method["errors"]
    if method["strategy"] not in TEMPLATED:
        return [
            f"{key}.{name}: only for {' and '.join(TEMPLATED)}; remove this key"
            for name, given in (
                ("maps", maps),
                ("errors", errors),
                ("smoothing", method["smoothing"]),
                ("template_weight", method["template_weight"]),
            )
            if given
        ]
    if not maps:
        return [f"{key}.maps: missing; give a HEALPix map of one parameter or more"]
    files = [
        f"{key}.maps.{name}: {path!r} is not a file; give the path of a HEALPix map, or true"
        for name, path in maps.items()
        if path != "true" and not Path(path).is_file()
    ]
    return files + [
        f"{key}.errors.{name}: there is no map of it; add it to {key}.maps or remove this key"
        for name in errors
        if name not in maps
    ]


def _patch_values(patches):
    for ring, scans in patches.items():
        for scan in as_list(scans):
            for parameter, values in scan.items():
                yield from ((ring, parameter, value) for value in as_list(values))


def _source_problems(methods) -> list[str]:
    """Where patches follow recovered parameters, another method recovers them."""
    problems = []
    for name, method in methods.items():
        key, source = f"methods.{name}.recovered_by", method.get("recovered_by")
        if method["strategy"] != "recovered_parameters":
            if source is not None:
                problems.append(f"{key}: only for recovered_parameters; remove this key")
            continue
        known = [n for n, m in methods.items() if m["strategy"] != "recovered_parameters"]
        if source is None:
            problems.append(f"{key}: missing; name another method, one of {', '.join(known)}")
        elif source not in known:
            problems.append(f"{key}: {source!r} is no method that it can follow; known are {known}")
    return problems


def _fit_problems(fit, criteria) -> list[str]:
    problems = [
        f"choice.criteria: {criterion} needs a fit of every realisation; remove it, or set "
        "fit.propagation to nonlinear"
        for criterion in criteria
        if fit["propagation"] == "linear" and criterion in OF_FITS
    ]
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


def _shrinkage_problems(methods, criteria) -> list[str]:
    return [
        f"methods.{name}.shrinkage: {criterion} counts free parameters, and cannot choose among "
        "shrunk ones; use other choice.criteria, or one configuration per ring"
        for name, method in methods.items()
        if method["shrinkage"] and len(list(_patch_values(method.get("patches", {})))) > 9
        for criterion in criteria
        if criterion in ("information", "evidence")
    ]


def _search_problems(search, zones) -> list[str]:
    region, known = search["region"], region_names(zones)
    if region in known:
        return []
    return [f"search.region: there is no {region!r}; {suggest(region, known)}"]


def _benchmark_problems(benchmark, zones) -> list[str]:
    region, known = benchmark["region"], [*region_names(zones), FULL_SKY]
    if region not in known:
        return [f"benchmark.region: there is no {region!r}; {suggest(region, known)}"]
    if "furax_active_set" not in benchmark["optimizers"] or find_spec("furax_cs"):
        return []
    return [
        "benchmark.optimizers.furax_active_set: furax-cs is not installed; run "
        "pip install -r envs/peers.txt, or remove this key"
    ]


def _figure_problems(settings) -> list[str]:
    figures, methods = settings["figures"], settings["methods"]
    strategies = {method["strategy"] for method in methods.values()}
    problems = [
        f"figures.drawn: {figure} needs a method of strategy {strategy}; add one, or name what it "
        f"shows in figures.methods.{figure}"
        for figure, strategy in NEEDED_STRATEGIES.items()
        if figure in figures["drawn"]
        and figure not in figures["methods"]
        and strategy not in strategies
    ]
    for key, known in (("methods", methods), ("sets", ["choosing", *settings["judging"]])):
        problems += [
            f"figures.{key}.{figure}: there is no {name!r}; {suggest(name, known)}"
            for figure, names in figures[key].items()
            for name in names
            if name not in known
        ]
    return problems


def _judging_sets(settings) -> dict[str, dict]:
    return {f"judging.{name}.": judged for name, judged in settings["judging"].items()}


def _judging_problems(settings) -> list[str]:
    """A choice is judged on what it has not seen."""
    seen = {
        "cmb_seeds": {settings["cmb"]["seed"]: "cmb.seed"},
        "noise_seeds": {
            **_rehearsal_seeds(settings),
            settings["noise"]["seed"]: "noise.seed",
        },
        "patch_seeds": {
            method["seed"]: f"methods.{name}.seed"
            for name, method in settings["methods"].items()
            if method["strategy"] == "kmeans"
        },
    }
    problems = []
    for prefix, judged in _judging_sets(settings).items():
        problems += [
            f"{prefix}{key}: {seed} is also {used[seed]}, with which the choice is made; "
            "judge with another"
            for key, used in seen.items()
            for seed in judged[key]
            if seed in used
        ]
        problems += [
            f"{prefix}methods: there is no method {name!r}; {suggest(name, settings['methods'])}"
            for name in judged.get("methods", [])
            if name not in settings["methods"]
        ]
        lengths = {key: len(judged[key]) for key in seen}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{n} {key}" for key, n in lengths.items())
            problems.append(f"{prefix}cmb_seeds: {counts}; give one of each per trial")
    return problems


def _rehearsal_seeds(settings) -> dict[int, str]:
    if "rehearsal" not in settings["choice"]["criteria"]:
        return {}
    rehearsal = settings["rehearsal"]
    return {rehearsal["seed"] + number: "rehearsal.seed" for number in range(rehearsal["skies"])}


def _rehearsal_problems(settings) -> list[str]:
    """Patches that follow a sky's own parameters say nothing of skies with others."""
    if "marginalised" not in settings["likelihood"]["foreground_residual"]:
        return []
    return [
        f"likelihood.foreground_residual: patches of methods.{name} follow the observed sky's own "
        "parameters and cannot be rehearsed; remove marginalised, or the method"
        for name, method in settings["methods"].items()
        if method["strategy"] in ("true_parameters", "recovered_parameters")
    ]


def _foreground_problems(key, model, nside) -> list[str]:
    if model == "embedded":
        return []
    presets = pysm_presets()
    unknown = [preset for preset in model if preset not in presets]
    if unknown:
        return [
            f"{key}.model: PySM has no preset {name!r}; {suggest(name, presets)}"
            for name in unknown
        ]
    cmb = [name for name in model if re.fullmatch(r"c\d", name)]
    if cmb:
        return [f"{key}.model: {name} is a CMB; remove it, cmb describes it" for name in cmb]
    local = os.environ.get("PYSM_LOCAL_DATA")
    if not local:
        return []
    problems = []
    for name in model:
        templates = _templates(presets[name])
        files = {template: _local_files(local, template) for template in templates}
        missing = [template for template in templates if not files[template]]
        if missing:
            others = f" and {len(missing) - 1} more" if missing[1:] else ""
            problems.append(
                f"{key}.model: {name} needs {missing[0]}{others}, not in PYSM_LOCAL_DATA "
                f"({local}); choose presets that it holds, or unset it to let PySM download them"
            )
            continue
        resolutions = {path: _fits_nside(path) for paths in files.values() for path in paths}
        broken = [path for path, available in resolutions.items() if available is None]
        if broken:
            problems.append(f"{key}.model: {broken[0]} is not a map; copy it again")
        elif resolutions and (available := min(resolutions.values())) < nside:
            problems.append(
                f"nside: {nside} is above the {available} of {name}'s templates in "
                f"PYSM_LOCAL_DATA ({local}); use {available} or less"
            )
    return problems


def pysm_presets() -> dict[str, dict]:
    """PySM 3's presets, read without the seconds that importing pysm3 takes."""
    folder = Path(find_spec("pysm3").submodule_search_locations[0])
    return tomllib.loads((folder / "data" / "presets.cfg").read_text())


def _templates(component) -> list[str]:
    """Template files of a preset; their names may have {nside} or {layer} in them."""
    templates = []
    for value in component.values():
        if isinstance(value, dict):
            templates += _templates(value)
        elif isinstance(value, str) and value.endswith((".fits", ".fits.gz", ".txt", ".h5")):
            templates.append(value)
    return sorted(set(templates))


def _local_files(local, template) -> list[Path]:
    return sorted(Path(local).glob(re.sub(r"\{\w+\}", "*", template)))


def _fits_nside(path) -> float | None:
    """nside of a map, infinite where the file holds something else, None if unreadable."""
    from astropy.io import fits

    if path.suffix != ".fits":
        return math.inf
    try:
        return fits.getheader(path, 1).get("NSIDE", math.inf)
    except (OSError, IndexError):
        return None


def _region_problems(regions, nside) -> list[str]:
    if regions["method"] == "dust_intensity":
        fractions = regions["sky_fractions"]
        n_pixels = [round(fraction * 12 * nside**2) for fraction in fractions]
        if sorted({0, *n_pixels}) == [0, *n_pixels]:
            return []
        return [
            f"regions.sky_fractions: {fractions} are cumulative; let them increase, by a pixel "
            "or more"
        ]
    path = find_mask_file(regions["mask_file"])
    if path is None:
        tried = " and no ".join(map(os.path.expandvars, as_list(regions["mask_file"])))
        return [
            f"regions.mask_file: found no {tried}; download Planck's Galactic masks "
            "(config/README.md, Planck regions) or use regions.method dust_intensity"
        ]
    try:
        available = mask_columns(path)
    except (OSError, ValueError, KeyError, IndexError, AttributeError):
        return [f"regions.mask_file: {path} does not hold HEALPix maps; download it again"]
    unknown = [name for name in regions["masks"] if name not in available]
    if unknown:
        return [
            f"regions.masks: {path} has no mask {name!r}; {suggest(name, available)}"
            for name in unknown
        ]
    coarsest = min(regions["masks"], key=available.get)
    if available[coarsest] < nside:
        return [
            f"nside: {nside} is above the {available[coarsest]} of mask {coarsest} in {path}; "
            f"use {available[coarsest]} or less"
        ]
    return []


def suggest(name, known) -> str:
    """The known name that was meant, or all there are."""
    by_lower = {str(item).lower(): str(item) for item in known}
    close = get_close_matches(str(name).lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}?" if close else f"known are {', '.join(known)}"


def as_list(values):
    return values if isinstance(values, list) else [values]
