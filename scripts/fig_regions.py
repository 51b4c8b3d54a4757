"""Draw the Galactic regions."""

from patchsep.figures import plot_regions, save, style
from patchsep.files import read_maps
from patchsep.logs import log_to


def main(snakemake):
    labels = read_maps(snakemake.input.regions)["REGION"]
    options = snakemake.params.style
    with style(options["font_size"]):
        figure = plot_regions(labels, snakemake.params.names, options["projection"])
        save(figure, snakemake.output, options["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
