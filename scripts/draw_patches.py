"""Divide a region into the patches that a method's configurations need."""

import logging

import numpy as np

from patchsep.files.maps import read_templates
from patchsep.running.jobs import begin
from patchsep.separation.partitions import partition, write_partitions
from patchsep.sky.regions import Regions

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    region, regions = snakemake.wildcards.region, Regions.read(snakemake.input.regions)
    pixels = regions.pixels(region)
    templates = read_templates(snakemake.input.get("templates"))
    draws = partition(
        nside=regions.nside,
        pixels=pixels,
        values=params.values,
        templates={name: values[pixels] for name, values in templates.items()},
        seed=params.seed,
        **params.patches,
    )
    strategy = params.patches["strategy"]
    for (parameter, value), patches in draws[0].items():
        log.info("%s %d for %s: %d patches", strategy, value, parameter, len(np.unique(patches)))
    about = (
        f"patchsep, {strategy} patches of region {region}, seed {params.seed}\n"
        "<PARAMETER>_n holds the partition that the config asks for with n; -1 = outside\n"
        "DRAW_m_<PARAMETER>_n that of further draws"
    )
    write_partitions(snakemake.output.patches, draws, pixels, regions.nside, about)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
