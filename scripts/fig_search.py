"""Draw what samplers find, or how far predicted noise is that of fits."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.search_figures import plot_prediction, plot_search

PLOTS = {"search": plot_search, "prediction": plot_prediction}


def main(snakemake):
    params = snakemake.params
    draw(snakemake.output, params.style, PLOTS[params.figure], read_table(snakemake.input.table))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
