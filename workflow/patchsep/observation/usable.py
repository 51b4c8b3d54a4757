"""What a run needs of an instrument: bands that tell components apart, beams, and maps of noise."""

import math
from collections.abc import Mapping

import numpy as np

from ..files.foreign_maps import UnusableMap
from ..instrument.bandpass import FITTED_NODES
from ..instrument.beam import Resolution, common_window
from ..instrument.instrument import Instrument
from ..instrument.noise_maps import (
    NOISE_MAPS,
    paths_of,
    read_noise_map,
    read_noise_realization,
)
from ..lazy import healpy as hp
from ..sky.spectral_model import SpectralModel

# Two whitened columns are alike where the cosine between them lacks less than this.
ALIKE = 1e-10
# A parameter is not constrained where a step over its reach changes the column by less, in units of
# its length, that amplitudes could not make; and the part of a reach that is tried.
UNSEEN_CHANGE, STEP = 1e-4, 1e-4
# Of the power of correlated noise over the white one at ell = 2; below there is no polarization.
LARGEST_EXCESS = 100.0


def fewest_bands(components: Mapping) -> int:
    """How many bands have to see a pixel: one more than components, with the CMB."""
    return 2 + len(components)


def model_problems(model: SpectralModel, instrument: Instrument, files: str) -> list[str]:
    """What bands cannot tell of a spectral model.

    Parameters
    ----------
    model : SpectralModel
    instrument : Instrument
    files : str
        Its description's, for messages.
    """
    n_bands, n_components = len(instrument.frequency), 1 + len(model.components)
    fewest = fewest_bands(model.components)
    if n_bands < fewest:
        return [
            f"instrument: {files} has {n_bands} bands for {n_components} components with the CMB; "
            f"{fewest} or more can constrain their spectra, so use more bands, or fewer "
            "components"
        ]
    bandpasses = instrument.bandpasses(FITTED_NODES)
    white = 1 / instrument.depth_p

    def column(component, values):
        return white * component.in_bands(bandpasses, *values)

    columns = [white, *(column(one, one.start) for one in model.components)]
    columns = np.stack([one / np.linalg.norm(one) for one in columns], axis=1)
    names = ("cmb", *model.component_names)
    alike = np.abs(np.triu(columns.T @ columns, 1)) > 1 - ALIKE
    problems = [
        f"components.{names[k]}: {names[m]} has the same spectrum in the bands of {files} at the "
        f"start of fits; leave one of them out, or change fit.start of one"
        for m, k in np.argwhere(alike)
    ]
    if problems:
        return problems
    basis, _ = np.linalg.qr(columns)
    for component in model.components:
        here = column(component, component.start)
        for place, parameter in enumerate(component.parameters):
            moved = list(component.start)
            moved[place] += STEP * parameter.reach
            change = (column(component, moved) - here) / STEP / np.linalg.norm(here)
            if np.linalg.norm(change - basis @ (basis.T @ change)) < UNSEEN_CHANGE:
                problems.append(
                    f"components.{component.name}: no band of {files} constrains {parameter.name}; "
                    f"fix it with components.{component.name}.fixed, or add bands that do"
                )
    return problems


def noise_problems(instrument: Instrument, nside: int) -> list[str]:
    """What is wrong with maps of hits and variance, read as jobs will read them."""
    problems = []
    for kind in NOISE_MAPS:
        for path in sorted(paths_of(instrument, kind)):
            try:
                read_noise_map(path, kind, nside)
            except UnusableMap as error:
                problems.append(f"instrument: {kind}: {error}")
    # All are read when they are drawn; one of every band tells whether they are what is meant.
    for paths in instrument.noise_files:
        try:
            if paths:
                read_noise_realization(paths[0], nside)
        except UnusableMap as error:
            problems.append(f"instrument: noise_files: {error}")
    return problems


def beam_problems(
    instrument: Instrument, nside: int, resolution: Resolution | None, files: str
) -> list[str]:
    """Why bands cannot be brought to a resolution, or noise with a knee not be drawn.

    Parameters
    ----------
    instrument : Instrument
    nside : int
    resolution : Resolution, or None
    files : str
        The instrument's description's, for messages.
    """
    (_, _, filtered) = common_window(resolution, 2) ** 2
    problems = [
        f"instrument: noise of {label} in {files} is {filtered * (2 / knee) ** slope:.2g} times "
        "the white one at ell = 2, and hides what smaller scales tell; filter it out with "
        "resolution.high_pass, such as 30, or use a lower ell_knee or a flatter knee_slope"
        for label, knee, slope in zip(
            instrument.labels, instrument.ell_knee, instrument.knee_slope, strict=True
        )
        if knee > 0 and filtered * (2 / knee) ** slope > LARGEST_EXCESS
    ]
    if resolution is None:
        return problems
    side, fwhm = hp.nside2resol(nside, arcmin=True), resolution.fwhm
    if fwhm < side:
        problems.append(
            f"resolution.fwhm: {fwhm:g} arcmin is less than a pixel of nside {nside}, "
            f"{side:.3g} arcmin; use {math.ceil(side)} or more, or a larger nside"
        )
    return problems + [
        f"resolution.fwhm: {fwhm:g} arcmin is finer than the beam of {label} in {files}, "
        f"{beam.fwhm:.3g} arcmin; use {math.ceil(beam.fwhm)} or more, or leave out that band"
        for label, beam in zip(instrument.labels, instrument.beams, strict=True)
        if beam.is_wider_than(resolution, 3 * nside - 1)
    ]
