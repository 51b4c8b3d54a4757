"""Draw run times against patches, or the approach to the minimum, of all optimisers."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_run_times, plot_traces

PLOTS = {"run_times": plot_run_times, "traces": plot_traces}


def main(snakemake):
    options = snakemake.params.style
    draw(
        snakemake.output,
        options,
        PLOTS[snakemake.wildcards.table],
        read_table(snakemake.input.table),
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
