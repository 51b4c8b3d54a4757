"""Whether the data that a configuration needs are there: PySM's templates, masks, templates."""

import math
import os
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from ..files.fingerprints import file_content
from ..files.foreign_maps import UnusableMap, find_parameter_map, map_names
from ..instrument.instrument import Instrument
from ..instrument.noise_maps import bands_that_see
from ..observation.usable import fewest_bands
from ..sky import presets
from ..sky.complexity import Complexity
from ..sky.regions import (
    DUST_INTENSITY,
    MAPS_OF_CUTS,
    PLANCK_MASKS,
    SKY_CUTS,
    cut_sky,
    cuts_of,
    draw_regions,
    find_mask_file,
    planck_masks,
    region_files,
    rings_of,
    without_others,
)
from ..sky.spectral_model import SpectralModel
from ..spectra.apodization import steps_of
from ..spectra.estimator import Estimator
from .schema import all_of, as_list, suggest

# Folder of PySM's templates, in the environment.
LOCAL_DATA = "PYSM_LOCAL_DATA"


def data_problems(settings: dict) -> list[str]:
    """What is wrong with the content of templates, read as jobs will read them."""
    return [
        problem
        for name, method in settings["methods"].items()
        for problem in _template_problems(f"methods.{name}.maps", method["maps"])
    ]


def _template_problems(key, maps) -> list[str]:
    problems = []
    for name, path in maps.items():
        if path == "true":
            continue
        try:
            if np.isnan(find_parameter_map(path, name).values).all():
                raise UnusableMap(f"{path} is not known in any pixel; name another map")
        except UnusableMap as error:
            problems.append(f"{key}.{name}: {error}")
    return problems


def drawn_region_problems(settings: dict, instrument: Instrument) -> list[str]:
    """What is wrong with regions and the files they are drawn from, read as jobs will read them.

    Levels of dust are those of a sky that is not simulated yet: they are taken to keep everything,
    and regions that they are part of are looked at one by one.
    """
    regions, nside = settings["regions"], settings["nside"]
    files = region_files(regions, "")
    problems = _mask_name_problems(files["masks"], regions["masks"]) if "masks" in files else []
    kept = {}
    for key, cut in cuts_of(regions).items():
        try:
            kept[key] = cut_sky(key, cut, files, nside)
        except UnusableMap as error:
            problems.append(str(error))
    if problems:
        return problems
    kept = without_others(_known_cuts(regions), kept)
    footprint, seen = kept.get("footprint"), None
    if instrument.has_noise_maps:
        seen = bands_that_see(instrument, nside) >= fewest_bands(settings["components"])
        if footprint is not None and not np.any(footprint & seen):
            return [
                f"regions.footprint: {' + '.join(settings['instrument'])} has maps of hits or "
                f"variance with fewer than {fewest_bands(settings['components'])} bands in all of "
                "its pixels; choose another footprint, or the instrument that observes it"
            ]
    try:
        drawn = [
            draw_regions(masks, areas, regions["split_hemispheres"], seen, footprint)
            for areas, masks in _known_areas(regions, files, kept, nside)
        ]
    except UnusableMap as error:
        return [str(error)]
    how = {key: settings["spectra"][key] for key in ("estimator", "apodization", "bin_width")}
    estimators = {
        name: Estimator.of(some.pixels(name), nside, **how) for some in drawn for name in some.names
    }
    return [
        f"regions: {name} is too small for spectra.estimator {one.name}: no bin has modes enough; "
        "choose larger masks, a larger spectra.bin_width or a smaller spectra.apodization"
        for name, one in estimators.items()
        if not one.used(one.most_modes).any()
    ]


def _known_cuts(regions) -> dict[str, dict]:
    """Cuts of the sky that are without those others only that are known without a sky."""
    cuts = cuts_of(regions)

    def is_known(name):
        return "dust_fraction" not in cuts[f"sky_cuts.{name}"]

    return {
        key: cut | {"without": list(filter(is_known, cut.get("without", [])))}
        for key, cut in cuts.items()
    }


