"""Prepare the maps of spectral parameters that a method's patches follow."""

import logging

from patchsep.files.maps import read_parameter_map, write_maps
from patchsep.running.jobs import begin
from patchsep.sky.parameter_templates import prepare_templates
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, model = snakemake.params, DUST_AND_SYNCHROTRON
    maps = {
        name: read_parameter_map(path, name)
        for name, path in snakemake.input.items()
        if name in model.names
    }
    templates = prepare_templates(maps, seed=params.seed, model=model, **params.options)
    for name, values in templates.items():
        log.info("%s: mean %.4g, scatter %.3g", name, values.mean(), values.std())
    units = {parameter.name: parameter.unit for parameter in model.parameters}
    write_maps(
        snakemake.output.templates,
        {name.upper(): values for name, values in templates.items()},
        [units[name] for name in templates],
        f"patchsep, templates of method {snakemake.wildcards.method}",
    )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
