"""Ways to clean observed maps: with fields, or with patches of one configuration per region."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..fields.prior import FieldPrior
from ..observation.observation import Observation
from ..separation.cleaning import clean
from ..separation.fit import separate
from ..separation.partitions import Partitions, partition, values_of
from ..skies.whole_sky import WholeSky


@dataclass(frozen=True)
class CleanedMaps:
    """What cleaning makes of n data sets.

    Attributes
    ----------
    cmb : array (n, 2, n_pixels), µK_CMB
    parameters : array (n, n_parameters, n_pixels)
    converged : bool array (n,)
    """

    cmb: np.ndarray
    parameters: np.ndarray
    converged: np.ndarray


# Of data (n, n_bands, 2, n_pixels) in µK_CMB.
Cleaner = Callable[[np.ndarray], CleanedMaps]


def field_cleaner(sky: WholeSky, priors: Sequence[FieldPrior], **limits) -> Cleaner:
    """Fits of the fields of some priors; `limits` are those of `fit_fields`."""

    def cleaned(data):
        fits = sky.fit_fields(data, priors, **limits)
        return CleanedMaps(fits.cmb, fits.parameters, fits.converged)

    return cleaned


def patch_cleaner(
    sky: WholeSky,
    configurations: Mapping[str, str],
    partitions: Mapping[str, list[Partitions]],
    **limits,
) -> Cleaner:
    """Fits of patches, region by region.

    Parameters
    ----------
    sky : WholeSky
    configurations : dict of str to str
        By region, see `partitions.configurations`.
    partitions : dict of str to list of Partitions
        Of every draw, by region.
    limits :
        Of `fit.separate`.
    """

    def cleaned(data):
        of_regions = [
            clean(
                configurations[region.region],
                partitions[region.region],
                region,
                np.ascontiguousarray(data[..., sky.parts()[region.region]]),
                sky.model,
                **limits,
            )
            for region in sky.regions
        ]
        return CleanedMaps(
            np.concatenate([one.cmb for one in of_regions], axis=-1),
            np.concatenate([one.parameters for one in of_regions], axis=-1),
            np.all([one.converged for one in of_regions], axis=0),
        )

    return cleaned


def cleaner_of(
    sky: WholeSky,
    priors: Sequence[FieldPrior],
    configurations: Mapping[str, str],
    patches: Mapping,
    **limits,
) -> Cleaner:
    """The way of a method: of patches where it has `configurations`, else of fields.

    Parameters
    ----------
    sky : WholeSky
    priors : sequence of FieldPrior
        Of fields, as they have been measured.
    configurations : dict of str to str
        By region.
    patches : mapping
        `strategy`, `seed` and what else `partitions.partition` takes of a method.
    limits :
        `max_iterations` and `tolerance` of fits.
    """
    if not configurations:
        return field_cleaner(sky, priors, **limits)
    partitions = {
        region.region: partition(
            nside=region.nside,
            pixels=region.pixels,
            values=values_of([configurations[region.region]], sky.model.names),
            **patches,
        )
        for region in sky.regions
    }
    return patch_cleaner(sky, configurations, partitions, **limits)


def one_patch(
    observation: Observation, sky: WholeSky, **limits
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """A fit with one value of every spectral parameter, for a first look.

    Returns
    -------
    amplitudes : dict of str to array (2, n_pixels)
        Of every component, µK_RJ at its reference frequency.
    parameters : dict of str to float
    """
    together = {name: np.zeros(len(sky.pixels), dtype=int) for name in sky.model.names}
    names = sky.model.component_names
    fit = separate(
        observation.maps[None],
        sky.noise,
        sky.bandpasses,
        together,
        sky.model,
        components=names,
        **limits,
    )
    amplitudes = {name: fit.maps[name][0] for name in names}
    return amplitudes, {name: float(values[0, 0]) for name, values in fit.parameters.items()}
