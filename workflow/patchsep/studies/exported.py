"""Files of an observation as a collaboration hands them out: maps, instrument, masks, and a run.

They are enough to analyse it without knowing what it was made of, by this workflow or another code.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from ..fields.prior import FIELDS
from ..files.maps import write_maps
from ..files.whole import whole
from ..instrument.instrument import Instrument, read_instrument
from ..separation.patches import STRATEGIES
from ..sky.regions import Regions

# Endings of the names of a band's files: its map, and two splits.
PARTS = "", "_split_1", "_split_2"
# Sections of a configuration that say nothing of how a sky was simulated.
KEPT = (
    "nside",
    "resolution",
    "components",
    "methods",
    "fields",
    "fit",
    "spectra",
    "likelihood",
    "mocks",
)
# Of sections, what is not of simulated skies alone; weights and theory of observed maps are one.
KEPT_OF = {
    "spectra": ("estimator", "apodization", "bin_width", "pixel_weights"),
    "likelihood": ("theory", "amplitude_scatter", "multipole_ranges"),
    "mocks": ("seed",),
}
ONE_OF = "pixel_weights", "theory"
# Strategies that know nothing of the truth, nor of another method's maps.
OBSERVABLE = FIELDS, *(name for name, one in STRATEGIES.items() if one.maps_from is None)
# What descriptions of instruments name that is copied with them.
COPIED = "bandpass_files", "beam", "hits", "variance"


def band_files(labels: Sequence[str]) -> list[str]:
    """Names of the files of all bands, by `Instrument.labels`: map and splits of each."""
    return [f"{label}{part}.fits" for label in labels for part in PARTS]


def description_files(n_instruments: int) -> list[str]:
    """Names of the descriptions of one instrument, or of several."""
    if n_instruments == 1:
        return ["instrument.yaml"]
    return [f"instrument_{number}.yaml" for number in range(1, 1 + n_instruments)]


def write_bands(
    folder: str | Path,
    instrument: Instrument,
    maps: Iterable[np.ndarray],
    about: str,
    has_beams: bool,
):
    """Write map and splits of every band: columns Q and U, µK_CMB, RING, Galactic, COSMO.

    Parameters
    ----------
    folder : str or Path
    instrument : Instrument
    maps : iterable of arrays (3, 2, n_pixels)
        Of all bands, see `observation.exported`; NaN becomes UNSEEN.
    about : str
        For headers.
    has_beams : bool
        Whether maps have the beams of bands: headers have their FWHM in arcmin then.
    """
    for label, beam, parts in zip(instrument.labels, instrument.beams, maps, strict=True):
        header = {"FWHM": repr(beam.fwhm)} if has_beams else {}
        for part, qu in zip(PARTS, parts, strict=True):
            columns = dict(zip("QU", qu, strict=True))
            which = f", split {part[-1]} of 2" if part else ""
            text = f"{about}\n{label}{which}"
            write_maps(Path(folder) / f"{label}{part}.fits", columns, "uK_CMB", text, header)


def write_masks(path: str | Path, regions: Regions, areas: Mapping[str, str], about: str):
    """Write a mask of every ring or cut of the sky, by its name, 1 where it is kept.

    `areas` has the ring or cut of every region, as `Plan.areas`.
    """
    masks = {
        area: np.isin(
            regions.labels,
            [1 + regions.names.index(name) for name, own in areas.items() if own == area],
        ).astype(np.int32)
        for area in dict.fromkeys(areas.values())
    }
    write_maps(path, masks, "", about)


def write_instruments(paths: Sequence[str | Path], folder: str | Path) -> list[Path]:
    """Copy descriptions of instruments, with the files that they name, into a folder.

    Bands have their names in map files. Files of noise realisations, which may be many, stay where
    they are.

    Returns
    -------
    list of Path
        The descriptions, see `description_files`.
    """
    folder, names = Path(folder), {}

    def copied(home, file):
        """The name, from the folder on, of a copy of a file that is named from its home on."""
        source = home / file
        if source not in names:
            clashes = source.name in names.values()
            names[source] = f"{len(names)}_{source.name}" if clashes else source.name
            with whole(folder / "instrument" / names[source]) as temporary:
                shutil.copyfile(source, temporary)
        return f"instrument/{names[source]}"

    written = []
    for path, name in zip(map(Path, paths), description_files(len(paths)), strict=True):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key in COPIED:
            if key in content:
                content[key] = _renamed(content[key], partial(copied, path.parent))
        if "noise_files" in content:
            absolute = partial(os.path.join, path.parent.absolute())
            content["noise_files"] = _renamed(content["noise_files"], absolute)
        content["bands"] = list(read_instrument(path).labels)
        written.append(folder / name)
        _write_yaml(written[-1], content, f"Of {path}, with the files that it names.")
    return written


def _renamed(value, rename):
    """File names in lists, lists of lists or alone; numbers and null are none."""
    if isinstance(value, list):
        return [_renamed(one, rename) for one in value]
    return rename(value) if isinstance(value, str) else value


def write_observation(
    path: str | Path, config: Mapping, areas: Mapping[str, str], n_instruments: int
):
    """Write the configuration that analyses what is in the folder of `path`.

    Parameters
    ----------
    path : str or Path
    config : mapping
        The configuration as it was given.
    areas : mapping
        As of `write_masks`.
    n_instruments : int
    """
    folder = Path(path).parent
    kept = {key: _kept(key, config[key]) for key in KEPT if key in config}
    methods = {name: one for name, one in config["methods"].items() if _is_observable(one)}
    left_out = sorted(set(config["methods"]) - set(methods))
    masks = {
        area: {"mask": {"file": f"{folder}/masks.fits", "column": area}} for area in areas.values()
    }
    maps, *splits = (f"{folder}/{{band}}{part}.fits" for part in PARTS)
    content = {
        "run": f"{config['run']}_observed",
        **kept,
        "instrument": [f"{folder}/{name}" for name in description_files(n_instruments)],
        "observation": {"maps": maps, "splits": splits},
        "regions": {
            "method": "sky_cuts",
            "sky_cuts": masks,
            "split_hemispheres": config["regions"].get("split_hemispheres", False),
        },
        "methods": methods,
    }
    about = f"Analyses the maps of {folder}, from where `snakemake export_maps` ran."
    if left_out:
        about += f"\nWithout methods that know the truth, or no noise: {', '.join(left_out)}."
    _write_yaml(path, content, about)


def _is_observable(method) -> bool:
    """Whether a method takes nothing of the simulation, such as true maps of parameters."""
    maps = method.get("maps", {}).values()
    return method["strategy"] in OBSERVABLE and not any(str(one).lower() == "true" for one in maps)


def write_truth(folder: str | Path, maps: Iterable[str | Path], facts: Mapping):
    """Copy maps of what a sky was made of, and write other facts of it to `truth.yaml`."""
    for source in map(Path, maps):
        with whole(Path(folder) / source.name) as temporary:
            shutil.copyfile(source, temporary)
    _write_yaml(Path(folder) / "truth.yaml", facts, "What the exported maps were made of.")


def _write_yaml(path, content, about):
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
    comment = "".join(f"# {line}\n" for line in about.splitlines())
    with whole(path) as temporary:
        temporary.write_text(comment + text, encoding="utf-8")


def _kept(name, section):
    if name not in KEPT_OF:
        return section
    kept = {key: section[key] for key in KEPT_OF[name] if key in section}
    return {
        key: value[:1] if key in ONE_OF and isinstance(value, list) else value
        for key, value in kept.items()
    }
