"""Calibration: how often intervals of r hold the true one, on skies that are known to be fields.

Every sky has the amplitudes of a simulated Galaxy, and spectral parameters, CMB and noise of its
own. r is measured as of an observed sky: from the spectrum of the one recovered CMB map, with the
noise and the foreground residual that mock skies expect, drawn from what that sky shows.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..fields.moments import UNLIKELY
from ..fields.prior import kinds_of, literature_priors
from ..inference.coverage import coverage
from ..inference.r_likelihood import estimate_r, residual_of_unknown_amplitude
from ..instrument.bandpass import FITTED_NODES
from ..instrument.beam import common_window
from ..instrument.instrument import Instrument
from ..lazy import healpy as hp
from ..observation.bands import cmb_weights
from ..observation.correlated_noise import noise_of
from ..observation.region_sky import RegionSky
from ..skies.field_skies import mock_foregrounds_of_fields, moment_tests
from ..skies.mocks import emission
from ..skies.whole_sky import WholeSky, measure_sky
from ..sky.harmonics import smoothed
from ..sky.regions import COMBINED, Regions, full_sky
from ..sky.spectral_model import SpectralModel
from ..spectra.estimator import Estimator
from ..spectra.pixel_weights import PIXEL_WEIGHTS
from .validation import measured_spectra

log = logging.getLogger(__name__)

# What fields make of noise, over what known spectral parameters would.
NOISE_FACTOR = 1.3
# Draws of noise for the weights of pixels.
N_WEIGHED = 50


@dataclass(frozen=True)
class Bins:
    """What the likelihood knows of the bins of an estimator, without foregrounds.

    Attributes
    ----------
    estimator : Estimator
    lensing, tensor, leaked, n_modes : arrays (n_bins,)
        Lensing BB, tensor BB at r = 1 and what E modes leak on average, µK², and independent modes.
    used : bool array (n_bins,)
    """

    estimator: Estimator
    lensing: np.ndarray
    tensor: np.ndarray
    leaked: np.ndarray
    n_modes: np.ndarray
    used: np.ndarray

    @classmethod
    def of(
        cls,
        estimator: Estimator,
        theory: pd.DataFrame,
        noise: float | Callable[[int], np.ndarray],
        skies: int,
        seed: int,
    ) -> "Bins":
        """Modes by the scatter of simulated skies of lensed CMB and noise.

        Parameters
        ----------
        estimator : Estimator
        theory : DataFrame
            `cmb.cmb_spectra` up to 3 nside - 1.
        noise : float or function
            See `measured_spectra`.
        skies, seed : int
        """
        ee, lensing, tensor = (
            theory[name].to_numpy() for name in ("ee_scalar", "bb_lensing", "bb_tensor")
        )

        scattered = measured_spectra(estimator, ee, lensing, noise, skies, [seed, 0])
        leaked = measured_spectra(estimator, ee, 0 * lensing, 0.0, skies, [seed, 1])
        n_modes = 2 * scattered.mean(axis=0) ** 2 / scattered.var(axis=0, ddof=1)
        return cls(
            estimator,
            estimator.expected(lensing),
            estimator.expected(tensor),
            leaked.mean(axis=0),
            n_modes,
            estimator.used(n_modes),
        )


def expected_noise(observed: RegionSky, model: SpectralModel, factor: float, seed: int) -> Callable:
    """A function of a number: noise (2, 12 nside²) in µK of a CMB that is recovered from bands.

    That of known spectral parameters, those that the model starts from, times a factor.
    """
    weights = cmb_weights(observed.bandpasses, observed.noise, model)

    def noise(number):
        in_bands = observed.draw_noise(seed, number, " modes")
        return full_sky(
            factor * np.sum(weights * in_bands, axis=0), observed.pixels, observed.nside
        )

    return noise


def calibrate(
    regions: Regions,
    instrument: Instrument,
    amplitudes: Mapping[str, np.ndarray],
    model: SpectralModel,
    theory: pd.DataFrame,
    spectra: Mapping,
    pixel_weights: str,
    fields: Mapping,
    skies: Mapping,
    amplitude_scatter: float,
    **limits,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Count how often intervals of r hold the true one, r = 0 and another, on many skies.

    Parameters
    ----------
    regions : Regions
        All of which are analysed as one.
    instrument : Instrument
    amplitudes, model, theory, amplitude_scatter, limits :
        See `calibrate_sky`.
    spectra : mapping
        What `Estimator.of` takes.
    pixel_weights : str
        Of `PIXEL_WEIGHTS`; as of a run's own spectra, but for what foregrounds leave.
    fields : mapping
        The settings `fields`.
    skies : mapping
        `realizations`, `seed`, `r` of the second half of the skies, and `mocks` of each.

    Returns
    -------
    skies : DataFrame
        A row per sky, see `calibrate_sky`.
    coverage : DataFrame
        A row per `r`, see `coverage`, with `n_unconverged` and, of skies whose spectral model is an
        alarm though it is right, `n_model_rejected`.
    pulls : DataFrame
        See `pulls`.
    """
    nside, pixels = regions.nside, regions.pixels(COMBINED)
    estimator = Estimator.of(pixels, nside, **spectra)
    noise, correlated = noise_of(instrument, nside, estimator.resolution, model)
    observed = RegionSky(
        region=COMBINED,
        nside=nside,
        pixels=pixels,
        bandpasses=instrument.bandpasses(FITTED_NODES),
        noise=noise.of_pixels(pixels),
        foregrounds=np.zeros((len(instrument.frequency), 2, len(pixels))),
        cmb=np.zeros((2, len(pixels))),
        noise_seed=skies["seed"],
        correlated_noise=correlated,
    )
    level = expected_noise(observed, model, NOISE_FACTOR, skies["seed"])
    weights = PIXEL_WEIGHTS[pixel_weights](
        np.stack([level(number)[:, pixels] for number in range(N_WEIGHED)]),
        pixels,
        nside,
        common_window(estimator.resolution, 3 * nside - 1),
    )
    estimator = Estimator.of(pixels, nside, **spectra, pixel_weights=weights)
    bins = Bins.of(estimator, theory, level, skies["realizations"], skies["seed"])
    fields = {**fields, "kinds": kinds_of(model, estimator.resolution is not None)}
    tables, found, of_parameters = [], [], []
    for seed, r in enumerate((0.0, skies["r"]), start=skies["seed"]):
        of_sky = [
            calibrate_sky(
                number,
                amplitudes,
                observed,
                model,
                theory,
                bins,
                r,
                seed,
                fields,
                skies["mocks"],
                amplitude_scatter,
                **limits,
            )
            for number in range(skies["realizations"])
        ]
        table = pd.DataFrame([row for row, _ in of_sky])
        of_parameters += [one for _, one in of_sky]
        tables.append(table.rename_axis("sky").reset_index().assign(r=r))
        summary = coverage(table, r) | {
            "n_unconverged": int((~table["converged"]).sum()),
            "n_model_rejected": int((table["model_probability"] < UNLIKELY).sum()),
        }
        log.info("r = %g: %s", r, summary)
        found.append({"estimator": estimator.name, **skies, "r": r, **summary})
    together = pd.concat(tables, ignore_index=True)
    return together, pd.DataFrame(found), pulls(pd.concat(of_parameters, ignore_index=True))


