"""Draw the chain from the sky to r."""

from patchsep.figures import draw
from patchsep.logs import log_to
from patchsep.pipeline_figure import STAGES, plot_pipeline


def main(snakemake):
    draw(snakemake.output, snakemake.params.style, plot_pipeline, STAGES)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
