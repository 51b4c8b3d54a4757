"""Skies that the selected configurations are fitted to, all regions side by side.

Each has foregrounds, CMB, noise and partitions of its own: the training sky, and test skies.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from ..files.maps import resolution_header
from ..instrument.beam import common_window
from ..lazy import healpy as hp
from ..observation.region_sky import RegionSky, observe
from ..separation.cleaning import clean
from ..separation.partitions import (
    Partitions,
    configuration_patches,
    count_patches,
    partition,
    values_of,
)
from ..sky.regions import COMBINED, full_sky
from ..sky.spectral_model import SpectralModel
from ..spectra.estimator import Estimator
from ..spectra.pixel_weights import PIXEL_WEIGHTS
from ..spectra.residuals import cmb_variance, mean_spectrum, residual_spectra
from .realizations import count_fits, fit_table


@dataclass(frozen=True)
class CleanedSky:
    """One configuration's maps of a region, or of all regions side by side.

    Attributes
    ----------
    configuration : str
    pixels : int array (n_pixels,)
    cmb, systematic : arrays (2, n_pixels), µK_CMB
        The true CMB, and what a fit to foregrounds alone takes for CMB.
    recovered : array (n_realizations, 2, n_pixels), µK_CMB
    parameters : array (n_parameters, n_pixels)
        Of the first realisation, the mean over draws.
    patches : int array (n_parameters, n_pixels)
        Labels within each region, of the first draw; of none where nothing is divided.
    counts : DataFrame
        Of every realisation, see `count_fits`, with `n_unconverged_mocks` fits to mock skies.
    n_patches : dict of str to int
    mock_residuals, mock_noise : arrays (n_skies, 2, n_pixels), µK_CMB
        What fits to mock skies take for CMB, and what they make of noise; of none without them.
    """

    configuration: str
    pixels: np.ndarray
    cmb: np.ndarray
    systematic: np.ndarray
    recovered: np.ndarray
    parameters: np.ndarray
    patches: np.ndarray
    counts: pd.DataFrame
    n_patches: dict[str, int]
    mock_residuals: np.ndarray
    mock_noise: np.ndarray

    def part(self, pixels: slice) -> "CleanedSky":
        """Some of the pixels, with the counts of all."""
        maps = {f.name: getattr(self, f.name) for f in fields(self) if f.type is np.ndarray}
        return replace(self, **{name: values[..., pixels] for name, values in maps.items()})


def clean_region(
    configuration: str,
    draws: list[Partitions],
    sky: RegionSky,
    realizations: list[int],
    data: np.ndarray,
    model: SpectralModel,
    mocks: np.ndarray | None = None,
    **settings,
) -> CleanedSky:
    """Fit one configuration to data of `observe`, and of `mock_data`, and keep its maps."""
    fits = clean(configuration, draws, sky, data, model, **settings)
    of_mocks = None
    if mocks is not None:
        of_mocks = clean(configuration, draws, sky, np.concatenate(mocks), model, **settings)
    labels = configuration_patches(configuration, draws[0])
    counts = count_fits(fit_table(fits, realizations))
    return CleanedSky(
        configuration=configuration,
        pixels=sky.pixels,
        cmb=sky.cmb,
        systematic=fits.cmb[0],
        recovered=fits.cmb[1:],
        parameters=fits.parameters[1],
        patches=np.stack(list(labels.values())),
        counts=counts.assign(n_unconverged_mocks=count_unconverged(of_mocks)),
        n_patches=count_patches(labels),
        **mock_maps(of_mocks, sky.cmb.shape),
    )


def mock_maps(fits, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """`mock_residuals` and `mock_noise` of a `CleanedSky` with CMB maps of a shape.

    `fits` are those to mock skies without noise and then with it, or None.
    """
    if fits is None:
        return dict.fromkeys(("mock_residuals", "mock_noise"), np.empty((0, *shape)))
    residuals, noisy = np.split(fits.cmb, 2)
    return {"mock_residuals": residuals, "mock_noise": noisy - residuals}


def count_unconverged(fits) -> int:
    """How many fits did not converge; of None, none."""
    return 0 if fits is None else int((~fits.converged).sum())


def combine(regions: list[CleanedSky]) -> CleanedSky:
    """Regions side by side; counts are summed."""

    def joined(name):
        return np.concatenate([getattr(region, name) for region in regions], axis=-1)

    maps = [f.name for f in fields(CleanedSky) if f.type is np.ndarray]
    return CleanedSky(
        configuration=" + ".join(region.configuration for region in regions),
        **{name: joined(name) for name in maps},
        counts=sum(region.counts for region in regions),
        n_patches={
            key: sum(region.n_patches[key] for region in regions) for key in regions[0].n_patches
        },
    )


def measure(
    region: str, cleaned: CleanedSky, nside: int, spectra: dict, pixel_weights: str = "uniform"
) -> pd.DataFrame:
    """Residual spectra of every realisation, in rows.

    Parameters
    ----------
    region : str
    cleaned : CleanedSky
    nside : int
    spectra : dict
        `estimator`, `apodization` and `bin_width` of `Estimator.of`.
    pixel_weights : str
        Of `pixel_weights.PIXEL_WEIGHTS`, for what cleaning leaves on mock skies with noise.

    Returns
    -------
    DataFrame
        `region`, `configuration`, `pixel_weights`, `realization`, the counts, numbers of patches,
        `f_sky`, the `mode_fraction` that the weights leave of the modes of uniform ones,
        `variance` of the CMB map in µK², and the BB spectra `total`, `statistical` and
        `systematic`, arrays over the estimator's bins, in µK². With mock skies also
        `mock_residual`, what is left of their foregrounds on average.
    """
    expected = cleaned.mock_residuals + cleaned.mock_noise
    unweighted = Estimator.of(cleaned.pixels, nside, **spectra)
    window = common_window(unweighted.resolution, 3 * nside - 1)
    weights = PIXEL_WEIGHTS[pixel_weights](expected, cleaned.pixels, nside, window)
    estimator = Estimator.of(cleaned.pixels, nside, **spectra, pixel_weights=weights)
    residuals = residual_spectra(
        cleaned.recovered, cleaned.cmb, cleaned.systematic, cleaned.pixels, estimator
    )
    table = (
        cleaned.counts.rename_axis("realization")
        .reset_index()
        .assign(
            region=region,
            configuration=cleaned.configuration,
            pixel_weights=pixel_weights,
            **cleaned.n_patches,
            f_sky=len(cleaned.pixels) / hp.nside2npix(nside),
            mode_fraction=estimator.effective_sky / unweighted.effective_sky,
            variance=cmb_variance(cleaned.recovered),
            total=list(residuals.total),
            statistical=list(residuals.statistical),
            systematic=[residuals.systematic] * len(cleaned.recovered),
        )
    )
    if len(cleaned.mock_residuals):
        left = mean_spectrum(cleaned.mock_residuals, cleaned.pixels, estimator)
        table["mock_residual"] = [left] * len(table)
    return table


def measure_all(
    region: str, cleaned: CleanedSky, nside: int, spectra: dict, pixel_weights: Sequence[str]
) -> list[pd.DataFrame]:
    """`measure` with each of several weights of pixels."""
    return [measure(region, cleaned, nside, spectra, weights) for weights in pixel_weights]


def recovered_maps(
    cleaned: CleanedSky, nside: int, model: SpectralModel
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Maps (12 nside²,) of the first realisation by their names in files, and their units.

    CMB and spectral parameters, the systematic residual, and patch labels, where there are any;
    NaN outside of the regions.
    """
    names = [name.upper() for name in model.names]
    columns, values = (
        ["CMB_Q", "CMB_U", "SYSTEMATIC_Q", "SYSTEMATIC_U"],
        [
            *cleaned.recovered[0],
            *cleaned.systematic,
        ],
    )
    units = ["uK_CMB"] * 4
    if len(cleaned.parameters):
        columns, values = [*columns, *names], [*values, *cleaned.parameters]
        units += [parameter.unit for parameter in model.parameters]
    if len(cleaned.patches):
        columns = [*columns, *(f"PATCH_{name}" for name in names)]
        values, units = [*values, *cleaned.patches], [*units, *len(names) * [""]]
    maps = full_sky(np.asarray(values), cleaned.pixels, nside, fill=np.nan)
    return dict(zip(columns, maps, strict=True)), units


