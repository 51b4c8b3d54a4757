"""The fields of an observation's spectral parameters, from which mock skies are drawn.

They are measured once; every job that needs them fits the observation again with the spectra found,
which takes less than a second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd

from ..fields.evidence import MeasuredFields
from ..fields.prior import FieldPrior
from ..files.whole import checked, whole
from ..observation.observation import Observation
from .whole_sky import WholeSky, measure_sky, priors_of


def measure_foregrounds(
    observation: Observation,
    sky: WholeSky,
    options: Mapping,
    templates: Mapping[str, np.ndarray],
    seed: int,
    **limits,
) -> MeasuredFields:
    """Measure the fields of a method on an observation.

    Parameters
    ----------
    observation : Observation
    sky : WholeSky
        Of the same regions.
    options : mapping
        What `Plan.field_options` has of the method.
    templates : mapping of str to array (12 nside²,)
        Maps of parameters.
    seed : int
        Of patches.
    limits :
        `max_iterations` and `tolerance` of fits.
    """
    priors = priors_of(sky, templates, options, seed)
    return measure_sky(sky, observation.maps, priors, options, **limits)


def fit_foregrounds(
    observation: Observation, sky: WholeSky, priors: Sequence[FieldPrior], **limits
) -> MeasuredFields:
    """The fit of an observation with fields whose spectra have been measured."""
    maximum = sky.means(priors).maximum(observation.maps, sky.basis(priors), **limits)
    return MeasuredFields(tuple(priors), maximum, pd.DataFrame())


def write_priors(path: str | Path, priors: Sequence[FieldPrior]):
    """Write priors to an .npz file, whole or not at all."""
    arrays = {
        f"{number}_{field.name}": value
        for number, prior in enumerate(priors)
        for field in fields(prior)
        if (value := getattr(prior, field.name)) is not None
    }
    with whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_priors(path: str | Path) -> list[FieldPrior]:
    """Read what `write_priors` wrote.

    Raises
    ------
    DamagedFile
        If it is not what was written.
    """
    with checked(path), np.load(path) as file:
        numbers = {int(name.split("_")[0]) for name in file.files}
        return [
            FieldPrior(
                **{
                    # Numbers and words are arrays without axes there.
                    field.name: file[key].item() if file[key].ndim == 0 else file[key]
                    for field in fields(FieldPrior)
                    if (key := f"{number}_{field.name}") in file.files
                }
            )
            for number in sorted(numbers)
        ]
