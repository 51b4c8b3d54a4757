"""Divide a region into the patches that a method's configurations need."""

import logging

import healpy as hp
import numpy as np

from patchsep.files.maps import read_maps, read_templates
from patchsep.running.logs import log_to
from patchsep.separation.partitions import partition, write_partitions
from patchsep.sky.regions import region_pixels

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    labels = read_maps(snakemake.input.regions)["REGION"]
    pixels = region_pixels(labels, snakemake.wildcards.region, params.zones)
    nside = hp.npix2nside(len(labels))
    templates = read_templates(snakemake.input.get("templates"))
    draws = partition(
        nside=nside,
        pixels=pixels,
        values=params.values,
        guide={name: values[pixels] for name, values in templates.items()},
        seed=params.seed,
        **params.patches,
    )
    strategy = params.patches["strategy"]
    for (parameter, value), patches in draws[0].items():
        log.info("%s %d for %s: %d patches", strategy, value, parameter, len(np.unique(patches)))
    about = (
        f"patchsep, {strategy} patches of region {snakemake.wildcards.region}, seed {params.seed}\n"
        "<PARAMETER>_n holds the partition that the config asks for with n; -1 = outside\n"
        "DRAW_m_<PARAMETER>_n that of further draws"
    )
    write_partitions(snakemake.output.patches, draws, pixels, nside, about)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
