"""Draw true and recovered spectral parameters."""

from patchsep.figures import draw, plot_parameters
from patchsep.files import read_maps
from patchsep.logs import log_to


def main(snakemake):
    true = read_maps(snakemake.input.true)
    recovered = dict(zip(snakemake.params.methods, map(read_maps, snakemake.input.recovered)))
    options = snakemake.params.style
    draw(snakemake.output, options, plot_parameters, true, recovered, options["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
