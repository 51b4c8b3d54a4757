"""Draw what is left in the recovered CMB maps of methods."""

from patchsep.figures.maps import plot_residual_maps, residual_table
from patchsep.figures.style import draw
from patchsep.files.maps import read_maps, read_polarization
from patchsep.running.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    recovered = dict(zip(params.methods, map(read_maps, files.recovered), strict=True))
    data = residual_table(read_polarization(files.cmb)[0], recovered)
    style = params.style
    draw(snakemake.output, style, plot_residual_maps, data, params.methods, style["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
