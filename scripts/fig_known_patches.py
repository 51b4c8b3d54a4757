"""Draw how often every criterion finds known patches, and how fitted parameters scatter."""

from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.validation_figures import plot_known_patches


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    tables = [map(read_table, paths) for paths in (files.estimates, files.choices, files.pulls)]
    draw(
        snakemake.output,
        params.style,
        plot_known_patches,
        dict(zip(params.truths, zip(*tables, strict=True), strict=True)),
        params.n_realizations,
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
