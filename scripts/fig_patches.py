"""Draw the patches of methods."""

from patchsep.figures.maps import patch_table, plot_patches
from patchsep.figures.style import draw
from patchsep.files.maps import read_maps
from patchsep.running.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    recovered = dict(zip(params.methods, map(read_maps, files.recovered), strict=True))
    data = patch_table(recovered, read_maps(files.regions)["REGION"])
    style = params.style
    draw(snakemake.output, style, plot_patches, data, params.methods, style["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
