"""The window of HEALPix pixels: what means over them leave of a sky's multipoles."""

from functools import cache

import numpy as np

from ..lazy import healpy as hp

# A pixel is SUB² points, and the sky this many pixels: the window is right to 6e-4 up to 3 nside.
SUB, SAMPLED = 8, 401


@cache
def pixel_window(nside: int, lmax: int) -> np.ndarray:
    """W_ℓ (lmax + 1,) of maps whose values are means over pixels.

    W_ℓ² is the mean over pixels of (4π / (2ℓ + 1)) Σ_m |w_ℓm|² of a pixel w of unit integral
    (Górski et al. 2005, arXiv:astro-ph/0409513), which by the addition theorem is the mean of
    P_ℓ(cos γ) over all pairs of its points. Polarization has it too, to 2e-4 from nside 32 on.
    """
    pixels = np.linspace(0, 12 * nside**2 - 1, min(SAMPLED, 12 * nside**2)).astype(int)
    points = pixels[:, None] * SUB**2 + np.arange(SUB**2)
    vectors = np.array(hp.pix2vec(SUB * nside, points, nest=True))
    first, second = np.triu_indices(SUB**2)
    cosine = np.einsum("kpi,kpi->pi", vectors[..., first], vectors[..., second]).clip(-1, 1)
    of_pairs = np.where(first == second, 1.0, 2.0) / SUB**4 / len(pixels)
    before, here = np.zeros_like(cosine), np.ones_like(cosine)
    power = np.empty(lmax + 1)
    for ell in range(lmax + 1):
        power[ell] = np.sum(here @ of_pairs)
        before, here = here, ((2 * ell + 1) * cosine * here - ell * before) / (ell + 1)
    # Points stand for squares, whose window is this as long as they are small.
    ell = np.arange(lmax + 1)
    squares = np.exp(-ell * (ell + 1) * (hp.nside2resol(nside) / SUB) ** 2 / 24)
    window = np.sqrt(power) * squares
    window.setflags(write=False)
    return window
