"""Count how often intervals of r hold the true one, on skies whose parameters are fields."""

import logging

import numpy as np
import pandas as pd

from patchsep.fields.moments import UNLIKELY
from patchsep.fields.prior import kinds_of
from patchsep.files.tables import read_table, write_table
from patchsep.instrument.bandpass import FITTED_NODES
from patchsep.instrument.beam import common_window
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.correlated_noise import noise_of
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.sky.foregrounds import amplitudes, foreground_sky
from patchsep.sky.regions import COMBINED, Regions
from patchsep.sky.spectral_model import spectral_model
from patchsep.spectra.estimator import Estimator
from patchsep.spectra.pixel_weights import PIXEL_WEIGHTS
from patchsep.studies.calibration import Bins, calibrate_sky, expected_noise, pulls
from patchsep.studies.validation import coverage

log = logging.getLogger("patchsep.script")

# What fields make of noise, over what known spectral parameters would.
NOISE_FACTOR = 1.3
# Draws of noise for the weights of pixels.
N_WEIGHED = 50


def main(snakemake):
    params, skies = snakemake.params, snakemake.params.skies
    model = spectral_model(**params.model)
    theory = read_table(snakemake.input.theory)
    regions = Regions.read(snakemake.input.regions)
    nside, pixels = regions.nside, regions.pixels(COMBINED)
    instrument = read_instrument(snakemake.input.instrument)
    estimator = Estimator.of(pixels, nside, **params.spectra)
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
    maps = amplitudes(foreground_sky(nside=nside, **params.foregrounds), model)
    level = expected_noise(observed, model, NOISE_FACTOR, skies["seed"])
    # As of the run's own spectra, but for what foregrounds leave.
    weights = PIXEL_WEIGHTS[params.pixel_weights](
        np.stack([level(number)[:, pixels] for number in range(N_WEIGHED)]),
        pixels,
        nside,
        common_window(estimator.resolution, 3 * nside - 1),
    )
    estimator = Estimator.of(pixels, nside, **params.spectra, pixel_weights=weights)
    bins = Bins.of(estimator, theory, level, skies["realizations"], skies["seed"])
    fields = params.fields | {"kinds": kinds_of(model, estimator.resolution is not None)}
    tables, spectra, found = [], [], []
    for seed, r in enumerate((0.0, skies["r"]), start=skies["seed"]):
        calibrated = [
            calibrate_sky(
                number,
                maps,
                observed,
                model,
                theory,
                bins,
                r,
                seed,
                fields,
                skies["mocks"],
                params.amplitude_scatter,
                **params.fit,
            )
            for number in range(skies["realizations"])
        ]
        table = pd.DataFrame([row for row, _ in calibrated])
        spectra += [of_sky for _, of_sky in calibrated]
        tables.append(table.rename_axis("sky").reset_index().assign(r=r))
        summary = coverage(table, r) | {
            "n_unconverged": int((~table["converged"]).sum()),
            # Of skies that the spectral model describes one in twenty is to be.
            "n_model_rejected": int((table["model_probability"] < UNLIKELY).sum()),
        }
        log.info("r = %g: %s", r, summary)
        found.append({"estimator": estimator.name, **skies, "r": r, **summary})
    write_table(snakemake.output.skies, pd.concat(tables, ignore_index=True))
    write_table(snakemake.output.coverage, pd.DataFrame(found))
    write_table(snakemake.output.pulls, pulls(pd.concat(spectra, ignore_index=True)))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
