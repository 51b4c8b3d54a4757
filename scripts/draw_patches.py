"""Divide a region into the patches that a method's configurations need."""

import logging

import healpy as hp
import numpy as np

from patchsep.files.maps import read_guide, read_maps
from patchsep.running.logs import log_to
from patchsep.separation.partitions import partition, write_partitions
from patchsep.sky.regions import region_pixels

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    labels = read_maps(snakemake.input.regions)["REGION"]
    pixels = region_pixels(labels, snakemake.wildcards.region, params.zones)
    nside = hp.npix2nside(len(labels))
    guide = read_guide(snakemake.input.get("guide"))
    guide = {name: values[pixels] for name, values in guide.items()}
    members = partition(
        nside=nside,
        pixels=pixels,
        values=params.values,
        guide=guide,
        seed=params.seed,
        **params.patches,
    )
    strategy = params.patches["strategy"]
    for (parameter, value), patches in members[0].items():
        log.info("%s %d for %s: %d patches", strategy, value, parameter, len(np.unique(patches)))
    about = (
        f"patchsep, {strategy} patches of region {snakemake.wildcards.region}, seed {params.seed}\n"
        "<PARAMETER>_n holds the partition that the config asks for with n; -1 = outside\n"
        "MEMBER_m_<PARAMETER>_n that of further members of an ensemble"
    )
    write_partitions(snakemake.output.patches, members, pixels, nside, about)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
