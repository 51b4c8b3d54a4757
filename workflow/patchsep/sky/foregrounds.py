"""Galactic foregrounds: PySM presets, or a seeded stand-in that needs no download."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from traceback import walk_tb

import numpy as np
import pysm3
import pysm3.units as u
from astropy.utils.data import conf

from ..instrument.bandpass import SIMULATED_NODES, over_band
from ..instrument.instrument import Instrument
from ..instrument.miscalibration import bands_as_built
from ..lazy import healpy as hp
from .complexity import Complexity
from .embedded import embedded_sky
from .presets import templates, templates_in_code
from .spectral_model import SpectralModel

# What PySM says of a file that is missing goes to a job's log, and is not all there is to say.
logging.getLogger("pysm3").addHandler(logging.NullHandler())

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
        True spectral parameters by name, temperatures in K; NaN for one that the sky does not
        have.
    """

    polarization: np.ndarray
    dust_intensity: np.ndarray
    parameters: dict[str, np.ndarray]


def simulate_foregrounds(
    presets: str | list[str],
    nodes: np.ndarray,
    weights: np.ndarray,
    nside: int,
    model: SpectralModel,
    **embedded,
) -> Foregrounds:
    """Simulate dust and synchrotron in every band.

    Parameters
    ----------
    presets : "embedded" or list of PySM preset strings
        Presets such as ["d1", "s1"] are read by PySM from PYSM_LOCAL_DATA or its own
        download; see `embedded_sky` for the stand-in.
    nodes, weights : arrays (n_bands, n_nodes)
        Of `instrument.bandpass.Bandpasses`.
    model : SpectralModel
        Whose parameters are told.
    embedded :
        `seed` and complexity of the embedded sky, see `foreground_sky`.
    """
    sky = foreground_sky(presets, nside, **embedded)
    # Some components read what they need for a frequency only when asked for it.
    with _downloads_told(presets, nside):
        intensity = sky.get_emission(INTENSITY_FREQUENCY * u.GHz)[0].to_value(u.uK_RJ)
        bands = polarization(sky, nodes, weights)
    return Foregrounds(
        polarization=bands,
        dust_intensity=intensity,
        parameters=true_parameters(sky, model),
    )


def foregrounds_in_bands(
    settings: Mapping, instrument: Instrument, nside: int, model: SpectralModel
) -> tuple[Foregrounds, np.ndarray | None]:
    """Simulate the foregrounds of the settings `foregrounds` in an instrument's bands.

    Returns
    -------
    Foregrounds
        Without beams, and without what errors of gain and angle make of Q and U.
    response : array (n_bands, 2, 2), or None
        What they make of them, see `miscalibration.bands_as_built`.
    """
    settings = dict(settings)
    errors = settings.pop("miscalibration", {})
    bands, response = bands_as_built(instrument, SIMULATED_NODES, **errors)
    presets = settings.pop("model")
    return (
        simulate_foregrounds(presets, bands.nodes, bands.weights, nside, model, **settings),
        response,
    )


def foreground_sky(model: str | list[str], nside: int, seed: int = 0, **complexity) -> pysm3.Sky:
    """PySM's sky of presets, see `simulate_foregrounds`.

    Parameters
    ----------
    model : "embedded" or list of PySM preset strings
        See `simulate_foregrounds`.
    nside : int
    seed : int
        Of the embedded sky; PySM presets have none.
    complexity :
        Of the embedded sky, see `Complexity.of`.

    Raises
    ------
    MissingTemplate
        If PySM cannot download what they need.
    """
    if model == "embedded":
        return embedded_sky(nside, seed, Complexity.of(**complexity))
    with _downloads_told(model, nside):
        return pysm3.Sky(nside=nside, preset_strings=list(model))


class MissingTemplate(OSError):
    """A template of PySM that is not here and could not be downloaded."""


def missing_template(preset: str, nside: int) -> str | None:
    """The first template that a preset needs and that is not on this machine, if there is one.

    What it reads for other frequencies than that of dust intensity is not looked for.
    """
    try:
        with conf.set_temp("allow_internet", False):
            sky = pysm3.Sky(nside=nside, preset_strings=[preset])
            # Some components read what they need for a frequency only when asked for it.
            sky.get_emission(INTENSITY_FREQUENCY * u.GHz)
    except OSError as error:
        return _asked_for(error)
    return None


