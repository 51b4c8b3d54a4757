"""Whether bands can tell what a spectral model has: components and their spectral parameters."""

from collections.abc import Mapping

import numpy as np

from ..instrument.bandpass import FITTED_NODES
from ..instrument.instrument import Instrument
from ..sky.spectral_model import SpectralModel

# Two whitened columns are alike where the cosine between them lacks less than this.
ALIKE = 1e-10
# A parameter is not constrained where a step over its reach changes the column by less, in units of
# its length, that amplitudes could not make; and the part of a reach that is tried.
UNSEEN_CHANGE, STEP = 1e-4, 1e-4


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
