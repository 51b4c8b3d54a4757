"""The instrument: bands with their bandpasses, polarization depths and beams."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path

import numpy as np
import yaml

from .bandpass import Bandpasses, Transmission, band_labels, bandpasses, distinct
from .beam import Beam

# Files of noise that make realisations: of so few pairs the mean is no mean.
FEWEST_REALIZATIONS = 10


@dataclass(frozen=True)
class Instrument:
    """A set of frequency bands.

    Attributes
    ----------
    name, source : str
        What the instrument is called and where its numbers were published.
    frequency : array (n_bands,)
        Band centres in GHz.
    depth_p : array (n_bands,)
        Polarization map depth in µK_CMB arcmin, the same for Q and U.
    beams : tuple of Beam
    ell_knee, knee_slope : arrays (n_bands,)
        Of noise with the power 1 + (ell / ell_knee)^knee_slope over the white one; 0 is white.
    transmissions : tuple of Transmission
    labels : list of str
        Names of the bands in map files.
    hits, variance : tuples of tuples of str
        Files of maps of hits, and of the noise variance, of every band: none, or one, or of the
        variance of Q and of U.
    noise_files : tuple of tuples of str
        Files of noise realisations of every band; none where noise is simulated.
    """

    name: str
    source: str
    frequency: np.ndarray
    depth_p: np.ndarray
    beams: tuple[Beam, ...]
    ell_knee: np.ndarray
    knee_slope: np.ndarray
    transmissions: tuple[Transmission, ...]
    labels: list[str]
    hits: tuple[tuple[str, ...], ...]
    variance: tuple[tuple[str, ...], ...]
    noise_files: tuple[tuple[str, ...], ...]

    @property
    def has_knees(self) -> bool:
        """Whether its noise is correlated."""
        return bool(np.any(self.ell_knee > 0))

    @property
    def has_noise_maps(self) -> bool:
        """Whether its noise is not the same in all pixels."""
        return any(self.hits) or any(self.variance)

    def bandpasses(self, n_nodes: int) -> Bandpasses:
        """Bandpasses of so many nodes, see `bandpass.FITTED_NODES` and `SIMULATED_NODES`."""
        found = bandpasses(self.frequency, self.transmissions, n_nodes)
        return replace(found, labels=tuple(self.labels))


def read_instrument(paths: str | Path | Sequence[str | Path]) -> Instrument:
    """Read an instrument from its description in YAML (see config/instruments/), or several as one.

    Raises
    ------
    ValueError
        For a bandpass, a beam or files of noise that cannot be used; the message names the key and
        the file.
    """
    if isinstance(paths, str | Path):
        return _read_one(Path(paths))
    parts = [_read_one(Path(path)) for path in paths]
    if len(parts) == 1:
        return parts[0]

    def together(key):
        return np.concatenate([getattr(part, key) for part in parts])

    return Instrument(
        name=" + ".join(part.name for part in parts),
        source="; ".join(part.source for part in parts),
        frequency=together("frequency"),
        depth_p=together("depth_p"),
        beams=tuple(one for part in parts for one in part.beams),
        ell_knee=together("ell_knee"),
        knee_slope=together("knee_slope"),
        transmissions=tuple(one for part in parts for one in part.transmissions),
        labels=distinct([label_of(f"{part.name}_{one}") for part in parts for one in part.labels]),
        hits=tuple(one for part in parts for one in part.hits),
        variance=tuple(one for part in parts for one in part.variance),
        noise_files=tuple(one for part in parts for one in part.noise_files),
    )


def named_files(paths: Sequence[str | Path], *keys: str) -> list[str]:
    """Files that descriptions of instruments name under some keys."""
    names = set()
    for path in map(Path, paths):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key in keys:
            names.update(*_files(path, content.get(key), 1))
    return sorted(names)


def label_of(name: str) -> str:
    """The name of a band as map files have it: capitals, digits and underscores."""
    return "".join(one if one.isalnum() and one.isascii() else "_" for one in str(name).upper())


def _read_one(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    bands = {key: np.array(content[key], dtype=float) for key in ("frequency", "depth_p")}
    n_bands = len(bands["frequency"])
    knees = {
        key: np.array(content.get(key, n_bands * [0.0]), dtype=float)
        for key in ("ell_knee", "knee_slope")
    }
    widths, files = content.get("bandwidth", 0.0), content.get("bandpass_files", n_bands * [None])
    transmissions = [
        _tabulated(path, number, centre, name, content["bandpass_response"])
        if name
        else Transmission.top_hat(centre, widths[number] if isinstance(widths, list) else widths)
        for number, (centre, name) in enumerate(zip(bands["frequency"], files, strict=True))
    ]
    named = [label_of(name) for name in content.get("bands", [])]
    return Instrument(
        name=content["name"],
        source=content["source"],
        **bands,
        **knees,
        beams=tuple(_beam(path, number, one) for number, one in enumerate(content["beam"])),
        transmissions=tuple(transmissions),
        labels=distinct(named) if named else band_labels(bands["frequency"]),
        hits=_files(path, content.get("hits"), n_bands),
        variance=_files(path, content.get("variance"), n_bands),
        noise_files=tuple(
            _matching(path, number, pattern)
            for number, pattern in enumerate(content.get("noise_files", n_bands * [None]))
        ),
    )


def _files(path, names, n_bands) -> tuple[tuple[str, ...], ...]:
    """Files of each band, beside a description that has one for all bands, or some per band."""
    names = names if isinstance(names, list) else n_bands * [names]
    of_bands = [own if isinstance(own, list) else [own] for own in names]
    # Beams are files only where they are no numbers.
    return tuple(
        tuple(str(path.parent / name) for name in own if name and isinstance(name, str))
        for own in of_bands
    )


def _matching(path, number, pattern) -> tuple[str, ...]:
    """Files of noise realisations that match a pattern, in the order of their names."""
    if pattern is None:
        return ()
    found = tuple(sorted(glob(str(path.parent / pattern))))
    if len(found) < FEWEST_REALIZATIONS:
        raise ValueError(
            f"{path}: noise_files.{number}: {len(found)} files match {pattern}; needed are "
            f"{FEWEST_REALIZATIONS} or more, of which realisations are made"
        )
    return found


def _beam(path, number, given) -> Beam:
    """The beam of a FWHM in arcmin, or in a file of two columns, multipole and B_ell."""
    if not isinstance(given, str):
        return Beam(float(given))
    try:
        return Beam.read(path.parent / given)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path}: beam.{number}: {given} cannot be used: {error}; needed are two columns, "
            "multipole from 0 on and B_ell"
        ) from error


def _tabulated(path, number, centre, name, convention):
    """The bandpass in a file of two columns, frequency in GHz and transmission."""
    try:
        table = np.loadtxt(path.parent / name, unpack=True, usecols=(0, 1), ndmin=2)
        found = Transmission.tabulated(*table, convention)
        low, high = found.extent
        if low <= centre <= high:
            found.rule(1)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path}: bandpass_files.{number}: {name} cannot be used: {error}; needed are two "
            "columns, frequency in GHz and transmission"
        ) from error
    if not low <= centre <= high:
        raise ValueError(
            f"{path}: bandpass_files.{number}: {name} transmits from {low:g} to {high:g} GHz, and "
            f"the band is at {centre:g}; give frequencies in GHz, and every band its own file"
        )
    return found
