"""Gather r of all methods and regions into tables."""

from patchsep.files import read_table, whole, write_table
from patchsep.logs import log_to
from patchsep.tables import configuration_table, summary_table, summary_text


def main(snakemake):
    estimates = {
        key: read_table(path)
        for key, path in zip(snakemake.params.areas, snakemake.input.estimates, strict=True)
    }
    summary = summary_table(estimates)
    for path in snakemake.output.summary:
        write_table(path, summary)
    configurations = configuration_table(estimates)
    for path in snakemake.output.configurations:
        write_table(path, configurations)
    with whole(snakemake.output.text) as temporary:
        temporary.write_text(summary_text(summary, **snakemake.params.about))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
