"""Put published numbers beside those of the run."""

import logging
from pathlib import Path

import yaml

from patchsep.files.tables import write_tables
from patchsep.running.jobs import begin
from patchsep.studies.published import compare

log = logging.getLogger("patchsep.script")


def main(snakemake):
    (published,) = snakemake.input.published
    numbers = yaml.safe_load(Path(published).read_text(encoding="utf-8"))
    table = compare(numbers, snakemake.params.results)
    for row in table.to_dict("records"):
        log.info("%(number)s: published %(published)s, here %(here)s", row)
    write_tables(snakemake.output.table, table)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
