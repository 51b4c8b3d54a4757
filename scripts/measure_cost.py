"""Add up what the jobs of a run have cost."""

from patchsep.files.tables import write_table
from patchsep.running.cost import measure_cost
from patchsep.running.jobs import begin


def main(snakemake):
    params = snakemake.params
    write_table(snakemake.output.cost, measure_cost(params.benchmarks, params.methods))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
