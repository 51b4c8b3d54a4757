"""The embedded sky: a seeded stand-in for the Galaxy that needs no download."""

import numpy as np
import pysm3
import pysm3.units as u

from ..lazy import healpy as hp
from .harmonics import gaussian_qu, power_law
from .parameter_fields import gaussian_field, parameter_field
from .spectral_model import DUST_AND_SYNCHROTRON

# Embedded sky. Amplitudes are D_80^EE over the 60 % of the sky with the faintest dust.
#
# Dust: C_ell ∝ ell^alpha with alpha_EE = -2.42, alpha_BB = -2.54 (Planck 2018 XI,
# arXiv:1801.04945, abstract) and B/E = 0.5; 160 µK²_CMB at 353 GHz.
# Synchrotron: alpha = -3.15 and B/E = 0.5 (Krachmalnicoff et al. 2018,
# arXiv:1802.01145); 10.6 µK²_RJ at 23 GHz.
# The two amplitudes are those of PySM 3's d1 and s1 templates on GAL060 at nside 64.
DUST_FREQUENCY, SYNCH_FREQUENCY = 353.0, 23.0
DUST_SPECTRUM = dict(d80_ee=160.0, alpha_ee=-2.42, alpha_bb=-2.54, b_to_e=0.5)
SYNCH_SPECTRUM = dict(d80_ee=10.6, alpha_ee=-3.15, alpha_bb=-3.15, b_to_e=0.5)
# Below this multipole the spectra are flat: the largest scales come from the brightness.
EMISSION_KNEE = 10


def embedded_sky(nside: int, seed: int) -> pysm3.Sky:
    """A seeded dust and synchrotron sky for runs without templates.

    A stand-in for PySM's templates, not a model of our Galaxy: Gaussian Q, U with the
    published E/B spectra, multiplied by a brightness that grows towards the plane, and
    Gaussian maps of beta_dust, temp_dust and beta_synch with the scatter and the coherence
    of those templates. Every field has a random stream of its own.

    Returns
    -------
    pysm3.Sky
        One `ModifiedBlackBody` and one `PowerLaw`, both with spatially varying spectra.
    """
    parameters = DUST_AND_SYNCHROTRON.parameters
    dust_stream, synch_stream, texture_stream, *parameter_streams = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(3 + len(parameters))
    )
    field = {
        one.name: parameter_field(nside, rng, one)
        for one, rng in zip(parameters, parameter_streams, strict=True)
    }
    brightness = galactic_brightness(nside, texture_stream)
    to_rj = (1 * u.uK_CMB).to_value(
        u.uK_RJ, equivalencies=u.cmb_equivalencies(DUST_FREQUENCY * u.GHz)
    )
    dust = to_rj * brightness * polarized_emission(nside, dust_stream, **DUST_SPECTRUM)
    # Synchrotron rises less towards the plane than dust does.
    synch_brightness = on_faint_sky(np.sqrt(brightness))
    synch = synch_brightness * polarized_emission(nside, synch_stream, **SYNCH_SPECTRUM)
    # Regions are drawn from the intensity, polarized at 5 %; nothing else uses it.
    total = brightness * np.std(dust) / 0.05

    return pysm3.Sky(
        nside=nside,
        component_objects=[
            pysm3.ModifiedBlackBody(
                map_I=total << u.uK_RJ,
                map_Q=dust[0] << u.uK_RJ,
                map_U=dust[1] << u.uK_RJ,
                freq_ref_I=DUST_FREQUENCY * u.GHz,
                freq_ref_P=DUST_FREQUENCY * u.GHz,
                map_mbb_index=field["beta_dust"],
                map_mbb_temperature=field["temp_dust"],
                unit_mbb_temperature=u.K,
                nside=nside,
            ),
            pysm3.PowerLaw(
                map_I=np.zeros_like(total) << u.uK_RJ,
                map_Q=synch[0] << u.uK_RJ,
                map_U=synch[1] << u.uK_RJ,
                freq_ref_I=SYNCH_FREQUENCY * u.GHz,
                freq_ref_P=SYNCH_FREQUENCY * u.GHz,
                map_pl_index=field["beta_synch"],
                nside=nside,
            ),
        ],
    )


def galactic_brightness(nside: int, rng: np.random.Generator) -> np.ndarray:
    """Brightness of the Galaxy, (n_pixels,): softened cosec|b| with log-normal texture."""
    _, latitude = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    cosecant = 1 / np.hypot(np.sin(np.radians(latitude)), 0.1)
    texture = gaussian_field(nside, rng, mean=0.0, scatter=0.4, slope=-3.0)
    return on_faint_sky(cosecant * np.exp(texture))


def on_faint_sky(brightness: np.ndarray) -> np.ndarray:
    """`brightness` (n_pixels,) with unit mean square over its faintest 60 % of the sky.

    A field multiplied by it keeps its power there.
    """
    faint = brightness <= np.quantile(brightness, 0.6)
    return brightness / np.sqrt(np.mean(brightness[faint] ** 2))


def polarized_emission(
    nside: int,
    rng: np.random.Generator,
    d80_ee: float,
    alpha_ee: float,
    alpha_bb: float,
    b_to_e: float,
) -> np.ndarray:
    """Gaussian Q, U (2, n_pixels) with C_ell ∝ ell^alpha and D_80^EE = `d80_ee`."""
    amplitude = d80_ee * 2 * np.pi / (80 * 81)
    cl_ee = amplitude * power_law(nside, alpha_ee, EMISSION_KNEE)
    cl_bb = b_to_e * amplitude * power_law(nside, alpha_bb, EMISSION_KNEE)
    return gaussian_qu(cl_ee, cl_bb, nside, rng)
