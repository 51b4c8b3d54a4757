"""Draw the residuals where patches are more and less uniform."""

from patchsep.figures import save, style
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_patch_classes


def main(snakemake):
    options = snakemake.params.style
    with style(options["font_size"]):
        figure = plot_patch_classes(read_table(snakemake.input.classes))
        save(figure, snakemake.output, options["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
