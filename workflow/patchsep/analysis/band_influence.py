"""What drives r: how far it moves without a band, the spectral parameters found being kept.

The weights of bands in the CMB follow from their noise. A band that weighs w has 1 / w times its
noise variance; with the parameters that all bands tell, maps and mock skies are cleaned again,
which takes no fit.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..fields.evidence import MeasuredFields
from ..fields.fit import recover_cmb
from ..observation.bands import Bands
from ..observation.observation import Observation
from ..skies.field_skies import mock_parameters_of_fields
from ..skies.whole_sky import WholeSky
from .analyse import Analysis
from .bandpowers import measure_bandpowers
from .influence import COLUMNS, influence_table
from .mock_maps import SPLITS, MockMaps, draw_mock_observation
from .tensor_ratio import estimate_r_of_bandpowers

# Weight of a band that is left out.
NOTHING = 1e-9


def influence_of_bands(
    analysis: Analysis,
    observation: Observation,
    sky: WholeSky,
    measured: MeasuredFields,
    numbers: Sequence[int],
    seed: int,
) -> pd.DataFrame:
    """How far r of all regions moves without each band.

    Parameters
    ----------
    analysis : Analysis
    observation : Observation
    sky : WholeSky
        The same, with the spectral model.
    measured : MeasuredFields
        That its mock skies were drawn with.
    numbers : sequence of int
        Of those mock skies that are cleaned again.
    seed : int
        Of the mock skies.

    Returns
    -------
    DataFrame
        See `influence.influence`; `kind` is band.
    """
    numbers = list(numbers)
    known = analysis.bandpowers_of(slice(None))
    halves = observation.half_difference
    drawn = []
    for number in numbers:
        mock = draw_mock_observation(observation, sky, measured, analysis.theory, number, seed)
        split = [] if halves is None else [sky.draw_noise(seed, number, SPLITS)]
        drawn.append((mock.foregrounds, mock.maps, *split))
    found = analysis.mocks.parameter_errors[numbers] + [
        mock_parameters_of_fields(sky, measured, number, seed) for number in numbers
    ]

    def r_with(weights):
        bands = Bands.of(sky.bandpasses, sky.noise.scaled(1 / np.sqrt(weights)), sky.model)

        def cmb(parameters, data):
            return np.stack(recover_cmb(parameters, data, bands).cmb)

        own = analysis.cleaned.parameters
        cleaned = replace(
            analysis.cleaned,
            cmb=cmb(own, observation.maps),
            difference=None if halves is None else cmb(own, halves),
        )
        maps = [
            np.stack([cmb(parameters, one[k]) for parameters, one in zip(found, drawn)])
            for k in range(len(drawn[0]))
        ]
        residual, with_noise, *split = maps
        mocks = MockMaps(
            e_modes=analysis.mocks.e_modes[numbers],
            cmb=analysis.mocks.cmb[numbers],
            residual=residual,
            cleaned=with_noise,
            difference=split[0] if split else residual[:0],
            parameter_errors=analysis.mocks.parameter_errors[numbers],
            converged=analysis.mocks.converged[numbers],
        )
        again = measure_bandpowers(
            cleaned.cmb, cleaned.difference, mocks, known.estimator, sky.pixels, analysis.theory
        )
        # Modes are those of all mock skies: of a few they would scatter.
        again = replace(again, mocks=known.mocks, scatter=known.scatter)
        return estimate_r_of_bandpowers(again, analysis.amplitude_scatter)

    labels = sky.bandpasses.labels
    everything = r_with(np.ones(len(labels)))
    if everything is None:
        return pd.DataFrame(columns=COLUMNS)

    def without(band):
        def r_hat(weight):
            own = np.where(np.arange(len(labels)) == band, max(weight, NOTHING), 1.0)
            estimate = r_with(own)
            return np.nan if estimate is None else estimate.r_hat

        return r_hat

    ways = {("band", label): without(band) for band, label in enumerate(labels)}
    return influence_table(ways, everything)
