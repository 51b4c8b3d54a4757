"""Draw the BB spectra of chosen configurations, of methods and sets."""

from patchsep.figures.r import plot_residual_spectra
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.inference.sets import shown_tables
from patchsep.running.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    tables = zip(map(read_table, files.estimates), map(read_table, files.curves), strict=True)
    data = shown_tables(params.criterion, dict(zip(params.judged, tables, strict=True)))
    draw(snakemake.output, params.style, plot_residual_spectra, data, params.kinds)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
