"""Draw the chain from the sky to r."""

from patchsep.figures.pipeline import STAGES, plot_pipeline
from patchsep.figures.style import draw
from patchsep.running.logs import log_to


def main(snakemake):
    draw(snakemake.output, snakemake.params.style, plot_pipeline, STAGES)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