@contextmanager
def _downloads_told(presets, nside) -> Iterator[None]:
    """Say of a download that fails which preset needs it, and how to do without."""
    try:
        yield
    except OSError as error:
        name = _asked_for(error)
        if name is None:
            raise
        readers = [preset for preset in presets if _may_read(preset, nside, name)]
        raise MissingTemplate(
            f"foregrounds.model: {', '.join(readers or presets)} needs {name}, which cannot be "
            f"downloaded ({getattr(error, 'reason', error)}). Get {pysm3.utils.data.DATAURL}{name} "
            "on a machine that can, into the folder that PYSM_LOCAL_DATA names"
        ) from error


def _may_read(preset, nside, name) -> bool:
    known = (*templates(preset, nside), *templates_in_code(preset))
    return any(fnmatch(name, template) for template in known)


def _asked_for(error) -> str | None:
    """The template that PySM was looking for when an error came up."""
    code = pysm3.utils.RemoteData.get.__code__
    frames = (frame for frame, _ in walk_tb(error.__traceback__) if frame.f_code is code)
    return next((frame.f_locals["filename"] for frame in frames), None)


def polarization(sky: pysm3.Sky, nodes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Q, U of a sky in bands: (n_bands, 2, n_pixels) in µK_CMB.

    Parameters
    ----------
    sky : pysm3.Sky
    nodes, weights : arrays (n_bands, n_nodes)
        Of `instrument.bandpass.Bandpasses`.
    """

    def brightness(frequency):
        return sky.get_emission(frequency * u.GHz)[1:].to_value(u.uK_RJ)

    bands = zip(nodes, weights, strict=True)
    return np.stack([over_band(brightness, *band) for band in bands])


def amplitudes(sky: pysm3.Sky, model: SpectralModel) -> dict[str, np.ndarray]:
    """Q, U (2, n_pixels) of every component of a model at its reference frequency, in µK_RJ.

    Raises
    ------
    ValueError
        If not exactly one component of the sky has the first spectral parameter of each.
    """
    maps = {}
    for component in model.components:
        attribute = component.parameters[0].pysm
        owners = [one for one in sky.components if hasattr(one, attribute)]
        if len(owners) != 1:
            raise ValueError(
                f"{len(owners)} components of this sky are {component.name}; it must have one, "
                "such as [d1, s1]"
            )
        emission = owners[0].get_emission(component.reference * u.GHz)[1:]
        maps[component.name] = emission.to_value(u.uK_RJ)
    return maps


def set_parameters(sky: pysm3.Sky, parameters: dict[str, np.ndarray], model: SpectralModel):
    """Replace spectral parameters of a sky by maps (n_pixels,), temperatures in K.

    Raises
    ------
    ValueError
        If not exactly one component of the sky has such a parameter.
    """
    attributes = {parameter.name: parameter.pysm for parameter in model.parameters}
    for name, values in parameters.items():
        attribute = attributes[name]
        owners = [component for component in sky.components if hasattr(component, attribute)]
        if len(owners) != 1:
            raise ValueError(
                f"{len(owners)} components of this sky have a {name}; its parameters can be "
                "replaced in skies of one modified black body and one power law, such as [d1, s1]"
            )
        unit = getattr(owners[0], attribute).unit
        setattr(owners[0], attribute, np.asarray(values) << unit)


def true_parameters(sky: pysm3.Sky, model: SpectralModel) -> dict[str, np.ndarray]:
    """Spectral parameter maps of a sky, each (n_pixels,); NaN where the model has none."""
    n_pixels = hp.nside2npix(sky.nside)
    maps = {}
    for one in model.parameters:
        values = [
            getattr(component, one.pysm).value
            for component in sky.components
            if hasattr(component, one.pysm)
        ]
        alone = [other.pysm for other in model.parameters].count(one.pysm) == 1
        known = alone and len(values) == 1 and values[0].size in (1, n_pixels)
        maps[one.name] = np.broadcast_to(values[0] if known else np.nan, n_pixels).astype(float)
    return maps
