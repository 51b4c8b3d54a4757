"""Draw the configurations of a grid: r against variance, scans, or r against patches."""

from patchsep.figures.configurations import (
    best_by_patches,
    plot_r_and_patches,
    plot_scans,
    plot_variance_and_r,
    scans,
)
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.inference.tables import configuration_table
from patchsep.running.logs import log_to

# The rows that a figure shows, and how.
FIGURES = {
    "variance_and_r": (lambda table: table, plot_variance_and_r),
    "scans": (scans, plot_scans),
    "r_and_patches": (best_by_patches, plot_r_and_patches),
}


def main(snakemake):
    params = snakemake.params
    tables = map(read_table, snakemake.input.estimates)
    select, plot = FIGURES[params.figure]
    data = select(configuration_table(dict(zip(params.regions, tables, strict=True))))
    draw(snakemake.output, params.style, plot, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
