"""Skies that are cleaned with fields: spectra from one observation, then fits of all realisations.

The sky is fitted as a whole, and then looked at region by region. Mock skies have the recovered
amplitudes, and spectral parameters drawn from the fields that one observation tells of.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..fields.evidence import MeasuredFields
from ..fields.fit import recover_cmb
from ..fields.model_tests import ModelTests, calibrated
from ..fields.prior import variance_of
from ..fields.systematics import Departures
from ..instrument.noise import FOREGROUNDS_ONLY
from ..sky.regions import COMBINED
from ..sky.spectral_model import SpectralModel
from .cleaned_sky import CleanedSky, count_unconverged, mock_maps
from .mocks import emission
from .realizations import count_fits
from .whole_sky import WholeSky

# Draws of noise that is not white, with which tests are compared.
N_DRAWS = 50


def amplitudes_of(model: SpectralModel, recovery) -> dict[str, np.ndarray]:
    """Q, U (2, n_pixels) in µK_RJ of every component, of what `fit.recover_cmb` returned."""
    components = zip(model.component_names, recovery.components, strict=True)
    return {name: np.stack(maps) for name, maps in components}


def mock_parameters_of_fields(
    sky: WholeSky, measured: MeasuredFields, number: int, seed: int
) -> np.ndarray:
    """Spectral parameters (n_parameters, n_pixels) of a mock sky, drawn from measured fields.

    Parameters
    ----------
    sky : WholeSky
    measured : MeasuredFields
    number, seed : int
        Of the mock sky.
    """
    found, basis = sky.parameters_of(measured), sky.basis(measured.priors)
    larger = sky.larger(basis.nside)
    streams = np.random.default_rng([seed, number]).spawn(len(measured.priors))
    maps = []
    for k, (prior, rng) in enumerate(zip(measured.priors, streams, strict=True)):
        mean = larger.spread(prior.mean)
        if prior.kind in ("value", "patches"):
            drawn = found[k]
        elif basis.parts[k]:
            first = measured.maximum.coefficients[basis.slices[k]][0]
            drawn = prior.draw(mean + prior.offset * first, sky.pixels, sky.nside, rng)
        else:
            offset = np.median(found[k] - mean)
            drawn = prior.draw(mean + offset, sky.pixels, sky.nside, rng)
        maps.append(np.clip(drawn, *sky.model.parameters[k].bounds))
    return np.stack(maps)


def mock_foregrounds_of_fields(
    sky: WholeSky,
    measured: MeasuredFields,
    observation: np.ndarray,
    numbers: Sequence[int],
    seed: int,
) -> np.ndarray:
    """Foregrounds (n_skies, n_bands, 2, n_pixels) in µK_CMB of mock skies.

    Parameters
    ----------
    sky : WholeSky
    measured : MeasuredFields
    observation : array (n_bands, 2, n_pixels), µK_CMB
        That the fields were measured on.
    numbers : sequence of int
        Of the mock skies.
    seed : int
    """
    recovery = recover_cmb(sky.parameters_of(measured), observation, sky.bands)
    amplitudes = amplitudes_of(sky.model, recovery)

    def observed(number):
        """With errors of the bands as large as the data leave them."""
        parameters = mock_parameters_of_fields(sky, measured, number, seed)
        if not sky.nuisance:
            return emission(sky.bandpasses, parameters, amplitudes, sky.model)
        left = sky.nuisance.draw(np.random.default_rng([seed, number, len(measured.priors)]))
        bandpasses = left.shift(sky.bandpasses)
        return left.response @ emission(bandpasses, parameters, amplitudes, sky.model)

    return np.stack([observed(number) for number in numbers])


def clean_with_fields(
    name: str,
    sky: WholeSky,
    measured: MeasuredFields,
    realizations: Sequence[int],
    mocks: np.ndarray | None = None,
    mock_seed: int = 0,
    **settings,
) -> tuple[CleanedSky, pd.DataFrame]:
    """Maps of the whole sky, and whether its data ask for more than the spectral model.

    Parameters
    ----------
    name : str
        Of the configuration, in tables.
    sky : WholeSky
    measured : MeasuredFields
    realizations : sequence of int
    mocks : array (n_skies, n_bands, 2, n_pixels), optional
        See `mock_foregrounds_of_fields`.
    mock_seed : int
        Of the noise of mock skies.
    settings :
        `max_iterations` and `tolerance` of `fit.fit_fields`.

    Returns
    -------
    CleanedSky
        See `WholeSky.by_region`.
    moments : DataFrame
        See `moment_tests`.
    """

    def fit(data):
        return sky.fit_fields(data, measured.priors, **settings)

    data = sky.observe(realizations)
    fits = fit(data)
    of_mocks = None
    if mocks is not None:
        of_mocks = fit(np.concatenate([mocks, sky.with_noise(mocks, mock_seed)]))
    number = [FOREGROUNDS_ONLY, *realizations]
    table = {name: getattr(fits, name) for name in ("nll", "converged", "n_at_bounds")}
    counts = count_fits(pd.DataFrame({"realization": number, **table}))
    whole = CleanedSky(
        configuration=name,
        pixels=sky.pixels,
        cmb=sky.cmb,
        systematic=fits.cmb[0],
        recovered=fits.cmb[1:],
        parameters=fits.parameters[1],
        patches=np.empty((0, len(sky.pixels)), dtype=int),
        counts=counts.assign(n_unconverged_mocks=count_unconverged(of_mocks)),
        n_patches={},
        **mock_maps(of_mocks, sky.cmb.shape),
    )
    # Errors of bands are those of the noise that they were fitted to, the first realisation's.
    n_tested = 1 if sky.nuisance else len(realizations)
    tested = (one[:n_tested] for one in (realizations, fits.parameters[1:], data[1:]))
    return whole, moment_tests(sky, measured, *tested, seed=mock_seed)


def moment_tests(
    sky: WholeSky,
    measured: MeasuredFields,
    realizations: Sequence[int],
    parameters: Sequence[np.ndarray],
    data: Sequence[np.ndarray],
    seed: int = 0,
) -> pd.DataFrame:
    """Score tests and χ² of every region, and of all, for fits to noise realisations.

    Parameters
    ----------
    sky : WholeSky
    measured : MeasuredFields
        On the first of the data.
    realizations : sequence of int
    parameters : arrays (n_parameters, n_pixels), one of each realisation
    data : arrays (n_bands, 2, n_pixels), µK_CMB
    seed : int
        Of draws of noise that is not white.

    Returns
    -------
    DataFrame
        With columns `realization` and `region` before those of `systematics.systematic_table`, and
        below these of `residual_tests.residual_table` and `moments.moment_table`.
    """
    departures = Departures.of(sky.bandpasses, sky.noise, sky.model)
    # What is fitted is not tested.
    known = sky.nuisance.names if sky.nuisance else []
    tests = ModelTests(
        bands=sky.bands,
        departures=departures,
        tested=[k for k, name in enumerate(departures.names) if name not in known],
        pixels=sky.pixels,
        nside=sky.nside,
        parts=sky.parts() | {COMBINED: slice(None)},
    )
    reference = None
    if sky.regions[0].correlated_noise is not None:
        found = sky.parameters_of(measured)
        recovery = recover_cmb(found, data[0], sky.bands)
        amplitudes = amplitudes_of(sky.model, recovery)
        fitted = recovery.cmb + emission(sky.bandpasses, found, amplitudes, sky.model)
        noise = (sky.draw_noise(seed, number, " tests") for number in range(N_DRAWS))
        reference = tests.reference(found, fitted, noise)
    tables = []
    for number, fitted, observed in zip(realizations, parameters, data, strict=True):
        for region, found in tests.tables(fitted, observed).items():
            if reference:
                found = list(map(calibrated, found, reference[region]))
            table = pd.concat(found, ignore_index=True)
            table.insert(0, "realization", number)
            table.insert(1, "region", region)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def parameter_summary(measured: MeasuredFields, model: SpectralModel) -> pd.DataFrame:
    """What one observation tells of every parameter, a row each.

    Returns
    -------
    DataFrame
        `parameter`, `kind`, `mean` over the sky, and of fields their `scatter` on all scales and
        `slope`, fitted to the prior found by effective modes, the `remainder` of pixels,
        `effective_modes`, and what was expected: `expected_mean`, `expected_scatter`.
    """
    rows = []
    for k, (parameter, prior) in enumerate(zip(model.parameters, measured.priors, strict=True)):
        own = measured.spectra[measured.spectra["parameter"] == parameter.name]
        rows.append(
            {
                "parameter": parameter.name,
                "kind": prior.kind,
                "mean": float(np.mean(np.asarray(measured.maximum.at.parameters)[k])),
                "scatter": prior.scatter if prior.has_field else np.nan,
                "slope": _slope(own),
                "remainder": prior.remainder,
                "effective_modes": own["effective_modes"].sum() if len(own) else np.nan,
                "expected_mean": float(np.mean(prior.mean)),
                "expected_scatter": float(np.sqrt(variance_of(prior.expected))),
            }
        )
    return pd.DataFrame(rows)


def _slope(spectra: pd.DataFrame) -> float:
    told = spectra[spectra["effective_modes"] > 0]
    if len(told) < 2:
        return np.nan
    middle = np.log(np.sqrt(told["ell_min"] * told["ell_max"]))
    weights = np.sqrt(told["effective_modes"])
    return float(np.polyfit(middle, np.log(told["prior"]), 1, w=weights)[0])
