"""Draw a figure: make the table that it shows, and write it beside its PDF and PNG."""

from importlib import import_module

from patchsep.figures.style import draw
from patchsep.running.jobs import begin


def main(snakemake):
    params = snakemake.params
    # By its name, so that the fingerprint of this script is not that of all figures.
    module = import_module(f"patchsep.figures.{params.module}")
    figure = module.FIGURES[params.figure]
    table = figure.table(dict(snakemake.input.items()), params.shows)
    draw(snakemake.output, params.style, figure.plot, table, params.shows)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
