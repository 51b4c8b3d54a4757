"""Draw what every criterion's choice comes to on the skies that it is judged on."""

from patchsep.figures.r import plot_criteria
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.running.logs import log_to
from patchsep.sky.regions import COMBINED


def main(snakemake):
    data = read_table(snakemake.input.criteria)
    data = data[data["region"].eq(COMBINED) & data["templates"].eq(data["templates"][0])]
    draw(snakemake.output, snakemake.params.style, plot_criteria, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
