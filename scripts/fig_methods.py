"""Draw r_hat and sigma_+ of every method, and how they compare with the first one's."""

import pandas as pd

from patchsep.choice import COMBINED
from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.r_figures import plot_methods
from patchsep.tables import relative_to_first


def main(snakemake):
    params = snakemake.params
    criteria = read_table(snakemake.input.criteria)
    drawn = pd.MultiIndex.from_frame(criteria[["set", "method"]]).isin(params.judged)
    shown = criteria[
        drawn
        & criteria["criterion"].eq(params.criterion)
        & criteria["region"].eq(COMBINED)
        & criteria["templates"].eq(params.templates)
    ]
    samples = dict(zip(params.judged, map(read_table, snakemake.input.samples), strict=True))
    data = relative_to_first(shown, samples)
    draw(snakemake.output, params.style, plot_methods, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
