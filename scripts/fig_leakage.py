"""Draw what every estimator of BB leaks and finds."""

from patchsep.figures.style import draw
from patchsep.figures.validation import plot_leakage
from patchsep.files.tables import read_table
from patchsep.running.logs import log_to


def main(snakemake):
    data = read_table(snakemake.input.leakage)
    draw(snakemake.output, snakemake.params.style, plot_leakage, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
