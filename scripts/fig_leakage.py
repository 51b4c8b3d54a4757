"""Draw what every estimator of BB leaks and finds."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_leakage


def main(snakemake):
    data = read_table(snakemake.input.leakage)
    draw(snakemake.output, snakemake.params.style, plot_leakage, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
