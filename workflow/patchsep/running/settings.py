"""Settings: the configuration, checked as a whole before the first job runs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..fields.prior import OF_PIXELS
from ..instrument.beam import Resolution
from ..instrument.instrument import Instrument, read_instrument
from ..instrument.miscalibration import Miscalibration
from ..observation.observed_checks import observation_problems
from ..observation.usable import beam_problems, model_problems, noise_problems
from ..separation.ilc import FEWEST_BANDS, ILC
from ..sky.components import Tabulated
from ..sky.regions import area_of_regions, areas_of
from ..sky.spectral_model import DUST_AND_SYNCHROTRON, component, spectral_model
from .checks import cross_check
from .data_checks import (
    data_problems,
    drawn_region_problems,
)
from .observed import (
    is_observed,
    needed_problems,
    observed_problems,
    with_observed_defaults,
)
from .schema import (
    as_list,
    raise_problems,
    read_schema,
    read_yaml,
    schema_problems,
    suggest,
    with_defaults,
)

# Of a model, in settings `fit`.
LIMITS = "bounds", "start"


def load_settings(config: dict, source: str, with_data: bool = True) -> dict:
    """Check a configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        Content of the configuration file(s).
    source : str
        Name of the file(s), for messages.
    with_data : bool
        Whether masks, templates and maps of noise are read, and spectra computed, to see if they
        can be used, which takes seconds where they are fine: once for a run is enough.

    Returns
    -------
    dict
        The settings, complete; every method has, per ring or cut of the sky, a list of scans, each
        with a list of values per parameter. `~` and `${VARIABLES}` of paths are expanded.

    Raises
    ------
    SettingsError
        With one line for each thing that is wrong.
    """
    config = _with_text_keys(config)
    given = config.get("components") if isinstance(config, dict) else None
    components = _read_components(given, source)
    model = spectral_model(components) if components else DUST_AND_SYNCHROTRON
    schema = read_schema("config", model)
    problems = schema_problems(config, schema)
    if isinstance(config, dict):
        problems += needed_problems(config)
    if not problems:
        settings = with_defaults(with_observed_defaults(config), schema)
        settings["components"] = components or settings["components"]
        regions = settings["regions"]
        for method in settings["methods"].values():
            maps = method.setdefault("maps", {})
            # Quoted or not, as a truth value of YAML.
            maps |= {name: "true" if path is True else path for name, path in maps.items()}
        for section in ("benchmark", "search"):
            settings[section].setdefault("region", list(area_of_regions(regions))[-1])
        problems = cross_check(settings)
        if is_observed(settings):
            problems += observed_problems(settings)
        if with_data and not problems:
            problems = data_problems(settings)
    raise_problems(problems, source)
    settings["instrument"] = as_list(settings["instrument"])
    instrument = _check_instruments(settings, source, with_data)
    if with_data:
        raise_problems(drawn_region_problems(settings, instrument), source)
        if is_observed(settings):
            raise_problems(_maps_problems(settings, instrument), source)
    _check_published(settings["published"], source)
    for method in settings["methods"].values():
        method["patches"] = _complete_patches(method, areas_of(regions), model.names)
        method.setdefault("recovered_by", None)
    settings["likelihood"]["theory"] = as_list(settings["likelihood"]["theory"])
    for test_set in settings["test_sets"].values():
        test_set.setdefault("r", settings["cmb"]["r"])
        test_set.setdefault("methods", list(settings["methods"]))
    return settings


def _with_text_keys(content):
    """YAML reads keys such as 1 and yes as numbers and truth values."""
    if isinstance(content, dict):
        return {str(key): _with_text_keys(value) for key, value in content.items()}
    return content


def _maps_problems(settings, instrument) -> list[str]:
    """What is wrong with observed maps, read as jobs will read them."""
    resolution = Resolution.of(settings.get("resolution"))
    model = spectral_model(settings["components"])
    section = settings["observation"]
    return observation_problems(section, instrument, settings["nside"], resolution, model)


def _complete_patches(method, areas, names) -> dict[str, list[dict[str, list[int]]]]:
    """Scans of every ring or cut, with lists of values for every parameter; uniform has 1."""
    patches = method.get("patches", {area: dict.fromkeys(names, 1) for area in areas})
    return {
        area: [
            {parameter: as_list(scan[parameter]) for parameter in names}
            for scan in as_list(patches[area])
        ]
        for area in areas
    }


def _read_components(given, source) -> dict[str, dict] | None:
    """Components as `spectral_model` takes them, with what their files say; None if none are given.

    The schema of everything else follows from them, so they are looked at before it.
    """
    if given is None:
        return None
    of_components = read_schema("config")["properties"]["components"]
    problems = schema_problems({"components": given}, {"properties": {"components": of_components}})
    raise_problems(problems, source)
    components = {}
    for name, settings in with_defaults(given, of_components).items():
        key = f"components.{name}"
        path = settings.pop("file", None)
        if (path is None) == (settings["spectrum"] == "tabulated"):
            mend = "name the file of its table" if path is None else "remove this key"
            raise_problems([f"{key}.file: only tabulated spectra have one; {mend}"], source)
        if path:
            settings["table"] = _read_spectrum(f"{key}.file", path, source)
        try:
            component(name, **settings)
        except ValueError as error:
            raise_problems([f"{key}.fixed: {error}; use these names"], source)
        components[name] = settings
    if not spectral_model(components).parameters:
        raise_problems(["components: nothing is left to fit; let a parameter be free"], source)
    return components


def _read_spectrum(key, path, source) -> list[list[float]]:
    """Frequencies in GHz and brightnesses in µK_RJ of a table in a file."""
    try:
        frequency, brightness = np.loadtxt(path, unpack=True, usecols=(0, 1), ndmin=2).tolist()
        Tabulated.of(frequency, brightness)
    except (OSError, ValueError) as error:
        raise_problems(
            [
                f"{key}: {path} cannot be used: {error}; needed are two columns, increasing "
                "frequency in GHz and brightness above 0 in µK_RJ"
            ],
            source,
        )
    return [frequency, brightness]


def _check_instruments(settings: Mapping, source, with_data) -> Instrument:
    paths = settings["instrument"]
    for path in paths:
        _check_description(path, source)
    try:
        instrument = read_instrument(paths)
    except ValueError as error:
        raise_problems([f"instrument: {error}"], source)
    n_bands, files = len(instrument.frequency), " + ".join(paths)
    problems = [
        f"methods.{name}.strategy: {one['strategy']} needs {fewest} bands or more, and {files} has "
        f"{n_bands}; remove this method, or use another instrument"
        for name, one in settings["methods"].items()
        if (fewest := FEWEST_BANDS.get(one["strategy"], 0)) > n_bands
    ]
    if instrument.has_noise_maps:
        problems += [
            f"methods.{name}.strategy: {one['strategy']} knows uniform noise only, and {files} has "
            "maps of it; remove this method, or the maps of hits and variance"
            for name, one in settings["methods"].items()
            if one["strategy"] in ILC
        ]
    if "resolution" in settings or instrument.has_knees or any(instrument.noise_files):
        problems += _ilc_problems(settings["methods"], files)
    if "resolution" in settings:
        problems += _pixel_problems(settings["methods"])
    resolution = Resolution.of(settings.get("resolution"))
    problems += beam_problems(instrument, settings["nside"], resolution, files)
    by_band = {
        f"{key}.{name}.{section}": one.get(section, {})
        for key, section in (("test_sets", "miscalibration"), ("methods", "nuisance"))
        for name, one in settings[key].items()
    }
    for key, errors in by_band.items():
        named = {kind: one for kind, one in errors.items() if isinstance(one, Mapping)}
        try:
            Miscalibration.of(instrument.labels, **named)
        except ValueError as error:
            problems.append(f"{key}.{error}")
    if with_data:
        model = spectral_model(settings["components"], **{k: settings["fit"][k] for k in LIMITS})
        problems += model_problems(model, instrument, files)
    if with_data and not problems:
        problems = noise_problems(instrument, settings["nside"])
    raise_problems(problems, source)
    return instrument


def _ilc_problems(methods, files) -> list[str]:
    return [
        f"methods.{name}.strategy: {one['strategy']} knows white noise and maps without beams "
        f"only; remove this method, or resolution, and knees and noise_files in {files}"
        for name, one in methods.items()
        if one["strategy"] in ILC
    ]


def _pixel_problems(methods) -> list[str]:
    return [
        f"methods.{name}.parameters.{parameter}: pixels have no values of their own where "
        "resolution correlates them; use field"
        for name, one in methods.items()
        for parameter, kind in one.get("parameters", {}).items()
        if kind in OF_PIXELS
    ]


def _check_description(path, source):
    """Refuse the description of an instrument that does not fit its schema, or itself."""
    if not Path(path).is_file():
        known = sorted(map(str, Path("config/instruments").glob("*.yaml")))
        mend = suggest(path, known) if known else "paths are relative to the working directory"
        raise_problems([f"instrument: {path!r} is not a file; {mend}"], source)
    content = read_yaml(path)
    problems = schema_problems(content, read_schema("instrument"))
    if not problems:
        n_bands = len(content["frequency"])
        lists = ("depth_p", "beam", "ell_knee", "knee_slope", "bands", "bandwidth")
        lists += ("bandpass_files", "hits", "variance", "noise_files")
        problems = [
            f"{key}: {len(content[key])} values for {n_bands} bands in frequency; give one per band"
            for key in lists
            if isinstance(content.get(key), list) and len(content[key]) != n_bands
        ]
        if "bandpass_files" in content and "bandpass_response" not in content:
            problems.append(
                "bandpass_response: missing; say what the transmissions in bandpass_files respond "
                "to, intensity (power, as PySM has it) or rj (brightness temperature)"
            )
        knees = {key for key in ("ell_knee", "knee_slope") if key in content}
        problems += [
            f"{key}: missing; noise with a knee has ell_knee and knee_slope, so give both"
            for key in {"ell_knee", "knee_slope"} - knees
            if knees
        ]
    raise_problems(problems, path)


def _check_published(path, source):
    if not path:
        return
    if not Path(path).is_file():
        mend = "remove this key, or see config/published/ for an example"
        raise_problems([f"published: {path!r} is not a file; {mend}"], source)
    raise_problems(schema_problems(read_yaml(path), read_schema("published")), path)