def _known_areas(regions, files, kept, nside) -> list[tuple[list[str], np.ndarray]]:
    """Names and masks (n, n_pixels) of rings or cuts that are known without a sky.

    Those are together that must not have pixels in common.

    Raises
    ------
    UnusableMap
        If Planck's masks cannot be used.
    """
    if regions["method"] == DUST_INTENSITY:
        return []
    if regions["method"] == PLANCK_MASKS:
        try:
            masks = planck_masks(files["masks"], regions["masks"], nside)
        except UnusableMap as error:
            raise UnusableMap(f"regions.mask_file: {error}") from error
        return [(regions["rings"], rings_of(masks))]
    on_dust = [name for name, cut in regions["sky_cuts"].items() if "dust_fraction" in cut]
    if "dust_fraction" in regions.get("footprint", {}):
        on_dust = list(regions["sky_cuts"])
    together = [name for name in regions["sky_cuts"] if name not in on_dust]
    groups = [[name] for name in on_dust] + ([together] if together else [])
    return [(group, np.stack([kept[f"sky_cuts.{name}"] for name in group])) for group in groups]


def _mask_name_problems(path, names) -> list[str]:
    try:
        available = map_names(path)
    except UnusableMap as error:
        return [f"regions.mask_file: {error}"]
    return [
        f"regions.masks: {path} has no mask {name!r}; {suggest(name, available)}"
        for name in names
        if name not in available
    ]


def nside_problems(nside) -> list[str]:
    """What of a number of pixels cannot be used."""
    if nside & (nside - 1) == 0:
        return []
    lower = 1 << (nside.bit_length() - 1)
    return [f"nside: {nside} is not a power of two; use {lower} or {2 * lower}"]


def apodization_problems(apodization) -> list[str]:
    """What of edges that are narrower for higher multipoles cannot be used."""
    try:
        steps_of(apodization)
    except ValueError as error:
        return [f"spectra.apodization: {error}"]
    return []


def foreground_problems(key, foregrounds, nside) -> list[str]:
    model = foregrounds["model"]
    if model == "embedded":
        return []
    if given := complexity_of(foregrounds):
        return [
            f"{key}.{name}: only of the embedded sky; remove this key, or choose presets that "
            "are more or less complex"
            for name in given
        ]
    unknown = [preset for preset in model if preset not in presets.presets()]
    if unknown:
        return [
            f"{key}.model: PySM has no preset {name!r}; {suggest(name, presets.presets())}"
            for name in unknown
        ]
    cmb = [name for name in model if presets.is_cmb(name)]
    if cmb:
        return [f"{key}.model: {name} is a CMB; remove it, cmb describes it" for name in cmb]
    by_emission = {
        emission: [name for name in model if presets.emits(name, emission)]
        for emission in presets.EMISSIONS
    }
    twice = [
        f"{key}.model: {all_of(names)} are each the Galaxy's {emission}; keep one of them"
        for emission, names in by_emission.items()
        if len(names) > 1
    ]
    if twice or not os.environ.get(LOCAL_DATA):
        return twice
    return [problem for name in model for problem in _preset_problems(key, name, nside)]


def _preset_problems(key, name, nside) -> list[str]:
    local = os.environ[LOCAL_DATA]
    templates = presets.templates(name, nside)
    files = {template: presets.local_files(local, template) for template in templates}
    missing = [template for template in templates if not files[template]]
    in_code = presets.templates_in_code(name)
    if not missing and not all(presets.local_files(local, template) for template in in_code):
        # Which of them it reads only PySM itself can tell.
        from ..sky.foregrounds import missing_template

        missing = [template for template in [missing_template(name, nside)] if template]
    if missing:
        others = f" and {len(missing) - 1} more" if missing[1:] else ""
        return [
            f"{key}.model: {name} needs {missing[0]}{others}, not in {LOCAL_DATA} "
            f"({local}); choose presets that it holds, or unset it to let PySM download them"
        ]
    resolutions = {path: _fits_nside(path) for paths in files.values() for path in paths}
    broken = [path for path, available in resolutions.items() if available is None]
    if broken:
        return [f"{key}.model: {broken[0]} is not a map; copy it again"]
    if resolutions and (available := min(resolutions.values())) < nside:
        return [
            f"nside: {nside} is above the {available} of {name}'s templates in "
            f"{LOCAL_DATA} ({local}); use {available} or less"
        ]
    return []


def template_contents(model: str | list[str], nside: int) -> dict[str, str]:
    """Fingerprints of the templates that presets read, by path below PYSM_LOCAL_DATA.

    None of what PySM downloads: there a name has one content.
    """
    local = os.environ.get(LOCAL_DATA)
    if model == "embedded" or not local:
        return {}
    return {
        str(path.relative_to(local)): file_content(path)
        for name in model
        for template in (*presets.templates(name, nside), *presets.templates_in_code(name))
        for path in presets.local_files(local, template)
    }


