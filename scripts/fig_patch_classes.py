"""Draw the residuals where patches are more and less uniform."""

from patchsep.figures.style import draw
from patchsep.figures.validation import plot_patch_classes
from patchsep.files.tables import read_table
from patchsep.running.logs import log_to


def main(snakemake):
    data = read_table(snakemake.input.classes)
    draw(snakemake.output, snakemake.params.style, plot_patch_classes, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
