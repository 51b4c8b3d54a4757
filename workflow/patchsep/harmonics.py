"""Spherical harmonics on HEALPix maps: Gaussian fields and polarization spectra."""

import os
from functools import cache

import ducc0
import healpy as hp
import numpy as np

# healpy's default number of Jacobi iterations in map2alm.
ITERATIONS = 3


def n_cores() -> int:
    """Cores that this process may use: on a cluster fewer than there are."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@cache
def _geometry(nside: int) -> dict:
    return ducc0.healpix.Healpix_Base(nside, "RING").sht_info()


def gaussian_alm(cl: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw harmonic coefficients of a real Gaussian field.

    Parameters
    ----------
    cl : array (lmax + 1,)
        Angular power spectrum.
    rng : numpy.random.Generator
        Source of the draw; nothing global is touched.

    Returns
    -------
    array (n_alm,), complex
        a_lm for m >= 0 in healpy's order, with <|a_lm|²> = C_ell.
    """
    lmax = len(cl) - 1
    ell, m = hp.Alm.getlm(lmax)
    real, imag = rng.standard_normal((2, len(ell)))
    alm = np.where(m == 0, real, (real + 1j * imag) / np.sqrt(2))
    return np.sqrt(np.asarray(cl)[ell]) * alm


def gaussian_qu(cl_ee, cl_bb, nside: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian polarization map (2, n_pixels) with E/B spectra `cl_ee`, `cl_bb`.

    Spectra are arrays (lmax + 1,) in the map's unit squared. No beam and no pixel
    window are applied.
    """
    alm = np.stack([gaussian_alm(cl_ee, rng), gaussian_alm(cl_bb, rng)])
    return ducc0.sht.synthesis(alm=alm, spin=2, lmax=len(cl_ee) - 1, **_geometry(nside))


def gaussian_scalar(cl, nside: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian scalar map (n_pixels,) with spectrum `cl` (lmax + 1,)."""
    alm = gaussian_alm(cl, rng)[None]
    return ducc0.sht.synthesis(alm=alm, spin=0, lmax=len(cl) - 1, **_geometry(nside))[0]


def b_modes(qu: np.ndarray, lmax: int) -> np.ndarray:
    """B-mode coefficients of a polarization map, as `healpy.map2alm` defines them.

    Parameters
    ----------
    qu : array (2, n_pixels)
        Q and U in RING order, HEALPix (COSMO) convention, zero where masked.
    lmax : int
        Highest multipole returned.

    Returns
    -------
    array (n_alm,), complex
        Linear in the map.
    """
    nside = hp.npix2nside(qu.shape[-1])
    # The analysis band is that of the map, so that power above lmax is not aliased.
    band = dict(spin=2, lmax=3 * nside - 1, **_geometry(nside))
    qu = np.ascontiguousarray(qu, dtype=float)
    weight = 4 * np.pi / qu.shape[-1]
    alm = weight * ducc0.sht.adjoint_synthesis(map=qu, **band)
    for _ in range(ITERATIONS):
        alm += weight * ducc0.sht.adjoint_synthesis(
            map=qu - ducc0.sht.synthesis(alm=alm, **band), **band
        )
    return hp.resize_alm(alm[1], 3 * nside - 1, 3 * nside - 1, lmax, lmax)


def bb_spectrum(qu: np.ndarray, lmax: int) -> np.ndarray:
    """BB pseudo-spectrum (lmax + 1,) of a polarization map, as `healpy.anafast` defines it.

    Uncorrected for the mask: divide by f_sky for the published estimator. `qu` and `lmax`
    are those of `b_modes`.
    """
    return hp.alm2cl(b_modes(qu, lmax))
