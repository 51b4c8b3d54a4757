"""Skies that are cleaned without a fit, by internal linear combinations (ILC) of full-sky maps.

There are no spectral parameters, and so no mock skies: what the foregrounds leave is not predicted.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from ..observation.region_sky import RegionSky
from ..separation.ilc import IlcMaps, ilc
from .cleaned_sky import CleanedSky
from .whole_sky import WholeSky


def observe_full_sky(
    everywhere: RegionSky, regions: Sequence[RegionSky], realizations: Sequence[int]
) -> Iterator[np.ndarray]:
    """Frequency maps (n_bands, 2, 12 nside²) in µK_CMB of noise realisations.

    Parameters
    ----------
    everywhere : RegionSky
        The `FULL_SKY`, whose noise is drawn where there is no region.
    regions : sequence of RegionSky
        Where they are, data are those that other methods have.
    realizations : sequence of int
    """
    for number in realizations:
        data = everywhere.observe(number)
        for sky in regions:
            data[..., sky.pixels] = sky.observe(number)
        yield data


def clean_with_ilc(
    name: str,
    configuration: str,
    everywhere: RegionSky,
    sky: WholeSky,
    realizations: Sequence[int],
    bb: np.ndarray,
    separate: Callable[..., IlcMaps] = ilc,
) -> Iterator[tuple[str, CleanedSky]]:
    """Regions and their maps, and last `combined`, all of them.

    The systematic residual is what the weights of the realisations leave of the foregrounds, on
    average: there is no run on foregrounds alone. B modes are recovered, and the E modes beside
    them are those of the true CMB, so that none that are recovered badly leak into BB.

    Parameters
    ----------
    name : str
        Of `ilc.ILC`.
    configuration : str
        Its name in tables.
    everywhere : RegionSky
        The `FULL_SKY`.
    sky : WholeSky
        The regions, which are cut out of the result.
    realizations : sequence of int
    bb : array (≥ 3 nside,), µK²_CMB
        BB spectrum of the lensed CMB, from ell = 0.
    separate : function
        `ilc.ilc`, or another of its kind.
    """
    maps = separate(
        name,
        observe_full_sky(everywhere, sky.regions, realizations),
        everywhere.foregrounds,
        sky.pixels,
        sky.bandpasses.centre,
        sky.noise,
        bb,
        true_cmb=everywhere.cmb,
    )
    none = np.empty((0, *sky.cmb.shape))
    without_parameters = np.empty((0, len(sky.pixels)))
    yield from sky.by_region(
        CleanedSky(
            configuration=configuration,
            pixels=sky.pixels,
            cmb=sky.cmb,
            systematic=maps.systematic,
            recovered=maps.cmb,
            parameters=without_parameters,
            patches=without_parameters.astype(int),
            counts=_counts(realizations),
            n_patches={},
            mock_residuals=none,
            mock_noise=none,
        )
    )


def _counts(realizations: Sequence[int]) -> pd.DataFrame:
    """As `realizations.count_fits` has it: nothing was fitted, and there is no likelihood."""
    zero = ("n_unconverged", "n_unconverged_systematic", "n_at_bounds", "n_unconverged_mocks")
    return pd.DataFrame({"nll": np.nan, **dict.fromkeys(zero, 0)}, index=list(realizations))
