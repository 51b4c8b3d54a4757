"""Prepare the maps of spectral parameters that a method's patches follow."""

import logging

import numpy as np

from patchsep.files.foreign_maps import read_parameter_map
from patchsep.files.maps import write_maps
from patchsep.running.jobs import begin
from patchsep.sky.parameter_templates import prepare_templates
from patchsep.sky.spectral_model import spectral_model

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    model = spectral_model(**params.model)
    maps = {
        name: read_parameter_map(path, name)
        for name, path in snakemake.input.items()
        if name in model.names
    }
    for name, values in maps.items():
        if unknown := np.isnan(values).mean():
            log.warning("%s: not known in %.2g %%; its mean is there", name, 100 * unknown)
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
