"""Templates: maps of the spectral parameters, from elsewhere, that patches may follow.

Pixels of similar spectra share a patch wherever they are. The noise that a fit leaves is then
scattered over the sky and not gathered on large scales, but what the template has wrong is left of
the foregrounds.
"""

import numpy as np

from ..files.foreign_maps import regraded
from ..lazy import healpy as hp
from .harmonics import gaussian_scalar
from .spectral_model import SpectralModel


def prepare_template(
    values: np.ndarray, nside: int, smoothing: float, error: float, coherence: float, rng
) -> np.ndarray:
    """A template as a method uses it: at the run's resolution, smoothed, with an error added.

    Parameters
    ----------
    values : array (12 n²,)
        Map of a spectral parameter in RING order, of any nside; NaN where it is not known.
    nside : int
    smoothing : float
        FWHM in degrees of a Gaussian beam; 0 leaves the map as it is.
    error : float
        Rms of an error that is added, in the map's unit.
    coherence : float
        FWHM in degrees of the beam that the error's white noise is smoothed with.
    rng : numpy Generator

    Returns
    -------
    array (12 nside²,)
        Where the map is not known it has its mean.

    Raises
    ------
    ValueError
        If it is not known anywhere.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        raise ValueError("the map of a template has no value anywhere; give another")
    coarse = regraded(values, nside)
    filled = np.where(np.isnan(coarse), known.mean(), coarse)
    template = smooth(filled, smoothing)
    if error > 0:
        beam = hp.gauss_beam(np.radians(coherence), lmax=3 * nside - 1)
        noise = gaussian_scalar(beam**2, nside, rng)
        template = template + error * (noise - noise.mean()) / noise.std()
    return template


def smooth(values: np.ndarray, smoothing: float) -> np.ndarray:
    """A map (12 nside²,) under a Gaussian beam with this FWHM in degrees; 0 is none."""
    return hp.smoothing(values, fwhm=np.radians(smoothing)) if smoothing > 0 else values


def prepare_templates(
    maps: dict[str, np.ndarray],
    nside: int,
    smoothing: float,
    errors: dict[str, float],
    coherence: float,
    seed: int,
    model: SpectralModel,
) -> dict[str, np.ndarray]:
    """`prepare_template` of several parameters, each with an error of its own."""
    spawned = np.random.default_rng(seed).spawn(len(model.names))
    streams = dict(zip(model.names, spawned, strict=True))
    return {
        name: prepare_template(
            values, nside, smoothing, errors.get(name, 0.0), coherence, streams[name]
        )
        for name, values in maps.items()
    }
