"""The foregrounds of a region as one observation shows them, and the priors that follow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..files.maps import read_maps
from ..sky.parameter_fields import PARAMETER_FIELDS
from ..sky.spectral_model import PARAMETERS

# Multipole up to which scales are wide: the width of 50 patches of a fifth of the sky.
WIDE = 14
# Part of the published scatter that a prior has at least, where data show none.
LEAST_SCATTER = 0.01


class ForegroundModel(NamedTuple):
    """What one observation of a region tells of its foregrounds; maps, as files keep them.

    Attributes
    ----------
    dust, synch : arrays (2, n_pixels), µK_RJ
        Recovered with one patch of every parameter, at the reference frequencies of `spectral`.
    parameters : array (3, n_pixels)
        That fit's beta_dust, temp_dust (K), beta_synch.
    means : array (3, n_pixels)
        Their means over the region, by a fit with a beta_dust of every pixel. With one patch
        variations of beta_dust change what is fitted for the others.
    wide, narrow : arrays (3, n_pixels)
        Scatter of the spectral parameters up to and beyond multipole `WIDE`, in units of that of
        `parameter_fields.PARAMETER_FIELDS` there.
    """

    dust: np.ndarray
    synch: np.ndarray
    parameters: np.ndarray
    means: np.ndarray
    wide: np.ndarray
    narrow: np.ndarray

    @property
    def scatter(self) -> np.ndarray:
        """Scatter (3, n_pixels) on all scales; about half of its square is from wide ones."""
        return np.sqrt((self.wide**2 + self.narrow**2) / 2)

    def columns(self) -> dict[str, np.ndarray]:
        """The maps by the names of `COLUMNS`."""
        return dict(zip(COLUMNS, np.vstack(self), strict=True))

    @classmethod
    def from_columns(cls, maps: Mapping[str, np.ndarray], pixels: np.ndarray) -> "ForegroundModel":
        """The model of some pixels, of maps of the whole sky."""
        values = np.stack([maps[name][pixels] for name in COLUMNS])
        return cls(values[:2], values[2:4], *values[4:].reshape(4, len(PARAMETERS), -1))


COLUMNS = (
    *("DUST_Q", "DUST_U", "SYNCH_Q", "SYNCH_U"),
    *(f"{kind}{name.upper()}" for kind in ("", "MEAN_", "WIDE_", "NARROW_") for name in PARAMETERS),
)
UNITS = ["uK_RJ"] * 4 + 2 * ["", "K", ""] + [""] * 6


def shrinkage_prior(
    foreground_model: ForegroundModel, parameters: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Prior of patches' parameters, from data alone: the mean and scatter of a region's model.

    Shrinkage towards a common mean whose scatter the data tell is empirical Bayes (Efron & Morris
    1973). The scatter is that of pixels; patches of many pixels have somewhat less.

    Parameters
    ----------
    foreground_model : ForegroundModel
    parameters : sequence of str
        Those to be shrunk.

    Returns
    -------
    dict by parameter
        Mean and standard deviation, as `fit.separate` has it.
    """
    prior = {}
    for name in parameters:
        number = PARAMETERS.index(name)
        scatter = max(foreground_model.scatter[number].mean(), LEAST_SCATTER)
        mean = float(foreground_model.means[number].mean())
        prior[name] = mean, float(scatter * PARAMETER_FIELDS[name]["scatter"])
    return prior


def read_prior(
    path: str | Path, pixels: np.ndarray, parameters: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """`shrinkage_prior` of the model that a file has; without parameters there is no file."""
    if not parameters:
        return {}
    return shrinkage_prior(ForegroundModel.from_columns(read_maps(path), pixels), parameters)
