"""The foregrounds of a region as one observation shows them, and the priors that follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.maps import read_maps
from ..sky.spectral_model import SpectralModel

# Multipole up to which scales are wide: the width of 50 patches of a fifth of the sky.
WIDE = 14
# Part of the published scatter that a prior has at least, where data show none.
LEAST_SCATTER = 0.01
# What precedes the names of the parameters in map files, by field.
PREFIXES = {"parameters": "", "means": "MEAN_", "wide": "WIDE_", "narrow": "NARROW_"}


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
    means : array (n_parameters, n_pixels)
        Their means over the region, by a fit with a beta_dust of every pixel. With one patch
        variations of beta_dust change what is fitted for the others.
    wide, narrow : arrays (n_parameters, n_pixels)
        Scatter of the spectral parameters up to and beyond multipole `WIDE`, in units of that of
        their published maps there.
    """

    names: tuple[str, ...]
    amplitudes: dict[str, np.ndarray]
    parameters: np.ndarray
    means: np.ndarray
    wide: np.ndarray
    narrow: np.ndarray

    @property
    def scatter(self) -> np.ndarray:
        """Scatter (n_parameters, n_pixels) on all scales; wide ones have half of its square."""
        return np.sqrt((self.wide**2 + self.narrow**2) / 2)

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
    return ["uK_RJ"] * (2 * len(model.components)) + 2 * units + 2 * len(units) * [""]


def shrinkage_prior(
    foreground_model: ForegroundModel, parameters: Sequence[str], model: SpectralModel
) -> dict[str, tuple[float, float]]:
    """Prior of patches' parameters, from data alone: the mean and scatter of a region's model.

    Shrinkage towards a common mean whose scatter the data tell is empirical Bayes (Efron & Morris
    1973). The scatter is that of pixels; patches of many pixels have somewhat less.

    Parameters
    ----------
    foreground_model : ForegroundModel
    parameters : sequence of str
        Those to be shrunk.
    model : SpectralModel
        Has the published scatter.

    Returns
    -------
    dict by parameter
        Mean and standard deviation, as `fit.separate` has it.
    """
    prior = {}
    for name in parameters:
        number = model.names.index(name)
        scatter = max(foreground_model.scatter[number].mean(), LEAST_SCATTER)
        mean = float(foreground_model.means[number].mean())
        prior[name] = mean, float(scatter * model.parameters[number].scatter)
    return prior


def read_prior(
    path: str | Path | None, pixels: np.ndarray, parameters: Sequence[str], model: SpectralModel
) -> dict[str, tuple[float, float]]:
    """`shrinkage_prior` of the model that a file has; without parameters there is no file."""
    if not parameters:
        return {}
    return shrinkage_prior(ForegroundModel.read(path, pixels, model), parameters, model)
