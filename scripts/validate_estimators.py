"""Measure what every estimator of BB leaks, and whether r is right without foregrounds."""

import logging

import healpy as hp
import numpy as np
import pandas as pd

from patchsep.files.maps import read_maps
from patchsep.files.tables import read_table, write_table
from patchsep.instrument.instrument import read_instrument
from patchsep.running.logs import log_to
from patchsep.separation.likelihood import cmb_noise
from patchsep.spectra.estimator import ESTIMATORS, Estimator
from patchsep.studies.validation import coverage, leakage, recover_r

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    theory = read_table(snakemake.input.theory)
    labels = read_maps(snakemake.input.regions)["REGION"]
    nside, pixels = hp.npix2nside(len(labels)), np.flatnonzero(labels > 0)
    instrument = read_instrument(snakemake.input.instrument)
    noise = cmb_noise(instrument.frequency, instrument.sigma(nside), params.start)
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
    log_to(snakemake.log[0])
    main(snakemake)
