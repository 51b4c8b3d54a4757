"""What a configuration must be that a schema cannot say: settings that must fit together.

Every check returns problems in the user's words, each with its key and the mend.
"""

from importlib.util import find_spec
from pathlib import Path

from ..fields.prior import FIELDS, WITH_FIELD, kinds_of
from ..figures.registry import FIGURES
from ..separation.ilc import ILC
from ..separation.patches import STRATEGIES
from ..sky.regions import FULL_SKY, area_of_regions, areas_of
from ..sky.spectral_model import spectral_model
from .data_checks import (
    apodization_problems,
    foreground_problems,
    nside_problems,
    region_problems,
    unknown_parameters,
)
from .schema import all_of, as_list, suggest

# Criteria that only fits to every realisation can tell.
OF_FITS = ("aic", "evidence", "cross_validation")
# What a method has that has only a strategy, of all that needs parameters to fit.
UNSET = {
    "seed": 0,
    "n_draws": 1,
    "independent_patches": False,
    "parameters": None,
    "n_patches": None,
    "nuisance": None,
    "maps": {},
    "smoothing": 0.0,
    "errors": {},
    "coherence": 3.0,
    "grid": "product",
    "patches": None,
}
# Strategies without what a figure needs of methods.
WITHOUT = {
    "": [],
    "parameters": [*ILC],
    "patches": [FIELDS, *ILC],
    "fields": [*STRATEGIES, *ILC],
}
# Name of the set of the sky on which configurations are selected.
TRAINING = "training"


def cross_check(settings: dict) -> list[str]:
    """Problems of complete settings, one line each; those of the sky only where all else fits."""
    methods, criteria = settings["methods"], settings["selection"]["criteria"]
    regions, nside = settings["regions"], settings["nside"]
    names, areas = list(area_of_regions(regions)), areas_of(regions)
    model = spectral_model(settings["components"])
    problems = []
    for name, method in methods.items():
        problems += _method_problems(f"methods.{name}", method, areas, nside, model)
    problems += _source_problems(methods)
    problems += _fit_problems(settings["fit"], criteria, model)
    problems += _prior_problems(settings["fields"]["mean"], settings["fit"]["bounds"])
    problems += nside_problems(nside)
    problems += apodization_problems(settings["spectra"]["apodization"])
    problems += _benchmark_problems(settings["benchmark"], names)
    problems += _search_problems(settings["search"], names)
    if problems:
        return problems
    problems += _test_set_problems(settings)
    problems += _mock_problems(settings)
    problems += _figure_problems(settings)
    for key, sky in {"": settings, **_test_sets(settings)}.items():
        if "foregrounds" in sky:
            problems += foreground_problems(f"{key}foregrounds", sky["foregrounds"], nside)
    # Of skies that can be made.
    problems = problems or _true_map_problems(settings, model)
    return problems + region_problems(regions, nside)


def _method_problems(key, method, areas, nside, model) -> list[str]:
    if method["strategy"] == FIELDS:
        return _field_problems(key, method, model)
    if method["strategy"] in ILC:
        return _ilc_problems(key, method)
    only_fields = [
        f"{key}.{name}: only for {FIELDS}; remove this key"
        for name in ("parameters", "n_patches", "nuisance")
        if name in method
    ]
    return only_fields + _patch_problems(key, method, areas, nside)


def _field_problems(key, method, model) -> list[str]:
    problems = [
        f"{key}.{name}: not for {FIELDS}, which have no patches of regions; remove this key"
        for name in ("patches", "n_draws", "independent_patches")
        if method.get(name, UNSET[name]) != UNSET[name]
    ]
    kinds = kinds_of(model) | method.get("parameters", {})
    divided = {name for name, kind in kinds.items() if kind == "patches"}
    numbers = set(method.get("n_patches", {}))
    problems += [
        f"{key}.n_patches.{name}: missing; give the number of patches, or another kind to "
        f"{key}.parameters.{name}"
        for name in sorted(divided - numbers)
    ]
    problems += [
        f"{key}.n_patches.{name}: {name} has no patches; set {key}.parameters.{name} to patches, "
        "or remove this key"
        for name in sorted(numbers - divided)
    ]
    problems += [
        f"{key}.maps.{name}: a template is the mean of a field; set {key}.parameters.{name} to "
        "field or field_and_pixels, or remove this key"
        for name in method["maps"]
        if kinds[name] not in WITH_FIELD
    ]
    return problems + (_map_problems(key, method) if method["maps"] else [])


