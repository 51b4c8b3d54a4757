"""Galactic foregrounds: PySM presets, or a seeded stand-in that needs no download."""

from dataclasses import dataclass

import healpy as hp
import numpy as np
import pysm3
import pysm3.units as u

from .harmonics import gaussian_qu, gaussian_scalar
from .instrument import Instrument

# Frequency at which regions are drawn on dust intensity, GHz.
INTENSITY_FREQUENCY = 353.0


@dataclass(frozen=True)
class Foregrounds:
    """Simulated foregrounds of one sky.

    Attributes
    ----------
    polarization : array (n_bands, 2, n_pixels)
        Q, U per band in µK_CMB, RING order.
    dust_intensity : array (n_pixels,)
        Total intensity at 353 GHz in µK_RJ.
    parameters : dict of str to array (n_pixels,)
        True `beta_dust`, `temp_dust` (K) and `beta_synch`; NaN for a parameter that
        the model does not have.
    """

    polarization: np.ndarray
    dust_intensity: np.ndarray
    parameters: dict[str, np.ndarray]


def simulate_foregrounds(
    model: str | list[str], instrument: Instrument, nside: int, seed: int = 0
) -> Foregrounds:
    """Simulate dust and synchrotron in every band.

    Parameters
    ----------
    model : "embedded" or list of PySM preset strings
        Presets such as ["d1", "s1"] are read by PySM from PYSM_LOCAL_DATA or its own
        download; see `embedded_sky` for the stand-in.
    seed : int
        Seed of the embedded sky; PySM presets have none.
    """
    sky = (
        embedded_sky(nside, seed)
        if model == "embedded"
        else pysm3.Sky(nside=nside, preset_strings=list(model))
    )

    def polarization(frequency):
        band = frequency * u.GHz
        emission = sky.get_emission(band)[1:]
        return emission.to_value(u.uK_CMB, equivalencies=u.cmb_equivalencies(band))

    intensity = sky.get_emission(INTENSITY_FREQUENCY * u.GHz)[0].to_value(u.uK_RJ)
    return Foregrounds(
        polarization=np.stack([polarization(frequency) for frequency in instrument.frequency]),
        dust_intensity=intensity,
        parameters=true_parameters(sky),
    )


def true_parameters(sky: pysm3.Sky) -> dict[str, np.ndarray]:
    """Spectral parameter maps of a sky, each (n_pixels,); NaN where the model has none."""
    attributes = {
        "beta_dust": "mbb_index",
        "temp_dust": "mbb_temperature",
        "beta_synch": "pl_index",
    }
    n_pixels = hp.nside2npix(sky.nside)
    maps = {}
    for name, attribute in attributes.items():
        values = [
            getattr(component, attribute).value
            for component in sky.components
            if hasattr(component, attribute)
        ]
        known = len(values) == 1 and values[0].size in (1, n_pixels)
        maps[name] = np.broadcast_to(values[0] if known else np.nan, n_pixels).astype(float)
    return maps


# Embedded sky. Amplitudes are D_80^EE over the 60 % of the sky outside the plane.
#
# Dust: C_ell ∝ ell^alpha with alpha_EE = -2.42, alpha_BB = -2.54 (Planck 2018 XI,
# arXiv:1801.04945, abstract) and B/E = 0.5; 160 µK²_CMB at 353 GHz.
# Synchrotron: alpha = -3.15 and B/E = 0.5 (Krachmalnicoff et al. 2018,
# arXiv:1802.01145); 10.6 µK²_RJ at 23 GHz.
# The two amplitudes are those of PySM 3's d1 and s1 templates on GAL060 at nside 64.
DUST_FREQUENCY, SYNCH_FREQUENCY = 353.0, 23.0
DUST_SPECTRUM = dict(d80_ee=160.0, alpha_ee=-2.42, alpha_bb=-2.54, b_to_e=0.5)
SYNCH_SPECTRUM = dict(d80_ee=10.6, alpha_ee=-3.15, alpha_bb=-3.15, b_to_e=0.5)

# Mean, scatter and slope of C_ell of the spectral parameters: mean and scatter are
# those of PySM's d1 and s1 maps (which go back to Planck 2015 X, arXiv:1502.01588, and
# Miville-Deschênes et al. 2008, arXiv:0802.3345), as are the slopes of the two dust
# maps (-2.0 and -2.3 for ell = 4 … 100). s1's beta_synch has no structure below 5°; the
# slope used is the -2.6 that S-PASS suggests (arXiv:1802.01145).
PARAMETER_FIELDS = {
    "beta_dust": dict(mean=1.54, scatter=0.037, slope=-2.0),
    "temp_dust": dict(mean=20.9, scatter=2.15, slope=-2.3),
    "beta_synch": dict(mean=-3.0, scatter=0.063, slope=-2.6),
}


