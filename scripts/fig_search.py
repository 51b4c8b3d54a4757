"""Draw what samplers find, or how far predicted noise is that of fits."""

from patchsep.figures.search import plot_prediction, plot_search
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.running.logs import log_to

PLOTS = {"search": plot_search, "prediction": plot_prediction}


def main(snakemake):
    params = snakemake.params
    draw(snakemake.output, params.style, PLOTS[params.figure], read_table(snakemake.input.table))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
