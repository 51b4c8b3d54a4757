"""Score tests for an instrument that is not as described, and for spinning dust.

As those of second moments (see `moments`), from one fit and without another: the score of a
departure is the derivative of the log-likelihood by its size, and its variance, where there is
none, the Fisher information of what amplitudes and spectral parameters of the same pixel could not
make of it. With m the fitted sky in a band, the CMB among it, the departures are

    gain of a band:    m per unit of relative gain
    centre of a band:  ∂m/∂ν, the bandpass being shifted as a whole, calibrated on the CMB
    angle of a band:   2 (-U, Q) per radian, of a band that is rotated against the others
    spinning dust:     its spectrum, polarised as dust is, per unit of dust at its reference

"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from ..instrument.bandpass import Bandpasses
from ..instrument.miscalibration import OF_BANDS
from ..instrument.noise import WhiteNoise
from ..observation.bands import Bands, over_noise
from ..separation.likelihood import columns_and_derivatives, double_precision
from ..sky.spectral_model import SpectralModel, component
from .moments import AT_ONCE, PixelFit, of_pixel, of_pixels, single_tests

# Relative shift of a band of which derivatives are taken.
SHIFT = 1e-4
# Of all departures of an observation together: the least probable of so many.
ANY = "any"
SPINNING = "spinning dust"


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["bands", "shifted", "spinning", "centre"],
    meta_fields=["names", "dusts"],
)
@dataclass(frozen=True)
class Departures:
    """What is tested, of one instrument and model.

    Attributes
    ----------
    names : tuple of (str, str)
        Each departure and its band or component, in the order of scores.
    bands, shifted : Bands
        As described, and with all bands at higher frequencies.
    spinning : array (n_bands,)
        Spinning dust's µK_CMB per µK_RJ at its reference.
    centre : array (n_bands,), GHz
    dusts : tuple of int
        Numbers of the components that spinning dust may follow.
    """

    names: tuple[tuple[str, str], ...]
    bands: Bands
    shifted: Bands
    spinning: np.ndarray
    centre: np.ndarray
    dusts: tuple[int, ...]

    @classmethod
    def of(cls, bandpasses: Bandpasses, noise: WhiteNoise, model: SpectralModel) -> "Departures":
        spin = component("spin", "spinning_dust")
        dusts = [n for n, one in enumerate(model.components) if one.kind == "modified_black_body"]
        of_bands = [(kind, label) for kind in OF_BANDS for label in bandpasses.labels]
        return cls(
            names=(*of_bands, *((SPINNING, model.components[n].name) for n in dusts)),
            bands=Bands.of(bandpasses, noise, model),
            shifted=Bands.of(bandpasses.shifted(SHIFT), noise, model),
            spinning=spin.in_bands(bandpasses, *spin.start),
            centre=bandpasses.centre,
            dusts=tuple(dusts),
        )


@double_precision
def systematic_scores(
    parameters: np.ndarray, data: np.ndarray, departures: Departures, at_once: int = AT_ONCE
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of every pixel, and their information.

    Parameters
    ----------
    parameters : array (n_parameters, n_pixels)
        That were fitted to the data.
    data : array (n_bands, 2, n_pixels), µK_CMB
    departures : Departures
    at_once : int
        Pixels that are held in memory at a time.

    Returns
    -------
    score, information : arrays (n_pixels, n_departures)
        Of relative gains, GHz, degrees, and amplitude per µK_RJ of dust.
    """
    return tuple(map(np.asarray, _scores(parameters, data, departures, at_once)))


@partial(jax.jit, static_argnames="at_once")
def _scores(parameters, data, departures, at_once):
    def scores(residual, left):
        return left.T @ residual, jnp.sum(left**2, axis=0)

    return of_departures(scores, parameters, data, departures, at_once)


def of_departures(function, parameters, data, departures: Departures, at_once: int):
    """Results of a function of what single pixels tell of departures, for all of them.

    Parameters
    ----------
    function : callable
        Of the residual (2 n_bands,), and of what amplitudes and parameters could not make of each
        departure (2 n_bands, n_departures).
    parameters, data, departures, at_once :
        See `systematic_scores`.
    """

    def one_pixel(*pixel):
        return function(*_departing(*pixel, departures))

    # With their CMB: that of a band has the band's gain and angle.
    white = over_noise(jnp.asarray(data), departures.bands)
    where = departures.bands, departures.shifted
    return of_pixels(one_pixel, parameters, white, at_once, *where)


def _departing(own, white, bands, shifted, departures):
    centre, spinning = departures.centre, departures.spinning
    fit = PixelFit(own, white, bands)
    elsewhere, _, _ = columns_and_derivatives(own, shifted)
    change = jnp.stack([of_pixel(c) for c in elsewhere], axis=-1) - fit.columns[..., 1:]
    sky = jnp.sum(fit.columns * fit.maps.T, axis=-1)
    moved = jnp.sum(change * fit.maps[1:].T, axis=-1) / (SHIFT * centre[:, None])
    # What turns into the other is over the noise of that one.
    level = of_pixel(bands.white)
    ratio = level / jnp.where(level > 0, level, 1.0)[:, ::-1]
    turned = 2 * jnp.radians(jnp.stack([-sky[:, 1], sky[:, 0]], axis=-1)) * ratio
    # One band at a time.
    alone = jnp.eye(len(centre))[:, None]
    single = [alone * of_band[:, :, None] for of_band in (sky, moved, turned)]
    column = level * spinning[:, None]
    several = [(column * fit.maps[1 + one])[:, :, None] for one in departures.dusts]
    return fit.residual, fit.unexplained(jnp.concatenate(single + several, axis=-1))


def systematic_table(
    score: np.ndarray, information: np.ndarray, names: list[tuple[str, str]]
) -> pd.DataFrame:
    """The tests of one region, a row for every departure and a last one for any of them.

    Parameters
    ----------
    score, information : arrays (n_pixels, n_departures)
    names : list of (str, str)
        See `Departures`.

    Returns
    -------
    DataFrame
        As `moments.single_tests`: `moment` is the departure that the data ask for. Of the last row
        see `with_any`.
    """
    total, alone = np.asarray(score).sum(axis=0), np.asarray(information).sum(axis=0)
    return with_any(single_tests(names, total, np.where(alone > 0, alone, np.nan)), ANY)


def with_any(table: pd.DataFrame, parameter: str) -> pd.DataFrame:
    """Single tests, and a last row of this name for any of them.

    Its probability is that of so small a one among as many independent tests.
    """
    least = table["probability"].min()
    joint = -np.expm1(len(table) * np.log1p(-least))
    value = table["chi2"][table["probability"] == least].max()
    table.loc[len(table)] = [parameter, ANY, np.nan, np.nan, value, joint]
    return table
