"""Benchmark of what components, bandpasses and noise of every pixel cost in a fit."""

import logging
from time import perf_counter

import numpy as np
import pandas as pd

from ..instrument.bandpass import FITTED_NODES
from ..instrument.instrument import Instrument
from ..instrument.miscalibration import with_bandwidth
from ..instrument.noise import WhiteNoise
from ..observation.region_sky import RegionSky
from ..separation.fit import separate
from ..sky.spectral_model import SpectralModel, spectral_model
from .benchmark import draw_patches, machine

log = logging.getLogger(__name__)

DUST = {"dust": {"spectrum": "modified_black_body"}}
SYNCHROTRON = {"synch": {"spectrum": "power_law"}}
CURVED = {"synch": {"spectrum": "curved_power_law"}}
SPINNING = {"spinning": {"spectrum": "spinning_dust", "fixed": {"width_spinning": 0.55}}}
# Components, width of bands over their centres, and noise; the first is what others are compared
# with.
CASES = {
    "dust and synchrotron": (DUST | SYNCHROTRON, 0.0, "uniform"),
    "bands of 25 %": (DUST | SYNCHROTRON, 0.25, "uniform"),
    "curvature": (DUST | CURVED, 0.0, "uniform"),
    "spinning dust": (DUST | SYNCHROTRON | SPINNING, 0.0, "uniform"),
    "hits": (DUST | SYNCHROTRON, 0.0, "hits"),
    "hits of each band": (DUST | SYNCHROTRON, 0.0, "by_band"),
    "all of it": (DUST | CURVED | SPINNING, 0.25, "by_band"),
}
# Amplitudes of components at their references, µK_RJ.
AMPLITUDE = {"dust": 5.0, "synch": 10.0, "spinning": 2.0}
# Numbers of patches of the other parameters.
FEW = 20
# Realisations that are fitted in one call, and turns of all cases.
N_REALIZATIONS, REPEATS = 10, 5


def time_models(
    sky: RegionSky,
    instrument: Instrument,
    n_patches: tuple[int, int, int],
    seed: int,
) -> pd.DataFrame:
    """Fit what each case of `CASES` describes, in turn and `REPEATS` times over.

    Parameters
    ----------
    sky : RegionSky
        Whose pixels and noise they have.
    instrument : Instrument
    n_patches : tuple of int
        Of beta_dust, temp_dust and beta_synch; others have `FEW`.
    seed : int

    Returns
    -------
    DataFrame
        A row per case: `seconds_first`, with compilation, `iterations` on average,
        `seconds_per_fit`, the median over repeats, and the median `ratio` to the first case in the
        same turn, with its `ratio_error`.
    """
    fits = {case: _fit(sky, instrument, n_patches, seed, *about) for case, about in CASES.items()}
    first = [_timed(fit) for fit in fits.values()]
    turns = np.array([[_timed(fit)[1] for fit in fits.values()] for _ in range(REPEATS)])
    ratios = turns / turns[:, :1]
    table = pd.DataFrame({"case": list(fits)}).assign(
        seconds_first=[seconds for _, seconds in first],
        iterations=[fitted.iterations.mean() for fitted, _ in first],
        seconds_per_fit=np.median(turns, axis=0) / N_REALIZATIONS,
        ratio=np.median(ratios, axis=0),
        ratio_error=ratios.std(axis=0, ddof=1) / np.sqrt(REPEATS),
        n_realizations=N_REALIZATIONS,
        n_pixels=len(sky.pixels),
        n_bands=len(instrument.frequency),
    )
    log.info("%s", table[["case", "seconds_per_fit", "ratio"]].to_string(index=False))
    return table.assign(**machine())


def _timed(fit):
    start = perf_counter()
    fitted = fit()
    return fitted, perf_counter() - start


def _fit(sky, instrument, n_patches, seed, components, bandwidth, kind):
    """A function that fits data of one case."""
    model = spectral_model(components)
    bandpasses = with_bandwidth(instrument, bandwidth).bandpasses(FITTED_NODES)
    rng = np.random.default_rng(seed)
    noise = _noise(sky, kind, rng)
    numbers = (*n_patches, *(FEW for _ in model.names[3:]))
    patches = draw_patches(sky, numbers, seed, model)
    clean = _foregrounds(model, bandpasses, len(sky.pixels), rng)
    draws = (noise.draw(len(sky.pixels), seed, k, kind) for k in range(N_REALIZATIONS))
    data = np.stack([clean + draw for draw in draws])
    return lambda: separate(data, noise, bandpasses, patches, model)


def _noise(sky, kind, rng):
    depth = sky.noise.sigma
    if kind == "uniform":
        return sky.noise
    shape = (1 if kind == "hits" else len(depth), len(sky.pixels))
    return WhiteNoise(depth[:, None] * rng.uniform(0.7, 1.4, shape))


def _foregrounds(model: SpectralModel, bandpasses, n_pixels, rng):
    columns = {one.name: one.in_bands(bandpasses, *one.start) for one in model.components}
    return sum(
        column[:, None, None] * AMPLITUDE[name] * rng.standard_normal((2, n_pixels))
        for name, column in columns.items()
    )
