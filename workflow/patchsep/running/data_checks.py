"""Whether the data that a configuration needs are there: PySM's templates, masks, templates."""

import math
import os
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..files.foreign_maps import UnusableMap, find_parameter_map, map_names
from ..sky.regions import draw_regions, find_mask_file, planck_masks
from ..spectra.estimator import Estimator
from .messages import all_of, as_list, suggest


def data_problems(settings: dict) -> list[str]:
    """What is wrong with the content of masks and templates, read as jobs will read them."""
    problems = [
        problem
        for name, method in settings["methods"].items()
        for problem in _template_problems(f"methods.{name}.maps", method["maps"])
    ]
    if settings["regions"]["method"] == "planck_masks":
        problems += _mask_problems(settings["regions"], settings["nside"], settings["spectra"])
    return problems


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


def _mask_problems(regions, nside, spectra) -> list[str]:
    path = find_mask_file(regions["mask_file"])
    try:
        available = map_names(path)
        unknown = [name for name in regions["masks"] if name not in available]
        if unknown:
            return [
                f"regions.masks: {path} has no mask {name!r}; {suggest(name, available)}"
                for name in unknown
            ]
        masks = planck_masks(path, regions["masks"], nside)
    except UnusableMap as error:
        return [f"regions.mask_file: {error}"]
    try:
        drawn = draw_regions(masks, regions["rings"], regions["split_hemispheres"])
    except UnusableMap as error:
        return [str(error)]
    how = {key: spectra[key] for key in ("estimator", "apodization", "bin_width")}
    estimators = {name: Estimator.of(drawn.pixels(name), nside, **how) for name in drawn.names}
    return [
        f"regions: {name} is too small for spectra.estimator {one.name}: no bin has modes enough; "
        "choose larger masks, a larger spectra.bin_width or a smaller spectra.apodization"
        for name, one in estimators.items()
        if not one.used(one.most_modes).any()
    ]


def foreground_problems(key, model, nside) -> list[str]:
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
    return tomllib.loads((folder / "data" / "presets.cfg").read_text(encoding="utf-8"))


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

    if not path.name.endswith((".fits", ".fits.gz")):
        return math.inf
    try:
        return fits.getheader(path, 1).get("NSIDE", math.inf)
    except (OSError, IndexError, EOFError):
        return None


def region_problems(regions, nside) -> list[str]:
    n_rings = len(regions["rings"])
    key = "sky_fractions" if regions["method"] == "dust_intensity" else "masks"
    if len(regions[key]) != n_rings:
        return [
            f"regions.{key}: {len(regions[key])} for {n_rings} rings ({all_of(regions['rings'])}); "
            "give one per ring"
        ]
    if regions["method"] == "dust_intensity":
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
            "(config/README.md, Planck regions) or use regions.method dust_intensity"
        ]
    return []
