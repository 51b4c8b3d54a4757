"""Bands that are not as described: their gain, centre, polarization angle and width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .bandpass import Bandpasses, Transmission
from .instrument import Instrument

# Errors of single bands, and their units.
OF_BANDS = {"gain": "", "centre": "GHz", "angle": "deg"}


@dataclass(frozen=True)
class Miscalibration:
    """What the bands are, other than described.

    Attributes
    ----------
    gain : array (n_bands,)
        Relative error: maps are larger by 1 + gain.
    centre : array (n_bands,), GHz
        By which the whole bandpass is at higher frequencies; maps stay calibrated on the CMB.
    angle : array (n_bands,), degrees
        By which the polarization angle of maps is larger.
    """

    gain: np.ndarray
    centre: np.ndarray
    angle: np.ndarray

    @classmethod
    def of(cls, labels: Sequence[str], **errors: Mapping[str, float]) -> "Miscalibration":
        """Of errors by kind and the label of the band; what is not given has none.

        Raises
        ------
        ValueError
            For a label that no band has.
        """
        for kind, by_band in errors.items():
            if unknown := sorted(set(by_band) - set(labels)):
                raise ValueError(
                    f"{kind}.{unknown[0]}: there is no such band; known are {', '.join(labels)}"
                )
        given = {kind: errors.get(kind, {}) for kind in OF_BANDS}
        return cls(*(np.array([one.get(k, 0.0) for k in labels]) for one in given.values()))

    def shift(self, bandpasses: Bandpasses) -> Bandpasses:
        """Bandpasses as the bands have them."""
        return bandpasses.shifted(self.centre / bandpasses.centre)

    @property
    def response(self) -> np.ndarray:
        """What bands make of Q, U: matrices (n_bands, 2, 2)."""
        turn = np.radians(2 * self.angle)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return np.moveaxis((1 + self.gain) * rotation, -1, 0)

    @property
    def noise_factor(self) -> np.ndarray:
        """Of the noise of maps that are corrected, over that of maps: array (n_bands,)."""
        return 1 / (1 + self.gain)

    def correct(self, data: np.ndarray) -> np.ndarray:
        """Maps (..., n_bands, 2, n_pixels) as they were without errors of gain and angle."""
        return np.linalg.inv(self.response) @ data


def with_bandwidth(instrument: Instrument, bandwidth: float) -> Instrument:
    """The instrument with top hats of this width over their centre for all bands."""
    hats = tuple(Transmission.top_hat(centre, bandwidth) for centre in instrument.frequency)
    return replace(instrument, transmissions=hats)


def bands_as_built(
    instrument: Instrument, n_nodes: int, bandwidth: float | None = None, **errors
) -> tuple[Bandpasses, np.ndarray | None]:
    """Bandpasses that a sky is seen through, and what bands make of its Q, U.

    Parameters
    ----------
    instrument : Instrument
        As described.
    n_nodes : int
        See `Instrument.bandpasses`.
    bandwidth : float, optional
        See `with_bandwidth`.
    errors :
        See `Miscalibration.of`.

    Returns
    -------
    bandpasses : Bandpasses
    response : array (n_bands, 2, 2), or None without errors of single bands
    """
    if bandwidth is not None:
        instrument = with_bandwidth(instrument, bandwidth)
    bandpasses = instrument.bandpasses(n_nodes)
    if not errors:
        return bandpasses, None
    built = Miscalibration.of(instrument.labels, **errors)
    return built.shift(bandpasses), built.response
