"""Draw the patches of every method."""

from patchsep.figures import draw, plot_patches
from patchsep.files import read_maps
from patchsep.logs import log_to


def main(snakemake):
    labels = read_maps(snakemake.input.regions)["REGION"]
    recovered = dict(zip(snakemake.params.methods, map(read_maps, snakemake.input.recovered)))
    options = snakemake.params.style
    draw(snakemake.output, options, plot_patches, recovered, labels, options["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
