"""Benchmark of time and memory against nside, on a fifth of the sky."""

import logging
import resource
from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
import pandas as pd

from ..fields.basis import Basis
from ..fields.evidence import measure_fields
from ..fields.fit import fit_fields
from ..fields.prior import Freedom, expected_prior, kinds_of, literature_of
from ..inference.mocks import emission
from ..instrument.bandpass import FITTED_NODES
from ..instrument.instrument import Instrument
from ..instrument.noise import WhiteNoise
from ..lazy import healpy as hp
from ..observation.bands import Bands
from ..separation.fit import separate
from ..separation.patches import kmeans
from ..sky.embedded import embedded_sky
from ..sky.foregrounds import amplitudes, true_parameters
from ..sky.spectral_model import SpectralModel
from .benchmark import machine

log = logging.getLogger(__name__)

# Of the sky, around the Galactic poles.
SKY_FRACTION = 0.2


def cost_at_nside(
    method: str,
    nside: int,
    instrument: Instrument,
    model: SpectralModel,
    n_patches: tuple[int, ...],
    fields: Mapping,
    seed: int,
    **limits,
) -> pd.DataFrame:
    """Time the steps of cleaning a fifth of an embedded sky, in a process of its own.

    Parameters
    ----------
    method : str
        `kmeans` or `fields`.
    nside : int
    instrument : Instrument
    model : SpectralModel
    n_patches : tuple of int
        Of every spectral parameter, for `kmeans`.
    fields : mapping
        The settings `fields`, for the other.
    seed : int
        Of sky, noise and patches.
    limits :
        `max_iterations` and `tolerance` of fits.

    Returns
    -------
    DataFrame
        A row per `step`: its `seconds`, and the largest memory of the process so far, `memory_gb`.
        Patches, or spectra of the parameters, are found once for an observation; a `fit` is that of
        one realisation, compiled before.
    """
    pixels, data, noise, bandpasses = _observations(nside, instrument, model, seed)
    seconds = {}

    def timed(step: str, function: Callable):
        start = perf_counter()
        result = function()
        seconds[step] = perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        log.info("nside %d, %s: %.3g s, %.3g GB", nside, step, seconds[step][0], _gb(seconds[step]))
        return result

    if method == "kmeans":
        numbers = zip(model.names, n_patches, strict=True)
        patches = timed(
            "patches", lambda: {name: kmeans(nside, pixels, n, seed) for name, n in numbers}
        )

        def fit(one):
            return separate(one[None], noise, bandpasses, patches, model, **limits)

    else:
        kinds = kinds_of(model)
        priors = [
            expected_prior(kinds[name], nside, literature_of(fields, name), fields["lmax"])
            for name in model.names
        ]
        bands = Bands.of(bandpasses, noise, model)
        how = Freedom(**fields["freedom"]), fields["remainder"], fields["seed"]
        measured = timed(
            "spectra of parameters",
            lambda: measure_fields(data[0], priors, pixels, nside, bands, *how, **limits),
        )
        basis = Basis(tuple(one.variation() for one in measured.priors), pixels, nside)

        def fit(one):
            return fit_fields([one], basis, noise, bandpasses, model, **limits)

    fit(data[0])
    fitted = timed("fit", lambda: fit(data[1]))
    table = pd.DataFrame({"step": list(seconds)}).assign(
        method=method,
        nside=nside,
        n_pixels=len(pixels),
        n_bands=len(instrument.frequency),
        seconds=[one for one, _ in seconds.values()],
        memory_gb=list(map(_gb, seconds.values())),
        converged=bool(np.all(fitted.converged)),
    )
    return table.assign(**machine())


def _gb(step):
    """Of kilobytes, as Linux counts them."""
    return step[1] * 1024 / 1e9


def _observations(nside, instrument, model, seed):
    """Pixels, two realisations (n_bands, 2, n_pixels) of one sky, their noise, and bandpasses."""
    latitude = np.radians(hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)[1])
    pixels = np.flatnonzero(np.abs(np.sin(latitude)) > 1 - SKY_FRACTION)
    sky, bandpasses = embedded_sky(nside, seed), instrument.bandpasses(FITTED_NODES)
    true = true_parameters(sky, model)
    parameters = np.stack([true[name][pixels] for name in model.names])
    maps = {name: qu[:, pixels] for name, qu in amplitudes(sky, model).items()}
    foregrounds = emission(bandpasses, parameters, maps, model)
    noise = WhiteNoise.of(instrument, nside).of_pixels(pixels)
    data = [foregrounds + noise.draw(len(pixels), seed, number, "nside") for number in range(2)]
    return pixels, data, noise, bandpasses
