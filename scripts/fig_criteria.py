"""Draw what every criterion's choice comes to on the skies that it is judged on."""

from patchsep.figures import draw, plot_criteria
from patchsep.files import read_table
from patchsep.logs import log_to


def main(snakemake):
    options = snakemake.params.style
    draw(snakemake.output, options, plot_criteria, read_table(snakemake.input.criteria))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
