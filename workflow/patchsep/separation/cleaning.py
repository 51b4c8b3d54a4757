"""Cleaning: one configuration's CMB from the data of a region, by one fit or an ensemble of them.

The members of an ensemble differ in the random numbers that their patches are drawn with. All are
fitted to the same data, and the mean of their CMB maps is taken: what a fit makes of the noise at
the edges of its patches differs from member to member, the CMB does not.
"""

from dataclasses import dataclass, fields

import numpy as np

from ..observation.region_sky import RegionSky
from .fit import BOUNDS, Separation, misfit, parameter_maps, separate
from .partitions import Partitions, configuration_patches
from .propagation import propagate


@dataclass(frozen=True)
class Cleaned:
    """What an ensemble, or a single fit, makes of n_realizations data sets.

    Attributes
    ----------
    cmb : array (n_realizations, 2, n_pixels), µK_CMB
    parameters : array (n_realizations, 3, n_pixels)
        beta_dust, temp_dust (K), beta_synch of every pixel.
    nll, n_at_bounds, information, evidence : arrays (n_realizations,)
        As the maps, means over members: of `fit.Separation`, and the criteria `information` and
        `evidence`.
    iterations, gradient : arrays (n_realizations,)
        The largest of any member.
    converged : bool array (n_realizations,)
        Whether all members did.
    """

    cmb: np.ndarray
    parameters: np.ndarray
    nll: np.ndarray
    n_at_bounds: np.ndarray
    information: np.ndarray
    evidence: np.ndarray
    iterations: np.ndarray
    gradient: np.ndarray
    converged: np.ndarray


# How an ensemble's figure comes from those of its members; the others are means.
EXTREMES = {"iterations": np.maximum, "gradient": np.maximum, "converged": np.logical_and}


def clean(
    configuration: str,
    members: list[Partitions],
    sky: RegionSky,
    data: np.ndarray,
    bounds: dict[str, tuple[float, float]] = BOUNDS,
    propagation: str = "nonlinear",
    prior: dict[str, tuple[float, float]] | None = None,
    **settings,
) -> Cleaned:
    """Fit one configuration to data of `observe`.

    Parameters
    ----------
    configuration : str
    members : list of dict
        Partitions of every member, see `patches.partition`.
    propagation : str
        With `linear` only the first data, those of foregrounds alone, are fitted. Parameters of
        the others follow from theirs to first order, see `prediction.propagate`. What only a fit
        can tell of them, `nll`, `information` and `evidence`, is NaN.
    bounds, prior, settings :
        Those of `fit.separate`.
    """
    recover = {"nonlinear": _fitted, "linear": _propagated}[propagation]
    ensemble = None
    for partitions in members:
        patches = configuration_patches(configuration, partitions)
        member = recover(patches, sky, data, bounds, prior=prior, **settings)
        ensemble = member if ensemble is None else _together(ensemble, member)
    means = {f.name: getattr(ensemble, f.name) for f in fields(Cleaned)}
    return Cleaned(
        **{name: v if name in EXTREMES else v / len(members) for name, v in means.items()}
    )


def _fitted(patches, sky, data, bounds, **settings):
    fits = separate(data, sky.sigma, sky.frequencies, patches, bounds, **settings)
    return _cleaned(fits, patches, bounds)


def _cleaned(fits, patches, bounds):
    return Cleaned(
        cmb=fits.cmb,
        parameters=parameter_maps(fits.parameters, patches),
        nll=fits.nll,
        n_at_bounds=fits.n_at_bounds,
        information=information(fits),
        evidence=evidence(fits, bounds),
        iterations=fits.iterations,
        gradient=fits.gradient,
        converged=fits.converged,
    )


def _propagated(patches, sky, data, bounds, prior, **settings):
    fit = separate(data[:1], sky.sigma, sky.frequencies, patches, bounds, prior=prior, **settings)
    alone = _cleaned(fit, patches, bounds)
    parameters, cmb = propagate(
        {name: values[0] for name, values in fit.parameters.items()},
        patches,
        data[0],
        data[1:],
        sky.sigma,
        sky.frequencies,
        bounds,
        prior,
    )
    repeated = {
        f.name: np.repeat(getattr(alone, f.name), len(data), axis=0) for f in fields(Cleaned)
    }
    for name in ("nll", "information", "evidence"):
        repeated[name][1:] = np.nan
    repeated["cmb"][1:] = cmb
    repeated["parameters"][1:] = parameter_maps(parameters, patches)
    return Cleaned(**repeated)


def _together(one: Cleaned, other: Cleaned) -> Cleaned:
    names = [field.name for field in fields(Cleaned)]
    return Cleaned(
        **{n: EXTREMES.get(n, np.add)(getattr(one, n), getattr(other, n)) for n in names}
    )


def held_out_misfit(
    configuration: str, members: list[Partitions], sky: RegionSky, halves: np.ndarray, **settings
) -> np.ndarray:
    """Misfit (1 + n_realizations,) of one half of the data for parameters fitted to the other half.

    It knows nothing of the truth: too few patches miss what varies, too many follow the noise of
    the half that they were fitted to. Of an ensemble it is the mean over members.
    """
    fitted, scored = halves
    sigma = np.sqrt(2) * sky.sigma
    misfits = []
    for partitions in members:
        patches = configuration_patches(configuration, partitions)
        parameters = separate(
            fitted, sigma, sky.frequencies, patches, components=(), **settings
        ).parameters
        maps = parameter_maps(parameters, patches)
        misfits.append(misfit(maps, scored, sigma, sky.frequencies))
    return np.mean(misfits, axis=0)


def information(result: Separation) -> np.ndarray:
    """Half of Akaike's criterion, NLL + free parameters (Akaike 1974), (n_realizations,)."""
    constrained = sum(np.isfinite(errors).sum(axis=1) for errors in result.errors.values())
    return result.nll + constrained - result.n_at_bounds


def evidence(result: Separation, bounds: dict[str, tuple[float, float]]) -> np.ndarray:
    """-ln of the evidence in Laplace's approximation, (n_realizations,).

    The prior is flat within the bounds, and the curvature's elements off the diagonal are left
    out; a parameter that the data do not constrain within its bounds neither adds nor takes.
    """
    total = result.nll.copy()
    for name, errors in result.errors.items():
        lower, upper = bounds[name]
        volume = np.sqrt(2 * np.pi) * errors / (upper - lower)
        total -= np.nansum(np.log(np.minimum(volume, 1)), axis=1)
    return total
