"""The CMB: CAMB spectra of one cosmology, and polarization maps drawn from them."""

import camb
import numpy as np
import pandas as pd

from .harmonics import gaussian_qu

# The cosmology of the spectra with which arXiv:2604.08463 estimated r. It is not that of its own
# maps: no tau is given, so CAMB reionizes at z_re = 10, and n_t follows the inflation
# consistency relation instead of being zero.
PUBLISHED_COSMOLOGY = {
    "H0": 67.5,
    "ombh2": 0.022,
    "omch2": 0.122,
    "mnu": 0.06,
    "tau": None,
    "As": 2e-9,
    "ns": 0.965,
    "nt": None,
}


def cmb_spectra(cosmology: dict, lmax: int) -> pd.DataFrame:
    """Lensed scalar and tensor (r = 1) polarization spectra.

    Parameters
    ----------
    cosmology : dict
        H0 (km/s/Mpc), ombh2, omch2, mnu (eV), tau, As, ns and nt, as CAMB names them;
        `nt` None stands for the consistency relation, `tau` None for z_re = 10.
    lmax : int
        Highest multipole.

    Returns
    -------
    DataFrame
        Columns `ell` (0 … lmax) and `ee_scalar`, `bb_lensing`, `ee_tensor`, `bb_tensor`:
        C_ell in µK²_CMB.
    """
    background = {key: cosmology[key] for key in ("H0", "ombh2", "omch2", "mnu", "tau")}
    primordial = {key: cosmology[key] for key in ("As", "ns", "nt")}
    parameters = camb.CAMBparams()
    parameters.set_cosmology(**background)
    parameters.InitPower.set_params(r=1.0, **primordial)
    parameters.WantTensors = True
    # Lensing B modes at ell ~ 100 need E modes up to ell ~ 1000 and above.
    parameters.set_for_lmax(max(lmax, 2000), lens_potential_accuracy=1)
    parameters.max_l_tensor = max(lmax + 100, 600)
    powers = camb.get_results(parameters).get_cmb_power_spectra(
        parameters, lmax=lmax, CMB_unit="muK", raw_cl=True
    )
    return pd.DataFrame(
        {
            "ell": np.arange(lmax + 1),
            "ee_scalar": powers["lensed_scalar"][:, 1],
            "bb_lensing": powers["lensed_scalar"][:, 2],
            "ee_tensor": powers["tensor"][:, 1],
            "bb_tensor": powers["tensor"][:, 2],
        }
    )


def simulate_cmb(
    spectra: pd.DataFrame, r: float, nside: int, seed: int, window: np.ndarray | float = 1.0
) -> np.ndarray:
    """Draw the CMB polarization, (2, n_pixels) in µK_CMB.

    C_ell = lensed scalars + r × tensors, from `cmb_spectra`. The same seed gives the
    same sky whatever `r`, `nside` and the `window` are, up to the amplitude of its modes. The
    window (n_ell,) multiplies its multipoles, such as `beam.common_window`.
    """
    scalar, lensing = (spectra[name].to_numpy() for name in ("ee_scalar", "bb_lensing"))
    ee, bb = (spectra[name].to_numpy() for name in ("ee_tensor", "bb_tensor"))
    seen = np.square(window)
    rng = np.random.default_rng(seed)
    return gaussian_qu(seen * (scalar + r * ee), seen * (lensing + r * bb), nside, rng)
