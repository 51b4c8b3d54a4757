"""Draw the likelihoods of r of every method's best configurations."""

from collections import defaultdict

from patchsep.figures import plot_r_likelihoods, save, style
from patchsep.files import read_table
from patchsep.likelihood import best_configuration
from patchsep.logs import log_to


def main(snakemake):
    curves, estimates = defaultdict(dict), defaultdict(dict)
    for (method, area), estimate, curve in zip(
        snakemake.params.areas, snakemake.input.estimates, snakemake.input.curves
    ):
        rows, points = read_table(estimate), read_table(curve)
        best = best_configuration(rows)
        estimates[area][method] = rows.set_index("configuration").loc[best]
        curves[area][method] = points[points["configuration"] == best]
    options = snakemake.params.style
    with style(options["font_size"]):
        figure = plot_r_likelihoods(curves, estimates, snakemake.params.r_input)
        save(figure, snakemake.output, options["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
