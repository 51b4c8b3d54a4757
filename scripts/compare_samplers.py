"""Compare samplers by what they find among configurations that have all been evaluated."""

from patchsep.files.tables import read_table, write_table
from patchsep.running.jobs import begin
from patchsep.studies.search import compare_samplers


def main(snakemake):
    table = compare_samplers(read_table(snakemake.input.evaluations), **snakemake.params.search)
    write_table(snakemake.output.samplers, table)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
