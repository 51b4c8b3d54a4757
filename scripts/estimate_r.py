"""Estimate r for every configuration of a method in one region, or in all combined."""

import logging

import pandas as pd

from patchsep.files import read_table, write_table
from patchsep.likelihood import spectra_to_r
from patchsep.logs import log_to

log = logging.getLogger("patchsep.script")


def main(snakemake):
    spectra = read_table(snakemake.input.spectra)
    metrics = read_table(snakemake.input.metrics)
    templates = read_table(snakemake.input.templates)
    sky_templates = read_table(snakemake.input.sky_templates)
    rows, curves = [], []
    for row in metrics.to_dict("records"):
        estimate = spectra_to_r(
            spectra[spectra["configuration"] == row["configuration"]],
            templates,
            sky_templates,
            snakemake.params.r_input,
            row["f_sky"],
            **snakemake.params.r_grid,
        )
        row |= {
            "r_hat": estimate.r_hat,
            "sigma_r_minus": estimate.sigma_minus,
            "sigma_r_plus": estimate.sigma_plus,
            "r_upper68": estimate.r_upper68,
        }
        rows.append(row)
        curve = pd.DataFrame({"r": estimate.r, "likelihood": estimate.likelihood})
        curves.append(curve.assign(configuration=row["configuration"]))
        log.info("%(configuration)s: r_hat %(r_hat).3g, r_upper68 %(r_upper68).3g", row)
    write_table(snakemake.output.estimates, pd.DataFrame(rows))
    write_table(snakemake.output.curves, pd.concat(curves, ignore_index=True))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