def cleaned_maps(
    cmb: np.ndarray,
    components: Mapping[str, np.ndarray],
    parameters: np.ndarray,
    cmb_error: np.ndarray,
    parameter_errors: np.ndarray,
    pixels: np.ndarray,
    nside: int,
    model: SpectralModel,
    resolution: Mapping[str, float] | None = None,
) -> dict:
    """What `files.maps.write_maps` takes of an observed sky that is separated into components.

    Parameters
    ----------
    cmb, cmb_error : arrays (2, n_pixels), µK_CMB
    components : mapping of str to array (2, n_pixels), µK_RJ
        Q, U of every component of the model at its reference frequency.
    parameters, parameter_errors : arrays (n_parameters, n_pixels)
        In the order and the units of the model.
    pixels : int array (n_pixels,)
        That are analysed.
    nside : int
    model : SpectralModel
    resolution : mapping, optional
        That maps have been brought to, in the words of the settings.

    Returns
    -------
    dict
        `maps` (12 nside²,) by column, NaN where nothing is analysed: `CMB_Q` and `CMB_U`, those
        of every component, and the parameters; `ERROR_` and the name for errors of CMB and
        parameters, 1 σ; `MASK`, 1 where the sky is analysed and 0 elsewhere. `units` of the
        columns, `about`, which tells the reference frequencies, and the `header`: the resolution,
        and `RFREQn` in GHz of the nth column.
    """
    names = [name.upper() for name in model.names]
    parameter_units = [parameter.unit for parameter in model.parameters]
    columns, values, units, header, about = [], [], [], {}, ["maps of an observed sky"]

    def add(of_columns, of_values, of_units):
        columns.extend(of_columns)
        values.extend(of_values)
        units.extend(of_units)

    def stokes(name):
        return [f"{name.upper()}_{letter}" for letter in "QU"]

    add(stokes("CMB"), cmb, 2 * ["uK_CMB"])
    for component in model.components:
        named = stokes(component.name)
        add(named, components[component.name], 2 * ["uK_RJ"])
        about.append(f"{', '.join(named)}: uK_RJ at {component.reference:g} GHz")
        for number in (len(columns) - 1, len(columns)):
            header[f"RFREQ{number}"] = f"{component.reference:g}"
    add(names, parameters, parameter_units)
    add([f"ERROR_{name}" for name in stokes("CMB")], cmb_error, 2 * ["uK_CMB"])
    add([f"ERROR_{name}" for name in names], parameter_errors, parameter_units)
    maps = full_sky(np.asarray(values), pixels, nside, fill=np.nan)
    mask = full_sky(np.ones(len(pixels)), pixels, nside).astype(int)
    return {
        "maps": {**dict(zip(columns, maps, strict=True)), "MASK": mask},
        "units": [*units, ""],
        "about": "\n".join(about),
        "header": header | resolution_header(resolution),
    }


