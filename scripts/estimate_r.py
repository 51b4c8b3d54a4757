"""Estimate r for every configuration of a method in one region."""

import logging

import pandas as pd

from patchsep.files.tables import read_table, write_table
from patchsep.inference.r_likelihood import measure_r
from patchsep.inference.selection import with_rehearsals
from patchsep.running.logs import log_to
from patchsep.spectra.residuals import mean_systematic, with_statistical

log = logging.getLogger("patchsep.script")


def main(snakemake):
    spectra = with_statistical(read_table(snakemake.input.spectra), snakemake.params.statistical)
    bands = read_table(snakemake.input.bands)
    expected = [read_table(path) for path in snakemake.input.expected]
    rows = []
    for row in read_table(snakemake.input.metrics).to_dict("records"):
        own = spectra[spectra["configuration"] == row["configuration"]]
        estimate = measure_r(
            own["total"].to_numpy(),
            own["statistical"].to_numpy(),
            bands,
            snakemake.params.r_input,
            mean_systematic(expected, row["configuration"]),
            snakemake.params.amplitude_scatter,
            **snakemake.params.r_grid,
        )
        row |= estimate.headline | {
            "foreground_residual": "marginalised" if expected else "neglected"
        }
        rows.append(row)
        log.info("%(configuration)s: r_hat %(r_hat).3g, r_upper68 %(r_upper68).3g", row)
    rehearsals = [read_table(path) for path in snakemake.input.rehearsals]
    estimates = with_rehearsals(pd.DataFrame(rows), rehearsals, snakemake.params.r_input)
    write_table(snakemake.output.estimates, estimates)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
