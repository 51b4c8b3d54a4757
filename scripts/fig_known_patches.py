"""Draw how often every criterion finds known patches, and how fitted parameters scatter."""

from patchsep.figures import save, style
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_known_patches


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    tables = [map(read_table, paths) for paths in (files.estimates, files.choices, files.pulls)]
    with style(params.style["font_size"]):
        figure = plot_known_patches(
            dict(zip(params.truths, zip(*tables, strict=True), strict=True)), params.n_realizations
        )
        save(figure, snakemake.output, params.style["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
