"""Measure what every estimator of BB leaks, and whether r is right without foregrounds."""

import logging

import pandas as pd

from patchsep.files.tables import read_table, write_table
from patchsep.inference.coverage import coverage
from patchsep.instrument.bandpass import FITTED_NODES
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import cmb_noise, rms
from patchsep.running.jobs import begin
from patchsep.sky.regions import COMBINED, Regions
from patchsep.sky.spectral_model import spectral_model
from patchsep.spectra.estimator import ESTIMATORS, Estimator
from patchsep.studies.validation import leakage, recover_r

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    theory = read_table(snakemake.input.theory)
    regions = Regions.read(snakemake.input.regions)
    nside, pixels = regions.nside, regions.pixels(COMBINED)
    instrument = read_instrument(snakemake.input.instrument)
    model = spectral_model(**params.model)
    of_pixels = WhiteNoise.of(instrument, nside).of_pixels(pixels)
    noise = rms(cmb_noise(instrument.bandpasses(FITTED_NODES), of_pixels, model))
    leaked, found = [], []
    for name in ESTIMATORS:
        settings = params.spectra | {"estimator": name}
        estimator = Estimator.of(pixels, nside, **settings)
        leaked.append(leakage(estimator, theory, **params.skies).assign(estimator=name))
        estimates = recover_r(estimator, theory, noise, **params.skies)
        summary = coverage(estimates, params.skies["r"])
        log.info("%s: %s", name, summary)
        found.append({"estimator": name, "noise": noise, **params.skies, **summary})
    write_table(snakemake.output.leakage, pd.concat(leaked, ignore_index=True))
    write_table(snakemake.output.coverage, pd.DataFrame(found))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
