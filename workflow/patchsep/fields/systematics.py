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

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.stats import norm

from ..instrument.bandpass import Bandpasses
from ..instrument.instrument import band_labels
from ..instrument.noise import WhiteNoise
from ..observation.bands import Bands, over_noise
from ..separation.likelihood import columns_and_derivatives, double_precision
from ..sky.spectral_model import SpectralModel, component
from .moments import AT_ONCE, of_pixels

# Relative shift of a band of which derivatives are taken.
SHIFT = 1e-4
# Of all departures of an observation together: the least probable of so many.
ANY = "any"
# Departures of single bands, and their units.
OF_BANDS = {"gain": "", "centre": "GHz", "angle": "deg"}
SPINNING = "spinning dust"


def departures(bandpasses: Bandpasses, model: SpectralModel) -> list[tuple[str, str]]:
    """What is tested, with its band or component, in the order of `systematic_scores`."""
    names = band_labels(bandpasses.centre)
    dust = [(SPINNING, one.name) for one in _dusts(model)]
    return [(kind, name) for kind in OF_BANDS for name in names] + dust


def _dusts(model):
    return [one for one in model.components if one.kind == "modified_black_body"]


@double_precision
def systematic_scores(
    parameters: np.ndarray,
    data: np.ndarray,
    bandpasses: Bandpasses,
    noise: WhiteNoise,
    model: SpectralModel,
    at_once: int = AT_ONCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of every pixel, and their information.

    Parameters
    ----------
    parameters : array (n_parameters, n_pixels)
        That were fitted to the data.
    data : array (n_bands, 2, n_pixels), µK_CMB
    bandpasses : Bandpasses
    noise : WhiteNoise
    model : SpectralModel
    at_once : int
        Pixels that are held in memory at a time.

    Returns
    -------
    score, information : arrays (n_pixels, n_departures)
        Of the `departures`: relative gains, GHz, degrees, and amplitude per µK_RJ of dust.
    """
    bands, shifted = (
        Bands.of(one, noise, model) for one in (bandpasses, bandpasses.shifted(SHIFT))
    )
    spin = component("spin", "spinning_dust")
    start = [one.start for one in spin.parameters]
    of_bands = zip(bandpasses.nodes, bandpasses.weights, strict=True)
    spinning = np.array([spin.in_band(*band, *start) for band in of_bands])
    owners = [model.components.index(one) for one in _dusts(model)]
    found = _scores(
        parameters, data, bands, shifted, spinning, bandpasses.centre, tuple(owners), at_once
    )
    return tuple(map(np.asarray, found))


@partial(jax.jit, static_argnames=("dusts", "at_once"))
def _scores(parameters, data, bands, shifted, spinning, centre, dusts, at_once):
    n_bands = len(data)

    def of_pixel(own, white, bands, shifted):
        columns, first, _ = columns_and_derivatives(own, bands)
        elsewhere, _, _ = columns_and_derivatives(own, shifted)
        explained = jnp.stack([bands.cmb, *map(jnp.stack, columns)], axis=-1)
        basis, triangle = jnp.linalg.qr(explained)
        maps = jnp.linalg.solve(triangle, basis.T @ white)

        def unexplained(vector):
            return vector - jnp.tensordot(basis, jnp.tensordot(basis, vector, (0, 0)), 1)

        owners = bands.model.owners
        by_parameter = [
            unexplained(jnp.stack(v)[:, None] * maps[1 + owners[k]]).ravel()
            for k, v in enumerate(first)
        ]
        of_parameters, _ = jnp.linalg.qr(jnp.stack(by_parameter, axis=-1))

        sky = explained @ maps
        change = jnp.stack([jnp.stack(c) for c in elsewhere], axis=-1) - explained[:, 1:]
        moved = change @ maps[1:] / (SHIFT * centre[:, None])
        turned = 2 * jnp.radians(jnp.stack([-sky[:, 1], sky[:, 0]], axis=-1))
        # One band at a time.
        alone = jnp.eye(n_bands)[:, :, None]
        single = [alone * of_band for of_band in (sky, moved, turned)]
        column = bands.white * spinning
        several = [(column[:, None] * maps[1 + one])[None] for one in dusts]
        vectors = jnp.moveaxis(jnp.concatenate(single + several), 0, -1)
        left = unexplained(vectors.reshape(n_bands, -1)).reshape(2 * n_bands, -1)
        left = left - of_parameters @ (of_parameters.T @ left)
        residual = unexplained(white).ravel()
        return left.T @ residual, jnp.sum(left**2, axis=0)

    # With its CMB: that of a band has the band's gain and angle.
    white = over_noise(jnp.asarray(data), bands)
    return of_pixels(of_pixel, parameters, white, at_once, bands, shifted)


def systematic_table(
    score: np.ndarray, information: np.ndarray, names: list[tuple[str, str]]
) -> pd.DataFrame:
    """The tests of one region, a row for every departure and a last one for any of them.

    Parameters
    ----------
    score, information : arrays (n_pixels, n_departures)
    names : list of (str, str)
        See `departures`.

    Returns
    -------
    DataFrame
        As `moments.moment_table`: `moment` is the departure that the data ask for. The last row's
        probability is that of so small a one among as many independent tests.
    """
    total, alone = np.asarray(score).sum(axis=0), np.asarray(information).sum(axis=0)
    alone = np.where(alone > 0, alone, np.nan)
    table = pd.DataFrame(names, columns=["parameter", "with_parameter"]).assign(
        moment=total / alone,
        error=alone**-0.5,
        chi2=total**2 / alone,
        probability=2 * norm.sf(np.abs(total) / np.sqrt(alone)),
    )
    least = -np.expm1(len(table) * np.log1p(-table["probability"].min()))
    table.loc[len(table)] = [ANY, ANY, np.nan, np.nan, table["chi2"].max(), least]
    return table
