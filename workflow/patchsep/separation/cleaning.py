"""Cleaning: one configuration's CMB from the data of a region, by one fit or an ensemble of them.

An ensemble has patches of several draws, which differ in their random numbers. All are fitted to
the same data, and the mean of their CMB maps is taken: what a fit makes of the noise at the edges
of its patches differs from draw to draw, the CMB does not.
"""

from dataclasses import dataclass, fields

import numpy as np

from ..observation.region_sky import RegionSky
from ..sky.spectral_model import SpectralModel
from .fit import Separation, misfit, parameter_maps, separate
from .partitions import Partitions, configuration_patches
from .propagation import propagate


@dataclass(frozen=True)
class Cleaned:
    """What an ensemble, or a single fit, makes of n_realizations data sets.

    Attributes
    ----------
    cmb : array (n_realizations, 2, n_pixels), µK_CMB
    parameters : array (n_realizations, n_parameters, n_pixels)
        Spectral parameters of every pixel, in the order of the model.
    nll, n_at_bounds, aic, evidence : arrays (n_realizations,)
        As the maps, means over draws: of `fit.Separation`, and the criteria `aic` and `evidence`.
    iterations, gradient : arrays (n_realizations,)
        The largest of any draw.
    converged : bool array (n_realizations,)
        Whether the fits of all draws did.
    """

    cmb: np.ndarray
    parameters: np.ndarray
    nll: np.ndarray
    n_at_bounds: np.ndarray
    aic: np.ndarray
    evidence: np.ndarray
    iterations: np.ndarray
    gradient: np.ndarray
    converged: np.ndarray


# How an ensemble's figure comes from those of its draws; the others are means.
EXTREMES = {"iterations": np.maximum, "gradient": np.maximum, "converged": np.logical_and}


def clean(
    configuration: str,
    draws: list[Partitions],
    sky: RegionSky,
    data: np.ndarray,
    model: SpectralModel,
    propagation: str = "nonlinear",
    **settings,
) -> Cleaned:
    """Fit one configuration to data of `region_sky.observe`.

    Parameters
    ----------
    configuration : str
    draws : list of dict
        Partitions of every draw, see `partitions.partition`.
    propagation : str
        With `linear` only the first data, those of foregrounds alone, are fitted. Parameters of
        the others follow from theirs to first order, see `propagation.propagate`. What only a fit
        can tell of them, `nll`, `aic` and `evidence`, is NaN.
    model, settings :
        Those of `fit.separate`.
    """
    recover = {"nonlinear": _fitted, "linear": _propagated}[propagation]
    ensemble = None
    for partitions in draws:
        patches = configuration_patches(configuration, partitions)
        one = recover(patches, sky, data, model, **settings)
        ensemble = one if ensemble is None else _together(ensemble, one)
    means = {f.name: getattr(ensemble, f.name) for f in fields(Cleaned)}
    return Cleaned(**{name: v if name in EXTREMES else v / len(draws) for name, v in means.items()})


def _fitted(patches, sky, data, model, **settings):
    fits = separate(data, sky.noise, sky.bandpasses, patches, model, **settings)
    return _cleaned(fits, patches, model)


def _cleaned(fits, patches, model):
    return Cleaned(
        cmb=fits.cmb,
        parameters=parameter_maps(fits.parameters, patches),
        nll=fits.nll,
        n_at_bounds=fits.n_at_bounds,
        aic=aic(fits),
        evidence=evidence(fits, model),
        iterations=fits.iterations,
        gradient=fits.gradient,
        converged=fits.converged,
    )


def _propagated(patches, sky, data, model, **settings):
    fit = separate(data[:1], sky.noise, sky.bandpasses, patches, model, **settings)
    of_foregrounds = _cleaned(fit, patches, model)
    parameters, cmb = propagate(
        {name: values[0] for name, values in fit.parameters.items()},
        patches,
        data[0],
        data[1:],
        sky.noise,
        sky.bandpasses,
        model,
    )
    repeated = {
        f.name: np.repeat(getattr(of_foregrounds, f.name), len(data), axis=0)
        for f in fields(Cleaned)
    }
    for name in ("nll", "aic", "evidence"):
        repeated[name][1:] = np.nan
    repeated["cmb"][1:] = cmb
    repeated["parameters"][1:] = parameter_maps(parameters, patches)
    return Cleaned(**repeated)


def _together(one: Cleaned, other: Cleaned) -> Cleaned:
    names = [field.name for field in fields(Cleaned)]
    return Cleaned(
        **{n: EXTREMES.get(n, np.add)(getattr(one, n), getattr(other, n)) for n in names}
    )


def cross_validation_misfit(
    configuration: str,
    draws: list[Partitions],
    sky: RegionSky,
    halves: np.ndarray,
    model: SpectralModel,
    **settings,
) -> np.ndarray:
    """Misfit (1 + n_realizations,) of one half of the data for parameters fitted to the other half.

    It knows nothing of the truth: too few patches miss what varies, too many follow the noise of
    the half that they were fitted to. Of an ensemble it is the mean over draws.
    """
    fitted, scored = halves
    noise = sky.noise.scaled(np.sqrt(2))
    misfits = []
    for partitions in draws:
        patches = configuration_patches(configuration, partitions)
        parameters = separate(
            fitted, noise, sky.bandpasses, patches, model, components=(), **settings
        ).parameters
        maps = parameter_maps(parameters, patches)
        misfits.append(misfit(maps, scored, noise, sky.bandpasses, model))
    return np.mean(misfits, axis=0)


def aic(result: Separation) -> np.ndarray:
    """Half of Akaike's criterion, NLL + free parameters (Akaike 1974), (n_realizations,)."""
    constrained = sum(np.isfinite(errors).sum(axis=1) for errors in result.errors.values())
    return result.nll + constrained - result.n_at_bounds


def evidence(result: Separation, model: SpectralModel) -> np.ndarray:
    """-ln of the evidence in Laplace's approximation, (n_realizations,).

    The prior is flat within the bounds, and the curvature's elements off the diagonal are left
    out; a parameter that the data do not constrain within its bounds neither adds nor takes.
    """
    total = result.nll.copy()
    for name, errors in result.errors.items():
        lower, upper = model.bounds[name]
        volume = np.sqrt(2 * np.pi) * errors / (upper - lower)
        total -= np.nansum(np.log(np.minimum(volume, 1)), axis=1)
    return total
