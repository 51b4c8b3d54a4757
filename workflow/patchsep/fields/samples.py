"""Samples of the posterior, by perturbation: errors of every map at one more fit each.

The data are perturbed by noise like theirs, what the prior expects by a draw from the prior, and
the maximum is found again: its scatter is that of the posterior, exactly for a linear model
("perturb and maximise", Papandreou & Yuille 2010; for CMB maps Jewell et al. 2004,
arXiv:astro-ph/0209560).
"""

import numpy as np

from ..instrument.larger_pixels import LargerPixels
from ..instrument.noise import WhiteNoise
from ..observation.bands import Bands
from .basis import Basis
from .fit import Maximum, Means, recover_cmb


def posterior_samples(
    data: np.ndarray,
    basis: Basis,
    noise: WhiteNoise,
    bands: Bands,
    found: Maximum,
    n_samples: int,
    seed: int,
    means: Means | None = None,
    **limits,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw parameters and CMB from the posterior of one observation.

    Parameters
    ----------
    data : array (n_bands, 2, n_pixels), µK_CMB
    basis : Basis
        Of the same pixels, or of larger ones.
    noise : WhiteNoise
    bands : Bands
        With the same noise.
    found : Maximum
        Of the observation, where searches start.
    n_samples, seed : int
    means : Means, optional
        What parameters are fitted to, if not to the data themselves.
    limits :
        `max_iterations` and `tolerance` of `fit.maximize`.

    Returns
    -------
    parameters : array (n_samples, n_parameters, n_pixels)
    cmb : array (n_samples, 2, n_pixels), µK_CMB
    converged : bool array (n_samples,)
    """
    if means is None:
        means = Means(LargerPixels(basis.pixels, basis.nside, basis.nside), bands)
    remainders = np.array([v.remainder for v in basis.variations])
    finite = np.where(np.isfinite(remainders), remainders, 0.0)[:, None]
    tolerance = limits.get("tolerance", 1e-3)
    parameters, cmb, converged = [], [], []
    for number in range(n_samples):
        rng = np.random.default_rng([seed, number])
        perturbed = data + noise.by_pixel * rng.standard_normal(data.shape)
        # Of coefficients without prior there is no draw, and none is needed.
        coefficients = rng.standard_normal(basis.size) * (basis.precision > 0)
        shifts = finite * rng.standard_normal((len(remainders), len(basis.pixels)))
        sample = means.maximum(
            perturbed,
            basis,
            start=(found.coefficients, found.at.parameters),
            centre=(coefficients, shifts),
            **limits,
        )
        parameters.append(means.parameters(sample))
        cmb.append(np.stack(recover_cmb(parameters[-1], perturbed, bands).cmb))
        converged.append(sample.gradient < tolerance and np.isfinite(cmb[-1]).all())
    return np.stack(parameters), np.stack(cmb), np.array(converged)
