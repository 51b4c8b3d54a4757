"""Draw the Galactic regions."""

import pandas as pd

from patchsep.figures import draw
from patchsep.files import read_maps
from patchsep.logs import log_to
from patchsep.sky_figures import plot_regions


def main(snakemake):
    params = snakemake.params
    data = pd.DataFrame({"region": read_maps(snakemake.input.regions)["REGION"]})
    style = params.style
    draw(snakemake.output, style, plot_regions, data, params.names, style["projection"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