def embedded_sky(nside: int, seed: int) -> pysm3.Sky:
    """A seeded dust and synchrotron sky for runs without templates.

    A stand-in for PySM's templates, not a model of our Galaxy: Gaussian Q, U with the
    published E/B spectra, multiplied by a profile in Galactic latitude so that the plane
    is bright, and Gaussian maps of beta_dust, temp_dust and beta_synch with the scatter
    and the coherence of those templates. Every field has a random stream of its own.

    Returns
    -------
    pysm3.Sky
        One `ModifiedBlackBody` and one `PowerLaw`, both with spatially varying spectra.
    """
    dust_qu, synch_qu, intensity, *parameters = np.random.SeedSequence(seed).spawn(6)
    field = {
        name: parameter_field(nside, np.random.default_rng(stream), **PARAMETER_FIELDS[name])
        for name, stream in zip(PARAMETER_FIELDS, parameters, strict=True)
    }
    brightness = latitude_profile(nside)
    to_rj = (1 * u.uK_CMB).to_value(
        u.uK_RJ, equivalencies=u.cmb_equivalencies(DUST_FREQUENCY * u.GHz)
    )
    dust = to_rj * brightness * polarized_emission(nside, dust_qu, **DUST_SPECTRUM)
    synch = brightness * polarized_emission(nside, synch_qu, **SYNCH_SPECTRUM)
    # Polarized at 5 % of a smooth, log-normal intensity; only regions are drawn from it.
    texture = np.exp(
        parameter_field(nside, np.random.default_rng(intensity), mean=0, scatter=0.3, slope=-2.5)
    )
    total = brightness**2 * texture * np.std(dust) / 0.05

    def unit(values, of):
        return values << of

    return pysm3.Sky(
        nside=nside,
        component_objects=[
            pysm3.ModifiedBlackBody(
                map_I=unit(total, u.uK_RJ),
                map_Q=unit(dust[0], u.uK_RJ),
                map_U=unit(dust[1], u.uK_RJ),
                freq_ref_I=DUST_FREQUENCY * u.GHz,
                freq_ref_P=DUST_FREQUENCY * u.GHz,
                map_mbb_index=field["beta_dust"],
                map_mbb_temperature=field["temp_dust"],
                unit_mbb_temperature=u.K,
                nside=nside,
            ),
            pysm3.PowerLaw(
                map_I=unit(np.zeros_like(total), u.uK_RJ),
                map_Q=unit(synch[0], u.uK_RJ),
                map_U=unit(synch[1], u.uK_RJ),
                freq_ref_I=SYNCH_FREQUENCY * u.GHz,
                freq_ref_P=SYNCH_FREQUENCY * u.GHz,
                map_pl_index=field["beta_synch"],
                nside=nside,
            ),
        ],
    )


def latitude_profile(nside: int) -> np.ndarray:
    """Brightness against Galactic latitude, (n_pixels,): softened cosec|b|.

    Normalised to unit mean square over |b| > 24°, the 60 % of the sky farthest from
    the plane, so that a field multiplied by it keeps its power there.
    """
    _, latitude = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    sine = np.abs(np.sin(np.radians(latitude)))
    profile = 1 / np.sqrt(sine**2 + 0.1**2)
    outside = sine > 0.4
    return profile / np.sqrt(np.mean(profile[outside] ** 2))


def polarized_emission(
    nside: int,
    stream: np.random.SeedSequence,
    d80_ee: float,
    alpha_ee: float,
    alpha_bb: float,
    b_to_e: float,
) -> np.ndarray:
    """Gaussian Q, U (2, n_pixels) with C_ell ∝ ell^alpha and D_80^EE = `d80_ee`."""
    amplitude = d80_ee * 2 * np.pi / (80 * 81)
    return gaussian_qu(
        amplitude * _power_law(nside, alpha_ee),
        b_to_e * amplitude * _power_law(nside, alpha_bb),
        nside,
        np.random.default_rng(stream),
    )


def parameter_field(nside: int, rng, mean: float, scatter: float, slope: float) -> np.ndarray:
    """Gaussian map (n_pixels,) of given mean and scatter with C_ell ∝ ell^slope."""
    field = gaussian_scalar(_power_law(nside, slope), nside, rng)
    return mean + scatter * (field - field.mean()) / field.std()


def _power_law(nside: int, alpha: float) -> np.ndarray:
    """(ell / 80)^alpha up to 3 nside - 1, zero below the quadrupole."""
    ell = np.arange(3 * nside, dtype=float)
    return np.where(ell >= 2, (np.maximum(ell, 1) / 80) ** alpha, 0.0)
