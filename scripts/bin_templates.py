"""Bin the CMB templates as the spectra of an area are, and count the modes of every bin."""

import logging

import healpy as hp
import numpy as np

from patchsep.files.maps import read_maps
from patchsep.files.tables import read_table, write_table
from patchsep.running.logs import log_to
from patchsep.sky.regions import COMBINED, region_pixels
from patchsep.spectra.estimator import Estimator

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, area = snakemake.params, snakemake.wildcards.area
    labels = read_maps(snakemake.input.regions)["REGION"]
    pixels = (
        np.flatnonzero(labels > 0)
        if area == COMBINED
        else region_pixels(labels, area, params.zones)
    )
    estimator = Estimator.of(pixels, hp.npix2nside(len(labels)), **params.spectra)
    templates, sky_templates = map(
        read_table, (snakemake.input.templates, snakemake.input.sky_templates)
    )
    bands = estimator.bands(templates, sky_templates, **params.modes)
    for ell in bands["ell"][~bands["used"]]:
        log.warning("%s: the bin at ell = %.1f has too few modes and is not used", area, ell)
    write_table(snakemake.output.bands, bands)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
