"""The embedded sky: a seeded stand-in for the Galaxy that needs no download."""

import numpy as np
import pysm3
import pysm3.units as u

from ..lazy import healpy as hp
from .complexity import Complexity
from .components import Component
from .harmonics import gaussian_qu, power_law
from .parameter_fields import gaussian_field, parameter_field
from .spectral_model import CURVATURE, DUST_AND_SYNCHROTRON, component

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
POLARIZATION_OF_DUST = 0.05

# Spinning dust: its intensity over that of dust, (8.3 ± 0.8) 10⁶ µK per optical depth at 353 GHz
# (Planck 2015 XXV, arXiv:1506.06660), of dust of 20 K.
SPINNING_FREQUENCY = 22.8
SPINNING_PER_DUST = 8.3e6 / 12.7e6
# One modified black body and one power law, whose spectra vary as published maps do.
AS_PUBLISHED = Complexity()


class AnalyticEmission(pysm3.Model):
    """Polarized emission of a component whose spectrum is the same everywhere.

    Parameters
    ----------
    component : Component
    parameters : list of float
    maps : array (2, 12 nside²)
        Q, U at the component's reference frequency, µK_RJ.
    nside : int
    """

    def __init__(self, component: Component, parameters: list[float], maps, nside: int):
        super().__init__(nside=nside)
        self.component, self.parameters, self.maps = component, parameters, maps

    def get_emission(self, freqs, weights=None):
        """I (zero), Q, U at one frequency, µK_RJ."""
        factor = self.component.brightness(u.Quantity(freqs).to_value(u.GHz), *self.parameters)
        return np.stack([np.zeros_like(self.maps[0]), *(factor * self.maps)]) << u.uK_RJ


def embedded_sky(nside: int, seed: int, complexity: Complexity = AS_PUBLISHED) -> pysm3.Sky:
    """A seeded dust and synchrotron sky for runs without templates.

    A stand-in for PySM's templates, not a model of our Galaxy: Gaussian Q, U with the
    published E/B spectra, multiplied by a brightness that grows towards the plane, and
    Gaussian maps of beta_dust, temp_dust and beta_synch with the scatter and the coherence
    of those templates. Every field has a random stream of its own; skies of one seed and number of
    layers have the same fields, whatever else their complexity is.

    Returns
    -------
    pysm3.Sky
        A `ModifiedBlackBody` per layer, one `PowerLaw` or `CurvedPowerLaw`, and spinning dust if
        there is any.
    """
    parameters, n_layers = DUST_AND_SYNCHROTRON.parameters, complexity.layers
    dust_stream, synch_stream, texture_stream, *others = map(
        np.random.default_rng,
        np.random.SeedSequence(seed).spawn(3 + len(parameters) + 1 + 3 * n_layers),
    )
    parameter_streams, curvature_stream = others[: len(parameters)], others[len(parameters)]
    layer_streams = np.reshape(others[len(parameters) + 1 :], (n_layers, 3))
    field = {
        one.name: parameter_field(nside, rng, one.scattered(complexity.scatter))
        for one, rng in zip(parameters, parameter_streams, strict=True)
    }
    brightness = galactic_brightness(nside, texture_stream)
    to_rj = (1 * u.uK_CMB).to_value(
        u.uK_RJ, equivalencies=u.cmb_equivalencies(DUST_FREQUENCY * u.GHz)
    )
    emission_streams = [dust_stream, *(streams[0] for streams in layer_streams[1:])]
    layers = [
        to_rj * brightness * polarized_emission(nside, rng, **DUST_SPECTRUM)
        for rng in emission_streams
    ] / np.sqrt(n_layers)
    dust = layers.sum(axis=0)
    # Synchrotron rises less towards the plane than dust does.
    synch_brightness = on_faint_sky(np.sqrt(brightness))
    synch = synch_brightness * polarized_emission(nside, synch_stream, **SYNCH_SPECTRUM)
    # Regions are drawn from the intensity; nothing else uses it, and the first layer has all of it.
    total = brightness * np.std(dust) / POLARIZATION_OF_DUST
    dark = np.zeros_like(total)

    sky = []
    places = layer_places(n_layers)
    intensities = [total, *(n_layers - 1) * [dark]]
    for place, streams, intensity, qu in zip(
        places, layer_streams, intensities, layers, strict=True
    ):
        index, temperature = (
            field[one.name] + _layer_departure(nside, rng, one, place, complexity.layer_scatter)
            for one, rng in zip(parameters[:2], streams[1:], strict=True)
        )
        sky.append(
            pysm3.ModifiedBlackBody(
                **_polarized(nside, intensity, qu, DUST_FREQUENCY),
                map_mbb_index=index,
                map_mbb_temperature=temperature,
                unit_mbb_temperature=u.K,
            )
        )
    kind, synchrotron = pysm3.PowerLaw, _polarized(nside, dark, synch, SYNCH_FREQUENCY)
    if complexity.curvature:
        relative = parameter_field(nside, curvature_stream, CURVATURE) / CURVATURE.mean
        curved = {
            "spectral_curvature": complexity.curvature * relative,
            "freq_curve": SYNCH_FREQUENCY * u.GHz,
        }
        kind, synchrotron = pysm3.CurvedPowerLaw, synchrotron | curved
    sky.append(kind(**synchrotron, map_pl_index=field["beta_synch"]))
    if complexity.spinning_dust:
        relative = complexity.spinning_dust * SPINNING_PER_DUST / POLARIZATION_OF_DUST
        spinning = component("spinning", "spinning_dust", reference=SPINNING_FREQUENCY)
        sky.append(AnalyticEmission(spinning, spinning.start, relative * dust, nside))
    return pysm3.Sky(nside=nside, component_objects=sky)


def _polarized(nside, intensity, qu, frequency) -> dict:
    """What PySM's components take of maps in µK_RJ at a frequency in GHz."""
    return {
        **{f"map_{one}": values << u.uK_RJ for one, values in zip("IQU", (intensity, *qu))},
        **dict.fromkeys(("freq_ref_I", "freq_ref_P"), frequency * u.GHz),
        "nside": nside,
    }


def layer_places(n_layers: int) -> np.ndarray:
    """Where the means of layers' parameters are, (n_layers,): evenly spaced, of unit variance."""
    even = np.arange(n_layers) - (n_layers - 1) / 2
    return even / even.std() if n_layers > 1 else even


def _layer_departure(nside, rng, parameter, place, scatter) -> np.ndarray | float:
    """Of one layer's parameter from that of all, with so many times the published scatter."""
    if not scatter:
        return 0.0
    # Warmer layers have flatter spectra, as of maps of both.
    mean = -place if parameter.inverse else place
    field = gaussian_field(nside, rng, 0.0, parameter.scatter, parameter.slope)
    return scatter * (mean * parameter.scatter + field) / np.sqrt(2)


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
