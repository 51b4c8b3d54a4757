"""Draw run times against patches, or the approach to the minimum, of all optimisers."""

from patchsep.figures.style import draw
from patchsep.figures.validation import plot_optimizers, plot_run_times
from patchsep.files.tables import read_table
from patchsep.running.logs import log_to

PLOTS = {"run_times": plot_run_times, "optimizers": plot_optimizers}


def main(snakemake):
    params = snakemake.params
    data = read_table(snakemake.input.table)
    draw(snakemake.output, params.style, PLOTS[params.figure], data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
