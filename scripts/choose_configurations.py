"""Choose one configuration per region, by every criterion."""

from pathlib import Path

from patchsep.files.tables import read_table, write_table
from patchsep.inference.selection import choices
from patchsep.running.logs import log_to


def main(snakemake):
    estimates = {Path(path).stem: read_table(path) for path in snakemake.input.estimates}
    chosen = choices(snakemake.params.configurations, estimates, snakemake.params.criteria)
    write_table(snakemake.output.choices, chosen)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