def _prior_problems(means, bounds) -> list[str]:
    return [
        f"fields.mean.{name}: {means[name]} is not between the bounds {lower} and {upper}; change "
        f"it, or fit.bounds.{name}"
        for name, (lower, upper) in bounds.items()
        if lower < upper and not lower < means[name] < upper
    ]


def _ilc_problems(key, method) -> list[str]:
    problems = [
        f"{key}.{name}: not for {method['strategy']}, which fits no spectral parameters; "
        "remove this key"
        for name, unset in UNSET.items()
        if method.get(name, unset) != unset
    ]
    if not find_spec("broom"):
        problems.append(
            f"{key}.strategy: {method['strategy']} needs BROOM, which is not installed; run "
            "pip install -r envs/peers.txt, or remove this method"
        )
    return problems


def _patch_problems(key, method, areas, nside) -> list[str]:
    strategy = STRATEGIES[method["strategy"]]
    random = [name for name, one in STRATEGIES.items() if one.random]
    problems = [
        f"{key}.{name}: only for {all_of(random)}, which draw at random; remove it"
        for name in ("n_draws", "independent_patches")
        if not strategy.random and method[name] != UNSET[name]
    ]
    problems += _template_problems(key, method)
    if not strategy.numbered:
        if "patches" in method:
            problems.append(f"{key}.patches: {method['strategy']} is one patch; remove this key")
        return problems
    if "patches" not in method:
        return [*problems, f"{key}.patches: missing; give {all_of(areas)}"]
    problems += [
        f"{key}.patches.{area}: unknown key; {suggest(area, areas)}"
        for area in method["patches"]
        if area not in areas
    ]
    problems += [
        f"{key}.patches.{area}: missing; add this key"
        for area in areas
        if area not in method["patches"]
    ]
    for area, parameter, value in _patch_values(method["patches"]):
        if problem := strategy.problem(value, nside):
            problems.append(f"{key}.patches.{area}.{parameter}: {problem}")
    return problems


def _template_problems(key, method) -> list[str]:
    maps, errors = method["maps"], method["errors"]
    if STRATEGIES[method["strategy"]].maps_from != "template":
        of_patches = [name for name, one in STRATEGIES.items() if one.maps_from == "template"]
        templated = [FIELDS, *of_patches]
        return [
            f"{key}.{name}: only for {all_of(templated)}; remove this key"
            for name, given in (
                ("maps", maps),
                ("errors", errors),
                ("smoothing", method["smoothing"]),
            )
            if given
        ]
    if not maps:
        return [f"{key}.maps: missing; give a HEALPix map of one parameter or more"]
    return _map_problems(key, method)


def _map_problems(key, method) -> list[str]:
    maps, errors = method["maps"], method["errors"]
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
    for area, scans in patches.items():
        for scan in as_list(scans):
            for parameter, values in scan.items():
                yield from ((area, parameter, value) for value in as_list(values))


def _true_map_problems(settings, model) -> list[str]:
    """What follows true parameters needs a sky that has one map of each."""
    skies = {"": settings, **_test_sets(settings)}
    simulated = {key: sky["foregrounds"] for key, sky in skies.items() if "foregrounds" in sky}
    problems = []
    for name, method in settings["methods"].items():
        if _maps_from(method) == "true":
            following = {f"methods.{name}.strategy": model.names}
        else:
            true = [parameter for parameter, path in method["maps"].items() if path == "true"]
            following = {f"methods.{name}.maps.{parameter}": [parameter] for parameter in true}
        problems += [
            f"{key}: {prefix}foregrounds.model has no one true map of {parameter} ({why}); remove "
            "the key or the method, or choose presets such as [d1, s1]"
            for key, parameters in following.items()
            for prefix, foregrounds in simulated.items()
            if name in skies[prefix].get("methods", [name])
            for parameter, why in unknown_parameters(foregrounds, model).items()
            if parameter in parameters
        ]
    return problems


def _source_problems(methods) -> list[str]:
    """Where patches follow recovered parameters, another method recovers them."""
    following = [name for name, one in methods.items() if _maps_from(one) == "recovered"]
    problems = []
    for name, method in methods.items():
        key, source = f"methods.{name}.recovered_by", method.get("recovered_by")
        if name not in following:
            if source is not None:
                problems.append(f"{key}: only for recovered_parameters; remove this key")
            continue
        known = [
            other
            for other, one in methods.items()
            if other not in following and one["strategy"] not in ILC
        ]
        if source is None:
            problems.append(f"{key}: missing; name another method, one of {', '.join(known)}")
        elif source not in known:
            problems.append(f"{key}: {source!r} is no method that it can follow; known are {known}")
    return problems


