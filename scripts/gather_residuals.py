"""Gather the residuals that every configuration leaves in one region from its shards."""

from patchsep.files.tables import read_table, write_table
from patchsep.inference.configurations import gather
from patchsep.running.jobs import begin


def main(snakemake):
    tables = [read_table(path) for path in snakemake.input.shards]
    metrics, spectra = gather(tables, snakemake.params.configurations)
    write_table(snakemake.output.metrics, metrics)
    write_table(snakemake.output.spectra, spectra)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
