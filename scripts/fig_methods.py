"""Draw r_hat and sigma_+ of every method, and how they compare with the first one's."""

from patchsep.choice import COMBINED
from patchsep.figures import draw
from patchsep.files import read_table
from patchsep.logs import log_to
from patchsep.r_figures import plot_methods
from patchsep.tables import relative_to_first


def main(snakemake):
    params = snakemake.params
    criteria = read_table(snakemake.input.criteria)
    shown = criteria[
        [pair in params.judged for pair in zip(criteria["set"], criteria["method"])]
        & criteria["criterion"].eq(params.criterion)
        & criteria["region"].eq(COMBINED)
        & criteria["templates"].eq(params.templates)
    ]
    data = relative_to_first(shown, read_table(snakemake.input.gains))
    draw(snakemake.output, params.style, plot_methods, data)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
