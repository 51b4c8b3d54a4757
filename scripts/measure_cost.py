"""Add up what the jobs of a run have cost."""

from patchsep.files.tables import write_tables
from patchsep.running.jobs import begin
from patchsep.running.shards import measure_cost


def main(snakemake):
    params = snakemake.params
    write_tables(snakemake.output.cost, measure_cost(params.benchmarks, params.methods))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
