"""Draw r_hat and sigma_+ of every method, and how they compare with the first one's."""

from patchsep.figures.r import plot_methods
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.inference.tables import combined_rows, relative_to_first
from patchsep.running.logs import log_to


def main(snakemake):
    params = snakemake.params
    criteria = read_table(snakemake.input.criteria)
    shown = combined_rows(criteria, params.judged, params.criterion, params.templates)
    samples = dict(zip(params.judged, map(read_table, snakemake.input.samples), strict=True))
    data = relative_to_first(shown, samples)
    draw(snakemake.output, params.style, plot_methods, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
