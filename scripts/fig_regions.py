"""Draw the Galactic regions."""

import pandas as pd

from patchsep.figures.maps import plot_regions
from patchsep.figures.style import draw
from patchsep.files.maps import read_maps
from patchsep.running.logs import log_to


def main(snakemake):
    params = snakemake.params
    data = pd.DataFrame({"region": read_maps(snakemake.input.regions)["REGION"]})
    style = params.style
    draw(snakemake.output, style, plot_regions, data, params.names, style["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
