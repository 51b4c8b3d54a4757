"""Spectral energy distributions of the components."""

from ..lazy import jnp

PARAMETERS = ("beta_dust", "temp_dust", "beta_synch")


DUST_REFERENCE, SYNCH_REFERENCE = 160.0, 20.0  # GHz, arXiv:2604.08463
CMB_TEMPERATURE = 2.7255  # K, Fixsen 2009 (arXiv:0911.1955), as in astropy and PySM
PLANCK_OVER_BOLTZMANN = 6.62607015e-34 / 1.380649e-23 * 1e9  # K per GHz, exact in the SI


def rj_per_cmb(frequency):
    """µK_RJ per µK_CMB at `frequency` (GHz): x² eˣ / (eˣ - 1)², x = hν / kT_CMB."""
    x = PLANCK_OVER_BOLTZMANN * frequency / CMB_TEMPERATURE
    return x**2 * jnp.exp(x) / jnp.expm1(x) ** 2


def dust_sed(frequency, beta_dust, temp_dust):
    """Modified black body in µK_CMB per µK_RJ at 160 GHz; temp_dust in K, arguments broadcast."""
    x = PLANCK_OVER_BOLTZMANN * frequency / temp_dust
    reference = PLANCK_OVER_BOLTZMANN * DUST_REFERENCE / temp_dust
    power = (frequency / DUST_REFERENCE) ** (beta_dust + 1)
    return power * jnp.expm1(reference) / jnp.expm1(x) / rj_per_cmb(frequency)


def synch_sed(frequency, beta_synch):
    """Power law in µK_CMB per µK_RJ at 20 GHz; arguments broadcast."""
    return (frequency / SYNCH_REFERENCE) ** beta_synch / rj_per_cmb(frequency)
