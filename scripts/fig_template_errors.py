"""Draw what r comes to with templates of some error, beside the first method."""

import pandas as pd

from patchsep.figures.r import plot_template_errors
from patchsep.figures.style import draw
from patchsep.files.tables import read_table
from patchsep.inference.tables import combined_rows
from patchsep.running.logs import log_to


def main(snakemake):
    params = snakemake.params
    criteria = read_table(snakemake.input.criteria)
    rows = combined_rows(criteria, params.judged, params.criterion, params.templates)
    shown = rows[rows["pixel_weights"].eq(params.pixel_weights)]
    known = pd.DataFrame(params.known, columns=["method", "error", "coherence"])
    draw(snakemake.output, params.style, plot_template_errors, shown.merge(known, "left"))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
