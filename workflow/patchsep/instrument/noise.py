"""White noise that is never stored: any realisation can be drawn again anywhere."""

import numpy as np

# Number of the "realisation" that is foregrounds alone, without CMB and noise.
FOREGROUNDS_ONLY = -1


def simulate_noise(
    sigma: np.ndarray, n_pixels: int, seed: int, realization: int, region: str
) -> np.ndarray:
    """Draw the noise of one realisation in one region.

    Parameters
    ----------
    sigma : array (n_bands,)
        Noise rms per pixel in µK_CMB, the same for Q and U.
    n_pixels : int
        Number of pixels of the region.
    seed, realization : int
    region : str
        The three together fix the draw: neither the other regions of a run nor the
        number of realisations change it.

    Returns
    -------
    array (n_bands, 2, n_pixels), µK_CMB
    """
    rng = np.random.default_rng([seed, realization, *region.encode()])
    return sigma[:, None, None] * rng.standard_normal((len(sigma), 2, n_pixels))
