"""Measure the fields of the spectral parameters of observed maps."""

from patchsep.files.maps import read_templates
from patchsep.files.tables import write_table
from patchsep.running.jobs import begin
from patchsep.skies.field_skies import parameter_summary
from patchsep.skies.foreground_fields import measure_foregrounds, write_priors
from patchsep.skies.whole_sky import observed_sky


def main(snakemake):
    params, output = snakemake.params, snakemake.output
    observation, sky = observed_sky(snakemake.input, params.model)
    templates = read_templates(snakemake.input.get("templates"))
    measured = measure_foregrounds(
        observation, sky, params.fields, templates, params.patch_seed, **params.fit
    )
    write_table(output.spectra, measured.spectra)
    write_table(output.parameters, parameter_summary(measured, sky.model))
    write_priors(output.priors, measured.priors)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
