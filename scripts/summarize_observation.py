"""Put together r of all methods, and tell it in words."""

from pathlib import Path

from patchsep.analysis.products import (
    observed_summary,
    observed_text,
    observed_warnings,
)
from patchsep.files.tables import read_table, write_tables
from patchsep.files.versions import write_provenance
from patchsep.files.whole import whole
from patchsep.running.jobs import begin


def main(snakemake):
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    tables = {
        key: dict(zip(params.methods, map(read_table, given[key]), strict=True))
        for key in ("r", "null_tests", "model_tests")
    }
    summary = observed_summary(tables.pop("r"))
    write_tables(output.summary, summary)
    of_maps = Path(given.warnings).read_text(encoding="utf-8").splitlines()
    text = observed_text(
        summary, observed_warnings(summary, **tables, of_maps=of_maps), **params.about
    )
    with whole(output.text) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_provenance(output.provenance, params.settings, params.files)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
