"""Draw a figure: make the table that it shows, and write it beside its PDF and PNG."""

from importlib import import_module

from patchsep.figures.style import draw
from patchsep.running.logs import log_to


def main(snakemake):
    shown, files = dict(snakemake.params.items()), dict(snakemake.input.items())
    # By its name, so that the fingerprint of this script is not that of all figures.
    module = import_module(f"patchsep.figures.{shown['module']}")
    figure = module.FIGURES[shown["figure"]]
    draw(snakemake.output, shown["style"], figure.plot, figure.table(files, shown), shown)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
