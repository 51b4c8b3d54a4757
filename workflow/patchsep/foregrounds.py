"""Galactic foregrounds: PySM presets, or a seeded stand-in that needs no download."""

from dataclasses import dataclass

import numpy as np
import pysm3
import pysm3.units as u

from .harmonics import gaussian_qu, power_law
from .instrument import Instrument
from .lazy import healpy as hp
from .parameter_fields import PARAMETER_FIELDS, parameter_field

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
    sky = foreground_sky(model, nside, seed)
    intensity = sky.get_emission(INTENSITY_FREQUENCY * u.GHz)[0].to_value(u.uK_RJ)
    return Foregrounds(
        polarization=polarization(sky, instrument),
        dust_intensity=intensity,
        parameters=true_parameters(sky),
    )


def foreground_sky(model: str | list[str], nside: int, seed: int = 0) -> pysm3.Sky:
    """PySM's sky of a model, see `simulate_foregrounds`."""
    if model == "embedded":
        return embedded_sky(nside, seed)
    return pysm3.Sky(nside=nside, preset_strings=list(model))


def polarization(sky: pysm3.Sky, instrument: Instrument) -> np.ndarray:
    """Q, U of a sky in every band, (n_bands, 2, n_pixels) in µK_CMB."""

    def in_band(frequency):
        band = frequency * u.GHz
        emission = sky.get_emission(band)[1:]
        return emission.to_value(u.uK_CMB, equivalencies=u.cmb_equivalencies(band))

    return np.stack([in_band(frequency) for frequency in instrument.frequency])


# Where PySM's components keep their spectral parameters.
ATTRIBUTES = {"beta_dust": "mbb_index", "temp_dust": "mbb_temperature", "beta_synch": "pl_index"}


def set_parameters(sky: pysm3.Sky, parameters: dict[str, np.ndarray]):
    """Replace spectral parameters of a sky by maps (n_pixels,), temperatures in K.

    Raises
    ------
    ValueError
        If not exactly one component of the sky has such a parameter.
    """
    for name, values in parameters.items():
        owners = [one for one in sky.components if hasattr(one, ATTRIBUTES[name])]
        if len(owners) != 1:
            raise ValueError(
                f"{len(owners)} components of this model have a {name}; its parameters can be "
                "replaced in models of one modified black body and one power law, such as [d1, s1]"
            )
        unit = getattr(owners[0], ATTRIBUTES[name]).unit
        setattr(owners[0], ATTRIBUTES[name], np.asarray(values) << unit)


def true_parameters(sky: pysm3.Sky) -> dict[str, np.ndarray]:
    """Spectral parameter maps of a sky, each (n_pixels,); NaN where the model has none."""
    n_pixels = hp.nside2npix(sky.nside)
    maps = {}
    for name, attribute in ATTRIBUTES.items():
        values = [
            getattr(component, attribute).value
            for component in sky.components
            if hasattr(component, attribute)
        ]
        known = len(values) == 1 and values[0].size in (1, n_pixels)
        maps[name] = np.broadcast_to(values[0] if known else np.nan, n_pixels).astype(float)
    return maps


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
    dust_stream, synch_stream, texture_stream, *parameter_streams = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(6)
    )
    field = {
        name: parameter_field(nside, rng, **PARAMETER_FIELDS[name])
        for name, rng in zip(PARAMETER_FIELDS, parameter_streams, strict=True)
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
    texture = parameter_field(nside, rng, mean=0.0, scatter=0.4, slope=-3.0)
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