def calibrate_sky(
    number: int,
    amplitudes: Mapping[str, np.ndarray],
    observed: RegionSky,
    model: SpectralModel,
    theory: pd.DataFrame,
    bins: Bins,
    r: float,
    seed: int,
    fields: Mapping,
    n_mocks: int,
    amplitude_scatter: float,
    **limits,
) -> tuple[dict[str, float], pd.DataFrame]:
    """r of one sky, and the spectra of its parameters, from one realisation.

    Parameters
    ----------
    number, seed : int
        Of its spectral parameters, CMB and noise.
    amplitudes : dict of str to array (2, 12 nside²)
        Of every component, µK_RJ at its reference frequency.
    observed : RegionSky
        Whose bands, noise and pixels the sky has.
    model : SpectralModel
    theory : DataFrame
        `cmb.cmb_spectra` up to 3 nside - 1.
    bins : Bins
    r : float
        Of its CMB.
    fields : dict
        `kinds`, and of the settings `fields` all but the samples.
    n_mocks : int
    amplitude_scatter : float
        See `residual_of_unknown_amplitude`.
    limits :
        `max_iterations` and `tolerance` of fits.

    Returns
    -------
    row : dict
        r_hat with its errors and intervals, `converged`, the ratio of the power of the
        foreground residual that mock skies expect to that of this sky, `residual_ratio`, over the
        bins below ell = 30, and the `model_probability` of `moments.moment_table`.
    spectra : DataFrame
        `MeasuredFields.spectra`, where the sky has the `expected` ones.
    """
    streams = np.random.default_rng([seed, number]).spawn(len(model.parameters) + 2)
    pixels, nside, estimator = observed.pixels, observed.nside, bins.estimator
    priors = literature_priors(fields["kinds"], min(nside, fields["nside"]), fields)
    drawn = zip(priors, streams[2:], strict=True)
    everywhere = np.arange(hp.nside2npix(nside))
    parameters = np.stack([prior.draw(prior.mean, everywhere, nside, rng) for prior, rng in drawn])
    foregrounds = emission(observed.bandpasses, parameters, dict(amplitudes), model)
    if estimator.resolution is not None:
        foregrounds = smoothed(
            foregrounds, common_window(estimator.resolution, 3 * nside - 1), nside
        )
    ee = (theory["ee_scalar"] + r * theory["ee_tensor"]).to_numpy()
    bb = (theory["bb_lensing"] + r * theory["bb_tensor"]).to_numpy()
    region = replace(
        observed,
        foregrounds=foregrounds[..., pixels],
        cmb=estimator.draw_sky(ee, bb, streams[0])[:, pixels],
        noise_seed=int(streams[1].integers(1 << 31)),
    )
    sky = WholeSky([region], model)
    foregrounds, observation = sky.observe([0])
    measured = measure_sky(sky, observation, priors, fields, **limits)
    mocks = mock_foregrounds_of_fields(sky, measured, observation, range(n_mocks), seed + number)
    noisy = sky.with_noise(mocks, seed + number)
    fits = sky.fit_fields([observation, foregrounds, *mocks, *noisy], measured.priors, **limits)

    def spectrum(qu):
        return estimator.spectrum(estimator.modes(full_sky(qu, pixels, nside)))

    recovered, systematic = fits.cmb[:2]
    residuals, noisy = np.split(fits.cmb[2:], 2)
    expected = np.mean([spectrum(qu) for qu in residuals], axis=0)
    statistical = np.mean([spectrum(qu) for qu in noisy - residuals], axis=0)
    used, true = bins.used, spectrum(systematic)
    observed = spectrum(recovered)[used]
    wide = estimator.ell < 30
    moments = moment_tests(sky, measured, [0], fits.parameters[:1], [observation])
    row = {
        "converged": bool(fits.converged.all()),
        "residual_ratio": expected[wide].sum() / true[wide].sum(),
        "model_probability": moments["probability"].iloc[-1],
    }
    if not np.all(observed > 0):
        # Kept and counted, though the likelihood cannot use it.
        return row, measured.spectra
    floor = (bins.lensing + bins.leaked + np.maximum(statistical, 0))[used]
    floor = residual_of_unknown_amplitude(floor, np.maximum(expected, 0)[used], amplitude_scatter)
    estimate = estimate_r(observed, bins.tensor[used], floor, bins.n_modes[used])
    return row | estimate.headline | estimate.intervals(), measured.spectra


def pulls(spectra: pd.DataFrame) -> pd.DataFrame:
    """How the spectra that were found scatter about the true ones, in units of their errors.

    Parameters
    ----------
    spectra : DataFrame
        Those of `calibrate_sky`, of many skies.

    Returns
    -------
    DataFrame
        A row per parameter and octave: `expected`, the mean of the spectra in the `prior` found and
        of the `power` that data alone tell, over it, the mean `pull` of the latter with its error,
        and the standard deviation of pulls, of `n_skies`.
    """
    table = spectra.assign(
        prior=spectra["prior"] / spectra["expected"],
        power=spectra["power"] / spectra["expected"],
        pull=(spectra["power"] - spectra["expected"]) / spectra["error"],
    )
    octaves = table.groupby(["parameter", "ell_min", "ell_max"], sort=False)
    return octaves.agg(
        expected=("expected", "mean"),
        prior=("prior", "mean"),
        power=("power", "mean"),
        effective_modes=("effective_modes", "mean"),
        pull=("pull", "mean"),
        pull_error=("pull", "sem"),
        pull_scatter=("pull", "std"),
        n_skies=("pull", "count"),
    ).reset_index()
