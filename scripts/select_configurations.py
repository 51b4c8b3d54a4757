"""Select one configuration per region, by every criterion."""

from pathlib import Path

from patchsep.files.tables import read_table, write_table
from patchsep.inference.selection import select_configurations
from patchsep.running.jobs import begin


def main(snakemake):
    params = snakemake.params
    estimates = {Path(path).stem: read_table(path) for path in snakemake.input.estimates}
    selected = select_configurations(params.configurations, estimates, params.criteria)
    write_table(snakemake.output.selected, selected)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
