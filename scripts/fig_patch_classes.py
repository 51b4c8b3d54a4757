"""Draw the residuals where patches are more and less uniform."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_patch_classes


def main(snakemake):
    options = snakemake.params.style
    draw(snakemake.output, options, plot_patch_classes, read_table(snakemake.input.classes))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
