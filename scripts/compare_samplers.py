"""Compare samplers by what they find among configurations that have all been evaluated."""

from patchsep.files.tables import read_table, write_table
from patchsep.running.logs import log_to
from patchsep.studies.search import compare_samplers


def main(snakemake):
    table = compare_samplers(read_table(snakemake.input.evaluations), **snakemake.params.search)
    write_table(snakemake.output.samplers, table)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
