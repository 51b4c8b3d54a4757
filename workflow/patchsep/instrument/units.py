"""Units of brightness: µK_RJ and µK_CMB."""

import numpy as np

CMB_TEMPERATURE = 2.7255  # K, Fixsen 2009 (arXiv:0911.1955), as in astropy and PySM
PLANCK_OVER_BOLTZMANN = 6.62607015e-34 / 1.380649e-23 * 1e9  # K per GHz, exact in the SI


def rj_per_cmb(frequency):
    """µK_RJ per µK_CMB at `frequency` (GHz): x² eˣ / (eˣ - 1)², x = hν / kT_CMB."""
    x = PLANCK_OVER_BOLTZMANN * frequency / CMB_TEMPERATURE
    return x**2 * np.exp(x) / np.expm1(x) ** 2
