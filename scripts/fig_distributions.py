"""Draw how variance, NLL and residual power scatter over noise realisations."""

import pandas as pd

from patchsep.figures.r import plot_distributions
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.inference.sets import shown
from patchsep.running.logs import log_to
from patchsep.sky.regions import COMBINED


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    tables = []
    for method, judged, path in zip(params.methods, files.estimates, files.spectra, strict=True):
        chosen = shown(params.criterion, read_table(judged)).set_index("region").loc[COMBINED]
        rows = read_table(path)
        of_choice = rows[["configuration", "pixel_weights"]].eq(
            chosen[["configuration", "pixel_weights"]]
        )
        rows = rows[rows["area"].eq(COMBINED) & of_choice.all(axis=1)]
        rows = rows.assign(method=method, bb_sum=rows["total"].map(sum))
        tables.append(rows[["method", "configuration", "realization", "variance", "nll", "bb_sum"]])
    data = pd.concat(tables, ignore_index=True)
    draw(snakemake.output, params.style, plot_distributions, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
