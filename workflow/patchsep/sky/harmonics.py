"""Spherical harmonics on HEALPix maps: Gaussian fields and polarization spectra."""

import os
from functools import cache

import ducc0
import numpy as np

from ..lazy import healpy as hp

# healpy's default number of Jacobi iterations in map2alm.
ITERATIONS = 3
# Of analyses by least squares: iterations at most, and the relative error that is left.
MOST_STEPS, CLOSE = 100, 1e-6
# The same of maps with noise: later steps make that of multipoles above 1.75 nside several times as
# large, where they change signals by less than a thousandth.
STEPS_WITH_NOISE = 5


def n_cores() -> int:
    """Cores that this process may use: a job's threads, and on a cluster fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(allowed, int(os.environ.get("OMP_NUM_THREADS", allowed)))


@cache
def geometry(nside: int) -> dict:
    """Rings of HEALPix maps, as ducc0's transforms have them."""
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
    return ducc0.sht.synthesis(alm=alm, spin=2, lmax=len(cl_ee) - 1, **geometry(nside))


def gaussian_scalar(cl, nside: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian scalar map (n_pixels,) with spectrum `cl` (lmax + 1,)."""
    alm = gaussian_alm(cl, rng)[None]
    return ducc0.sht.synthesis(alm=alm, spin=0, lmax=len(cl) - 1, **geometry(nside))[0]


def analyze(maps: np.ndarray, spin: int, lmax: int, iterations: int = ITERATIONS) -> np.ndarray:
    """Harmonic coefficients of a map, as `healpy.map2alm` defines them.

    Parameters
    ----------
    maps : array (1, n_pixels) of spin 0, or (2, n_pixels)
        In RING order; of spin 2, Q and U in HEALPix (COSMO) convention. Zero where masked.
    spin : int
    lmax : int
        Highest multipole returned.
    iterations : int
        Jacobi iterations.

    Returns
    -------
    array (1, n_alm), or (2, n_alm) of E and B; complex
        Linear in the map.
    """
    nside = hp.npix2nside(maps.shape[-1])
    # The analysis band is that of the map, so that power above lmax is not aliased.
    highest = 3 * nside - 1
    band = dict(spin=spin, lmax=highest, **geometry(nside))
    maps = np.ascontiguousarray(maps, dtype=float)
    weight = 4 * np.pi / maps.shape[-1]
    alm = weight * ducc0.sht.adjoint_synthesis(map=maps, **band)
    for _ in range(iterations):
        alm += weight * ducc0.sht.adjoint_synthesis(
            map=maps - ducc0.sht.synthesis(alm=alm, **band), **band
        )
    return np.stack([hp.resize_alm(one, highest, highest, lmax, lmax) for one in alm])


def synthesize(alm: np.ndarray, spin: int, nside: int) -> np.ndarray:
    """Maps (1 or 2, n_pixels) of coefficients (1 or 2, n_alm) of a spin."""
    lmax = hp.Alm.getlmax(alm.shape[-1])
    return ducc0.sht.synthesis(alm=alm, spin=spin, lmax=lmax, **geometry(nside))


def synthesize_filtered(alm: np.ndarray, window: np.ndarray, nside: int) -> np.ndarray:
    """Q, U (2, 12 nside²) of E and B (2, n_alm) that are multiplied by a window (n_ell,)."""
    return synthesize(np.stack([hp.almxfl(one, window) for one in alm]), 2, nside)


def smoothed(
    maps: np.ndarray, window: np.ndarray, nside: int, finer: int | None = None
) -> np.ndarray:
    """Maps of Q and U whose multipoles are multiplied by a window; none above 3 nside - 1 is kept.

    Parameters
    ----------
    maps : array (n_maps, 2, 12 nside²)
    window : array (3 nside,)
    nside : int
    finer : int, optional
        nside of the result, if it is another.
    """
    lmax = 3 * nside - 1
    modes = (analyze_exactly(qu, 2, lmax) for qu in maps)
    return np.stack([synthesize_filtered(alm, window, finer or nside) for alm in modes])


def analyze_exactly(
    maps: np.ndarray, spin: int, lmax: int, most_steps: int = MOST_STEPS
) -> np.ndarray:
    """Coefficients up to lmax that fit a map by least squares, as `analyze` has them.

    Jacobi iterations do not end at multipoles close to 3 nside.
    """
    nside = hp.npix2nside(maps.shape[-1])
    maps = np.ascontiguousarray(maps, dtype=float)
    how = dict(spin=spin, lmax=lmax, maxiter=most_steps, epsilon=CLOSE, **geometry(nside))
    return ducc0.sht.pseudo_analysis(map=maps, **how)[0]


def to_galactic(alm: np.ndarray, coordinates: str) -> np.ndarray:
    """Coefficients (n, n_alm) of a sky in Galactic coordinates; E and B turn by themselves.

    Parameters
    ----------
    alm : array (n, n_alm), complex
        Of maps, or E and B of polarization, whose angle turns with the poles.
    coordinates : str
        G, C or E, what they are in: Galactic, celestial or ecliptic.
    """
    if coordinates == "G":
        return alm
    angles = hp.rotator.coordsys2euler_zyz([coordinates, "G"])
    return ducc0.sht.rotate_alm(alm, hp.Alm.getlmax(alm.shape[-1]), *angles)


def power_law(nside: int, alpha: float, knee: int = 1) -> np.ndarray:
    """(ell / 80)^alpha up to 3 nside - 1, flat below `knee`, zero below the quadrupole."""
    ell = np.arange(3 * nside, dtype=float)
    return np.where(ell >= 2, (np.maximum(ell, knee) / 80) ** alpha, 0.0)
