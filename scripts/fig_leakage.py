"""Draw what every estimator of BB leaks and finds."""

from patchsep.figures import save, style
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_leakage


def main(snakemake):
    options = snakemake.params.style
    with style(options["font_size"]):
        figure = plot_leakage(read_table(snakemake.input.leakage))
        save(figure, snakemake.output, options["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
