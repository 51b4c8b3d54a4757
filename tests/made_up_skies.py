"""Made-up skies of Gaussian CMB and noise, cleaned without a rest, for tests of what follows."""

import healpy as hp
import numpy as np
import pandas as pd

from patchsep.analysis.analyse import Analysis, CleanedObservation
from patchsep.analysis.bandpowers import Bandpowers
from patchsep.analysis.mock_maps import MockMaps
from patchsep.sky.harmonics import gaussian_qu

NSIDE = 8
LMAX = 3 * NSIDE - 1
ELL = np.arange(LMAX + 1.0)
LATITUDE = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)[1]
NORTH, SOUTH = np.flatnonzero(LATITUDE > 10), np.flatnonzero(LATITUDE < -10)
# Regions one after the other.
PIXELS = np.concatenate([NORTH, SOUTH])
PARTS = {"north": slice(0, len(NORTH)), "south": slice(len(NORTH), None)}
# µK per pixel, and spectra in µK², well above the noise.
SIGMA = 0.02
NOISE = SIGMA**2 * hp.nside2pixarea(NSIDE)
LENSING = 4 * NOISE
SKY = np.where(ELL > 1, 1.0, 0.0)
THEORY = pd.DataFrame(
    {
        "bb_lensing": LENSING * SKY,
        "bb_tensor": 1e3 * LENSING * SKY * np.maximum(ELL, 1.0) ** -1,
        "ee_scalar": 3 * LENSING * SKY,
        "ee_tensor": 0 * SKY,
    }
)
# Estimators, as `Estimator.of` takes them.
DECOUPLED = {"estimator": "decoupled", "apodization": 0.0, "bin_width": 5}
PURE = DECOUPLED | {"estimator": "pure", "apodization": 30.0}
PSEUDO = DECOUPLED | {"estimator": "pseudo"}


def noise(rng, sigma=SIGMA):
    return sigma * rng.standard_normal((2, len(PIXELS)))


def cmb(rng, r=0.0, has_e_modes=True):
    """E modes, and E and B modes: each (2, n_pixels)."""
    ee = THEORY["ee_scalar"].to_numpy() if has_e_modes else 0 * ELL
    bb = (THEORY["bb_lensing"] + r * THEORY["bb_tensor"]).to_numpy()
    e, b = (gaussian_qu(*one, NSIDE, rng)[:, PIXELS] for one in ((ee, 0 * ee), (0 * bb, bb)))
    return e, e + b


def mocks(n_skies, seed, has_splits=False, has_e_modes=True):
    """Mock skies of which foregrounds leave nothing."""
    rng = np.random.default_rng(seed)
    e_modes, both = np.moveaxis([cmb(rng, 0.0, has_e_modes) for _ in range(n_skies)], 1, 0)
    added, halves = (np.stack([noise(rng) for _ in range(n_skies)]) for _ in range(2))
    return MockMaps(
        e_modes=e_modes,
        cmb=both,
        residual=np.zeros_like(both),
        cleaned=both + added,
        difference=halves if has_splits else halves[:0],
        parameter_errors=rng.standard_normal((n_skies, 1, len(PIXELS))),
        converged=np.ones(n_skies, bool),
    )


def observed(seed, r=0.0, has_splits=False, has_e_modes=True, excess=1.0):
    """A cleaned sky, whose splits differ by so many times the noise that is described."""
    rng = np.random.default_rng(seed)
    _, both = cmb(rng, r, has_e_modes)
    return CleanedObservation(
        cmb=both + noise(rng),
        parameters=np.zeros((1, len(PIXELS))),
        converged=True,
        difference=noise(rng, excess * SIGMA) if has_splits else None,
    )


def analysis_of(cleaned, skies, spectra=PURE, multipole_ranges=((2, 12), (12, 18))):
    return Analysis(
        cleaned=cleaned,
        mocks=skies,
        parts=PARTS,
        pixels=PIXELS,
        nside=NSIDE,
        theory=THEORY,
        spectra=spectra,
        pixel_weights="uniform",
        amplitude_scatter=0.5,
        multipole_ranges=multipole_ranges,
    )


def bandpowers_with(scatter, **known):
    """Bandpowers of this scatter, of which all else that is not known is nothing."""
    names = ("bb", "noise", "bias", "residual", "lensing", "tensor")
    nothing = dict.fromkeys(names, np.zeros(len(scatter)))
    others = dict.fromkeys(("estimator", "mocks", "difference", "mock_differences"))
    return Bandpowers(scatter=scatter, **nothing | others | {"n_averaged": 10**6} | known)
