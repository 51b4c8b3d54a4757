"""Mock skies of one observation, cleaned as the observation is.

They have foregrounds that are drawn from what the observation shows, a lensed CMB, and noise as the
instrument's description has it, in splits where the observation has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from ..fields.evidence import MeasuredFields
from ..fields.fit import recover_cmb
from ..files.whole import checked, whole
from ..instrument.beam import common_window
from ..observation.observation import Observation
from ..skies.field_skies import mock_foregrounds_of_fields, mock_parameters_of_fields
from ..skies.whole_sky import WholeSky
from ..sky.harmonics import gaussian_qu
from .cleaning import Cleaner

# Stream of the noise of half the splits' difference.
SPLITS = "mock splits"
# Skies that are in memory at once.
AT_ONCE = 4


@dataclass(frozen=True)
class MockMaps:
    """CMB maps (n_skies, 2, n_pixels) in µK_CMB of mock skies, and what cleaning makes of them.

    Attributes
    ----------
    e_modes, cmb : arrays
        What of the CMB is E modes, and all of it.
    residual : array
        What is taken for CMB where there are foregrounds alone.
    cleaned : array
        The cleaned maps.
    difference : array, or of no skies
        What the parameters found make of half the splits' difference.
    parameter_errors : array (n_skies, n_parameters, n_pixels)
        Spectral parameters found less those that the skies have.
    converged : bool array (n_skies,)
    """

    e_modes: np.ndarray
    cmb: np.ndarray
    residual: np.ndarray
    cleaned: np.ndarray
    difference: np.ndarray
    parameter_errors: np.ndarray
    converged: np.ndarray

    @property
    def noise(self) -> np.ndarray:
        """What noise adds to the cleaned maps."""
        return self.cleaned - self.cmb - self.residual

    def part(self, pixels: slice) -> "MockMaps":
        """Some of the pixels."""
        return MockMaps(
            **{name: values[..., pixels] for name, values in self._maps().items()},
            converged=self.converged,
        )

    def _maps(self):
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "converged"}

    def write(self, path: str | Path):
        """Write them to an .npz file, whole or not at all."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def read(cls, paths: Sequence[str | Path]) -> "MockMaps":
        """Read those of several files, in this order.

        Raises
        ------
        DamagedFile
            If a file is not what was written.
        """
        parts = []
        for path in paths:
            with checked(path), np.load(path) as file:
                parts.append({f.name: file[f.name] for f in fields(cls)})
        return cls(
            **{f.name: np.concatenate([part[f.name] for part in parts]) for f in fields(cls)}
        )


@dataclass(frozen=True)
class MockSky:
    """What one mock sky is made of, in µK_CMB.

    Attributes
    ----------
    foregrounds, noise : arrays (n_bands, 2, n_pixels)
    e_modes, b_modes : arrays (2, n_pixels)
        Of the CMB.
    """

    foregrounds: np.ndarray
    e_modes: np.ndarray
    b_modes: np.ndarray
    noise: np.ndarray

    @property
    def cmb(self) -> np.ndarray:
        return self.e_modes + self.b_modes

    @property
    def maps(self) -> np.ndarray:
        """What bands observe: (n_bands, 2, n_pixels)."""
        return self.foregrounds + self.cmb + self.noise


def draw_mock_observation(
    observation: Observation,
    sky: WholeSky,
    measured: MeasuredFields,
    theory: pd.DataFrame,
    number: int,
    seed: int,
    r: float = 0.0,
) -> MockSky:
    """One mock sky of an observation.

    Parameters
    ----------
    observation : Observation
    sky : WholeSky
        The same, with the spectral model.
    measured : MeasuredFields
        On this observation.
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    number, seed : int
    r : float
        Of the CMB.
    """
    (foregrounds,) = mock_foregrounds_of_fields(sky, measured, observation.maps, [number], seed)
    nside = observation.nside
    window = common_window(observation.resolution, 3 * nside - 1) ** 2
    rng = np.random.default_rng([seed, number, *b"cmb"])
    ee = window * (theory["ee_scalar"] + r * theory["ee_tensor"]).to_numpy()
    bb = window * (theory["bb_lensing"] + r * theory["bb_tensor"]).to_numpy()
    e_modes, b_modes = (
        gaussian_qu(*powers, nside, rng)[:, sky.pixels] for powers in ((ee, 0 * ee), (0 * bb, bb))
    )
    return MockSky(foregrounds, e_modes, b_modes, sky.draw_noise(seed, number, "mock sky"))


def clean_mocks(
    observation: Observation,
    sky: WholeSky,
    measured: MeasuredFields,
    clean: Cleaner,
    theory: pd.DataFrame,
    numbers: Sequence[int],
    seed: int,
) -> MockMaps:
    """Clean mock skies of some numbers; for the parameters see `draw_mock_observation`."""
    found = []
    for start in range(0, len(numbers), AT_ONCE):
        group = numbers[start : start + AT_ONCE]
        drawn = [
            draw_mock_observation(observation, sky, measured, theory, number, seed)
            for number in group
        ]
        data = np.stack([one.foregrounds for one in drawn] + [one.maps for one in drawn])
        fits = clean(data)
        residual, cleaned = np.split(fits.cmb, 2)
        difference = np.empty((0, *cleaned.shape[1:]))
        if observation.splits is not None:
            difference = np.stack(
                [
                    cmb_of(parameters, sky.draw_noise(seed, number, SPLITS), sky)
                    for number, parameters in zip(group, fits.parameters[len(group) :], strict=True)
                ]
            )
        drawn_parameters = [
            mock_parameters_of_fields(sky, measured, number, seed) for number in group
        ]
        found.append(
            MockMaps(
                e_modes=np.stack([one.e_modes for one in drawn]),
                cmb=np.stack([one.cmb for one in drawn]),
                residual=residual,
                cleaned=cleaned,
                difference=difference,
                parameter_errors=fits.parameters[len(group) :] - drawn_parameters,
                converged=np.all(np.split(fits.converged, 2), axis=0),
            )
        )
    return MockMaps(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in found])
            for f in fields(MockMaps)
        }
    )


def cmb_of(parameters: np.ndarray, data: np.ndarray, sky: WholeSky) -> np.ndarray:
    """CMB (2, n_pixels) in µK that spectral parameters (n_parameters, n_pixels) make of data."""
    return np.stack(recover_cmb(parameters, data, sky.bands).cmb)
