"""Time the steps of cleaning a fifth of the sky at one nside."""

from patchsep.files.tables import write_table
from patchsep.instrument.instrument import read_instrument
from patchsep.running.jobs import begin
from patchsep.sky.spectral_model import spectral_model
from patchsep.studies.nside_costs import cost_at_nside


def main(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    costs = cost_at_nside(
        wildcards.method,
        int(wildcards.nside),
        read_instrument(snakemake.input.instrument),
        spectral_model(**params.model),
        params.benchmark["traced"],
        params.fields,
        params.benchmark["seed"],
        **params.fit,
    )
    write_table(snakemake.output.costs, costs)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
