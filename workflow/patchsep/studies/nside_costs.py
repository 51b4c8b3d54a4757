"""Benchmark of time and memory against nside, on a fifth of the sky."""

import logging
import resource
from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
import pandas as pd

from ..fields.prior import kinds_of, literature_priors
from ..instrument.bandpass import FITTED_NODES
from ..instrument.instrument import Instrument
from ..instrument.noise import WhiteNoise
from ..lazy import healpy as hp
from ..observation.region_sky import ObservedRegion
from ..separation.fit import separate
from ..separation.patches import kmeans
from ..skies.mocks import emission
from ..skies.whole_sky import WholeSky, measure_sky
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
    sky, data = _observations(nside, instrument, model, seed)
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
            "patches", lambda: {name: kmeans(nside, sky.pixels, n, seed) for name, n in numbers}
        )

        def fit(one):
            return separate(one[None], sky.noise, sky.bandpasses, patches, model, **limits)

    else:
        priors = literature_priors(kinds_of(model), min(nside, fields["nside"]), fields)
        measured = timed(
            "spectra of parameters", lambda: measure_sky(sky, data[0], priors, fields, **limits)
        )

        def fit(one):
            return sky.fit_fields([one], measured.priors, **limits)

    fit(data[0])
    fitted = timed("fit", lambda: fit(data[1]))
    table = pd.DataFrame({"step": list(seconds)}).assign(
        method=method,
        nside=nside,
        n_pixels=len(sky.pixels),
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
    """A sky without a CMB, and two observations (n_bands, 2, n_pixels) of it."""
    latitude = np.radians(hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)[1])
    region = ObservedRegion(
        region="caps",
        nside=nside,
        pixels=np.flatnonzero(np.abs(np.sin(latitude)) > 1 - SKY_FRACTION),
        bandpasses=instrument.bandpasses(FITTED_NODES),
        noise=WhiteNoise.of(instrument, nside),
    )
    simulated = embedded_sky(nside, seed)
    true = true_parameters(simulated, model)
    parameters = np.stack([true[name][region.pixels] for name in model.names])
    maps = {name: qu[:, region.pixels] for name, qu in amplitudes(simulated, model).items()}
    foregrounds = emission(region.bandpasses, parameters, maps, model)
    data = [foregrounds + region.draw_noise(seed, number) for number in range(2)]
    return WholeSky([region], model), data
