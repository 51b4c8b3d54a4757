"""Whether the data that a configuration needs are there: PySM's templates, Planck's masks."""

import hashlib
import math
import os
from collections.abc import Iterable
from functools import cache

from ..sky import presets
from ..sky.regions import find_mask_file, mask_columns
from ..sky.spectral_model import DUST_AND_SYNCHROTRON
from .messages import all_of, as_list, suggest

# Folder of PySM's templates, in the environment.
LOCAL_DATA = "PYSM_LOCAL_DATA"


def foreground_problems(key, model, nside) -> list[str]:
    if model == "embedded":
        return []
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
    return [problem for name in model for problem in _template_problems(key, name, nside)]


def _template_problems(key, name, nside) -> list[str]:
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
        str(path.relative_to(local)): _content(path)
        for name in model
        for template in (*presets.templates(name, nside), *presets.templates_in_code(name))
        for path in presets.local_files(local, template)
    }


@cache
def _content(path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def unknown_parameters(model: str | list[str], names: Iterable[str]) -> dict[str, str]:
    """Why the sky of presets has no true map of some spectral parameters, by their name."""
    if model == "embedded":
        return {}
    attributes = {one.name: one.pysm for one in DUST_AND_SYNCHROTRON.parameters}
    owners = {
        name: [preset for preset in model if presets.owns(preset, attributes[name])]
        for name in names
    }
    return {
        name: f"{all_of(found)} have one each" if found else f"none of {', '.join(model)} has one"
        for name, found in owners.items()
        if len(found) != 1
    }


def _fits_nside(path) -> float | None:
    """nside of a map, infinite where the file holds something else, None if unreadable."""
    from astropy.io import fits

    if path.suffix != ".fits":
        return math.inf
    try:
        return fits.getheader(path, 1).get("NSIDE", math.inf)
    except (OSError, IndexError):
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