def partitions_of_selected(
    selected: pd.DataFrame,
    skies: list[RegionSky],
    seed: int,
    maps: dict[str, np.ndarray],
    parameters: Sequence[str],
    strategy: str,
    **options,
) -> dict[str, list[Partitions]]:
    """Partitions of every region, drawn anew for a sky, that the selected configurations need.

    Parameters
    ----------
    selected : DataFrame
        See `select_configurations`.
    skies : list of RegionSky
    maps : dict of str to array (12 nside²,)
        Maps of the spectral parameters, for strategies that follow them.
    parameters : sequence of str
        Names of the spectral parameters, in the order of configurations.
    seed, strategy, options :
        See `partitions.partition`.
    """
    partitions = {}
    for sky in skies:
        names = selected.loc[selected["region"] == sky.region, "configuration"].unique()
        values = values_of(names, parameters)
        templates = {name: parameter[sky.pixels] for name, parameter in maps.items()}
        partitions[sky.region] = partition(
            strategy, sky.nside, sky.pixels, values, seed, templates, **options
        )
    return partitions


def by_region(selected: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Configuration of every region, by criterion; `combined`, of all of them, comes last."""
    configurations = {}
    for criterion, rows in selected.groupby("criterion", sort=False):
        regions = dict(zip(rows["region"], rows["configuration"], strict=True))
        configurations[criterion] = regions | {COMBINED: " + ".join(regions.values())}
    return configurations


def clean_sky(
    selected: pd.DataFrame,
    partitions: dict[str, list[Partitions]],
    skies: list[RegionSky],
    realizations: list[int],
    model: SpectralModel,
    mocks: dict[str, np.ndarray] | None = None,
    **settings,
) -> Iterator[tuple[str, CleanedSky]]:
    """Regions and their maps, for every configuration that some criterion has selected.

    Parameters
    ----------
    selected : DataFrame
        See `select_configurations`.
    partitions : dict of str to list of Partitions
        Of every draw, by region.
    skies : list of RegionSky
        One of each region.
    realizations : list of int
    model : SpectralModel
    mocks : dict of str to array
        `mock_data` by region, of those that have any.
    settings :
        Of `fit.separate`.

    Yields
    ------
    region : str
        `combined`, after the others, for all of them side by side.
    cleaned : CleanedSky
    """
    cleaned = {}
    for sky in skies:
        data = observe(sky, realizations)
        wanted = selected.loc[selected["region"] == sky.region, "configuration"].unique()
        for name in wanted:
            cleaned[sky.region, name] = clean_region(
                name,
                partitions[sky.region],
                sky,
                realizations,
                data,
                model,
                (mocks or {}).get(sky.region),
                **settings,
            )
            yield sky.region, cleaned[sky.region, name]
    done = set()
    for configurations in by_region(selected).values():
        name = configurations[COMBINED]
        if name not in done:
            done.add(name)
            yield COMBINED, combine([cleaned[s.region, configurations[s.region]] for s in skies])
