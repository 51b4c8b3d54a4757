"""Gather r of all methods, regions and sets into tables."""

import logging

from patchsep.files.tables import read_table, write_table, write_tables
from patchsep.files.whole import whole
from patchsep.inference.tables import (
    configuration_table,
    gains_table,
    model_table,
    model_warnings,
    selection_table,
    summary_table,
    summary_text,
)
from patchsep.running.jobs import begin

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, files = snakemake.params, snakemake.input

    def read(keys, paths):
        return dict(zip(keys, map(read_table, paths), strict=True))

    selection = selection_table(read(params.sets, files.estimates))
    summary = summary_table(selection, params.criterion)
    write_tables(snakemake.output.summary, summary)
    write_tables(snakemake.output.selection, selection)
    write_table(snakemake.output.gains, gains_table(selection, read(params.sets, files.samples)))
    configurations = configuration_table(read(params.grids, files.configurations))
    write_tables(snakemake.output.configurations, configurations)
    tests = zip(params.moments, map(read_table, files.moments), strict=True)
    model = model_table([(*key, table) for key, table in tests])
    write_tables(snakemake.output.model, model)
    warnings = model_warnings(model)
    for warning in warnings:
        log.warning(warning)
    with whole(snakemake.output.text) as temporary:
        temporary.write_text(
            summary_text(summary, **params.about, warnings=warnings), encoding="utf-8"
        )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
