"""Draw what every estimator of BB leaks and finds."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_leakage


def main(snakemake):
    options = snakemake.params.style
    draw(snakemake.output, options, plot_leakage, read_table(snakemake.input.leakage))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
