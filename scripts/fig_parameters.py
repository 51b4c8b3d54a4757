"""Draw true and recovered spectral parameters."""

from patchsep.figures.maps import parameter_table, plot_parameters
from patchsep.figures.style import draw
from patchsep.files.maps import read_maps
from patchsep.running.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    recovered = dict(zip(params.methods, map(read_maps, files.recovered), strict=True))
    data = parameter_table(read_maps(files.true), recovered)
    style = params.style
    draw(snakemake.output, style, plot_parameters, data, params.methods, style["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
