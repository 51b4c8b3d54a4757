"""Prepare the maps of spectral parameters that a method's patches follow."""

import logging

from patchsep.files.maps import read_parameter_map, write_maps
from patchsep.running.logs import log_to
from patchsep.sky.parameter_templates import prepare_templates
from patchsep.sky.spectral_model import PARAMETERS

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    maps = {
        name: read_parameter_map(path, name)
        for name, path in snakemake.input.items()
        if name in PARAMETERS
    }
    templates = prepare_templates(maps, seed=params.seed, **params.options)
    for name, values in templates.items():
        log.info("%s: mean %.4g, scatter %.3g", name, values.mean(), values.std())
    write_maps(
        snakemake.output.templates,
        {name.upper(): values for name, values in templates.items()},
        ["K" if name == "temp_dust" else "" for name in templates],
        f"patchsep, templates of method {snakemake.wildcards.method}",
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