def _maps_from(method) -> str | None:
    strategy = STRATEGIES.get(method["strategy"])
    return strategy.maps_from if strategy else None


def _fit_problems(fit, criteria, model) -> list[str]:
    problems = [
        f"selection.criteria: {criterion} needs a fit of every realisation; remove it, or set "
        "fit.propagation to nonlinear"
        for criterion in criteria
        if fit["propagation"] == "linear" and criterion in OF_FITS
    ]
    for parameter in model.parameters:
        name = parameter.name
        (lower, upper), start = fit["bounds"][name], fit["start"][name]
        if not lower < upper:
            problems.append(f"fit.bounds.{name}: [{lower}, {upper}]; give the lower bound first")
        elif parameter.unit == "K" and lower <= 0:
            problems.append(f"fit.bounds.{name}: {lower} must be above 0")
        elif not lower < start < upper:
            problems.append(f"fit.start.{name}: {start} is not inside the bounds {lower} … {upper}")
    return problems


def _search_problems(search, names) -> list[str]:
    region = search["region"]
    return (
        []
        if region in names
        else [f"search.region: there is no {region!r}; {suggest(region, names)}"]
    )


def _benchmark_problems(benchmark, names) -> list[str]:
    region, known = benchmark["region"], [*names, FULL_SKY]
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
    templates = {parameter for method in methods.values() for parameter in method["maps"]}
    problems = [
        f"figures.drawn: {name} needs a method {what} {needed}; add one, or name what it shows in "
        f"figures.methods.{name}"
        for name in figures["drawn"]
        for what, needed, known in (
            ("of strategy", FIGURES[name].strategy, strategies),
            ("with maps of", FIGURES[name].template, templates),
        )
        if needed and name not in figures["methods"] and needed not in known
    ]
    problems += [
        f"figures.methods.{figure}: {name} has no {FIGURES[figure].needs}; remove it"
        for figure, names in figures["methods"].items()
        for name in names
        if name in methods and methods[name]["strategy"] in WITHOUT[FIGURES[figure].needs]
    ]
    for key, known in (("methods", methods), ("sets", [TRAINING, *settings["test_sets"]])):
        problems += [
            f"figures.{key}.{figure}: there is no {name!r}; {suggest(name, known)}"
            for figure, names in figures[key].items()
            for name in names
            if name not in known
        ]
    return problems


def _test_sets(settings) -> dict[str, dict]:
    return {f"test_sets.{name}.": one for name, one in settings["test_sets"].items()}


def _test_set_problems(settings) -> list[str]:
    """What is selected is tested on what the selection has not seen."""
    if not settings["test_sets"]:
        return []
    seen = {
        "cmb_seeds": {settings["cmb"]["seed"]: "cmb.seed"},
        "noise_seeds": {
            **_mock_seeds(settings),
            settings["noise"]["seed"]: "noise.seed",
        },
        "patch_seeds": {
            method["seed"]: f"methods.{name}.seed"
            for name, method in settings["methods"].items()
            if method["strategy"] == "kmeans"
        },
    }
    problems = []
    for prefix, test_set in _test_sets(settings).items():
        problems += [
            f"{prefix}{key}: {seed} is also {used[seed]}, with which the selection is made; "
            "test with another"
            for key, used in seen.items()
            for seed in test_set[key]
            if seed in used
        ]
        problems += [
            f"{prefix}methods: there is no method {name!r}; {suggest(name, settings['methods'])}"
            for name in test_set.get("methods", [])
            if name not in settings["methods"]
        ]
        lengths = {key: len(test_set[key]) for key in seen}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{n} {key}" for key, n in lengths.items())
            problems.append(f"{prefix}cmb_seeds: {counts}; give one of each per sky")
    return problems


def _mock_seeds(settings) -> dict[int, str]:
    if "mocks" not in settings["selection"]["criteria"]:
        return {}
    mocks = settings["mocks"]
    return {mocks["seed"] + number: "mocks.seed" for number in range(mocks["skies"])}


def _mock_problems(settings) -> list[str]:
    """Patches that follow a sky's own parameters say nothing of skies with others."""
    if "marginalised" not in settings["likelihood"]["foreground_residual"]:
        return []
    return [
        f"likelihood.foreground_residual: patches of methods.{name} follow the observed sky's own "
        "parameters and say nothing of mock skies; remove marginalised, or the method"
        for name, method in settings["methods"].items()
        if _maps_from(method) in ("true", "recovered")
    ]