def complexity_of(foregrounds: Mapping) -> dict[str, float]:
    """What settings of an embedded sky say of its complexity, as `Complexity.of` takes it."""
    return {name: one for name, one in foregrounds.items() if name not in ("model", "seed")}


def unknown_parameters(foregrounds: Mapping, model: SpectralModel) -> dict[str, str]:
    """Why a sky has no true map of some of a model's spectral parameters, by their name.

    `foregrounds` are settings: a `model`, and how complex that of an embedded sky is.
    """
    sky, attributes = foregrounds["model"], [one.pysm for one in model.parameters]
    unknown = {}
    for one in model.parameters:
        if attributes.count(one.pysm) > 1:
            unknown[one.name] = "several components of the model have one"
        elif sky == "embedded":
            if not one.pysm or one.pysm in Complexity.of(**complexity_of(foregrounds)).unknown:
                unknown[one.name] = "this embedded sky has not one map of it"
        else:
            found = [preset for preset in sky if presets.owns(preset, one.pysm)]
            if len(found) > 1:
                unknown[one.name] = f"{all_of(found)} have one each"
            elif not found:
                unknown[one.name] = f"none of {', '.join(sky)} has one"
    return unknown


def _fits_nside(path) -> float | None:
    """nside of a map, infinite where the file holds something else, None if unreadable."""
    from astropy.io import fits

    if not path.name.endswith((".fits", ".fits.gz")):
        return math.inf
    try:
        return fits.getheader(path, 1).get("NSIDE", math.inf)
    except (OSError, IndexError, EOFError):
        return None


def region_problems(regions, nside) -> list[str]:
    return _cut_problems(regions) + _ring_problems(regions, nside)


def _cut_problems(regions) -> list[str]:
    """What is wrong with cuts of the sky before any file of theirs is read."""
    if regions["method"] != SKY_CUTS and "sky_cuts" in regions:
        return [
            f"regions.sky_cuts: not of regions.method {regions['method']}; make that {SKY_CUTS}, "
            "or remove this key"
        ]
    problems = []
    for key, cut in cuts_of(regions).items():
        problems += [
            f"regions.{key}.{kind}.file: {cut[kind]['file']!r} is not a file; give the path of a "
            "HEALPix map"
            for kind in MAPS_OF_CUTS
            if kind in cut and not Path(cut[kind]["file"]).is_file()
        ]
        problems += [
            f"regions.{key}.without: there is no other {name!r} in regions.sky_cuts; "
            f"{suggest(name, others)}"
            for others in [
                [name for name in regions.get("sky_cuts", {}) if f"sky_cuts.{name}" != key]
            ]
            for name in cut.get("without", [])
            if name not in others
        ]
        problems += [
            f"regions.{key}.{limits}: {cut[limits]} does not increase; give the lower limit first"
            for limits in ("galactic_latitude", "dust_fraction")
            if limits in cut and not cut[limits][0] < cut[limits][1]
        ]
    only_dust = {
        name: cut["dust_fraction"]
        for name, cut in regions.get("sky_cuts", {}).items()
        if [*cut] == ["dust_fraction"]
    }
    problems += [
        f"regions.sky_cuts.{name}.dust_fraction: {own} and {others} of {other} overlap; let one "
        "end where the other begins"
        for (other, others), (name, own) in combinations(only_dust.items(), 2)
        if max(own[0], others[0]) < min(own[1], others[1])
    ]
    return problems


def _ring_problems(regions, nside) -> list[str]:
    if regions["method"] == SKY_CUTS:
        return []
    n_rings = len(regions["rings"])
    key = "sky_fractions" if regions["method"] == DUST_INTENSITY else "masks"
    if len(regions[key]) != n_rings:
        return [
            f"regions.{key}: {len(regions[key])} for {n_rings} rings ({all_of(regions['rings'])}); "
            "give one per ring"
        ]
    if regions["method"] == DUST_INTENSITY:
        fractions = regions["sky_fractions"]
        n_pixels = [round(fraction * 12 * nside**2) for fraction in fractions]
        if sorted({0, *n_pixels}) == [0, *n_pixels]:
            return []
        return [
            f"regions.sky_fractions: {fractions} are cumulative; let them increase, by a pixel "
            "or more"
        ]
    if find_mask_file(regions["mask_file"]) is None:
        tried = " and no ".join(as_list(regions["mask_file"]))
        return [
            f"regions.mask_file: found no {tried}; download Planck's Galactic masks "
            "(docs/configuration-sky.md, Planck regions) or use regions.method dust_intensity"
        ]
    return []
