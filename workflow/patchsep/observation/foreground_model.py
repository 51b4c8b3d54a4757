"""The foregrounds of a region as one observation shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.maps import read_maps
from ..sky.spectral_model import SpectralModel

# Multipole up to which scales are wide: the width of 50 patches of a fifth of the sky.
WIDE = 14
# What precedes the names of the parameters in map files, by field.
PREFIXES = {"parameters": "", "wide": "WIDE_", "narrow": "NARROW_"}


@dataclass(frozen=True)
class ForegroundModel:
    """What one observation of a region tells of its foregrounds; maps, as files keep them.

    Attributes
    ----------
    names : tuple of str
        Of the spectral parameters.
    amplitudes : dict of str to array (2, n_pixels), µK_RJ
        Components, recovered with one patch of every parameter, at their reference frequencies.
    parameters : array (n_parameters, n_pixels)
        That fit's spectral parameters.
    wide, narrow : arrays (n_parameters, n_pixels)
        Scatter of the spectral parameters up to and beyond multipole `WIDE`, in units of that of
        their published maps there.
    """

    names: tuple[str, ...]
    amplitudes: dict[str, np.ndarray]
    parameters: np.ndarray
    wide: np.ndarray
    narrow: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """The maps (n_pixels,) by their names in files."""
        columns = {
            f"{component.upper()}_{stokes}": values
            for component, qu in self.amplitudes.items()
            for stokes, values in zip("QU", qu, strict=True)
        }
        for field, prefix in PREFIXES.items():
            for name, values in zip(self.names, getattr(self, field), strict=True):
                columns[f"{prefix}{name.upper()}"] = values
        return columns

    @classmethod
    def from_columns(
        cls, maps: Mapping[str, np.ndarray], pixels: np.ndarray, model: SpectralModel
    ) -> "ForegroundModel":
        """The model of some pixels, of maps of the whole sky."""

        def stacked(columns):
            return np.stack([maps[column][pixels] for column in columns])

        return cls(
            names=model.names,
            amplitudes={
                component: stacked([f"{component.upper()}_{stokes}" for stokes in "QU"])
                for component in model.component_names
            },
            **{
                field: stacked([f"{prefix}{name.upper()}" for name in model.names])
                for field, prefix in PREFIXES.items()
            },
        )

    @classmethod
    def read(cls, path: str | Path, pixels: np.ndarray, model: SpectralModel) -> "ForegroundModel":
        """The model of some pixels, of a file that has `columns` of the whole sky."""
        return cls.from_columns(read_maps(path), pixels, model)


def column_units(model: SpectralModel) -> list[str]:
    """Units of the `columns` of a `ForegroundModel`."""
    units = [parameter.unit for parameter in model.parameters]
    return ["uK_RJ"] * (2 * len(model.components)) + units + 2 * len(units) * [""]
