"""Draw the Galactic regions."""

from patchsep.figures import draw, plot_regions
from patchsep.files import read_maps
from patchsep.logs import log_to


def main(snakemake):
    labels = read_maps(snakemake.input.regions)["REGION"]
    options = snakemake.params.style
    draw(
        snakemake.output,
        options,
        plot_regions,
        labels,
        snakemake.params.names,
        options["projection"],
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
