"""The instrument: band centres, polarization depths and beams."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml


@dataclass(frozen=True)
class Instrument:
    """A set of frequency bands.

    Attributes
    ----------
    name, source : str
        What the instrument is called and where its numbers were published.
    frequency : array (n_bands,)
        Band centres in GHz; bands are infinitely narrow.
    depth_p : array (n_bands,)
        Polarization map depth in µK_CMB arcmin, the same for Q and U.
    beam : array (n_bands,)
        Beam FWHM in arcmin. Kept with the instrument; the analysis assumes
        bands brought to one resolution and applies no beam.
    """

    name: str
    source: str
    frequency: np.ndarray
    depth_p: np.ndarray
    beam: np.ndarray

    @property
    def labels(self) -> list[str]:
        """Names of the bands in map files."""
        return band_labels(self.frequency)


def band_labels(frequencies: np.ndarray) -> list[str]:
    """A name for each band: its frequency, and a number where others have the same name."""
    names = [f"{frequency:g}GHZ".replace(".", "P") for frequency in frequencies]
    return [
        name if names.count(name) == 1 else f"{name}_{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def read_instrument(path: str | Path) -> Instrument:
    """Read an instrument description in YAML (see config/instruments/)."""
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    bands = {key: np.array(content[key], dtype=float) for key in ("frequency", "depth_p", "beam")}
    return Instrument(name=content["name"], source=content["source"], **bands)
