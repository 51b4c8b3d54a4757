"""Draw the residuals where patches are more and less uniform."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_patch_classes


def main(snakemake):
    data = read_table(snakemake.input.classes)
    draw(snakemake.output, snakemake.params.style, plot_patch_classes, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
