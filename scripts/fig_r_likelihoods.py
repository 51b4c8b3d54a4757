"""Draw the likelihoods of r of every method's chosen configurations."""

from collections import defaultdict

from patchsep.figures import draw, plot_r_likelihoods
from patchsep.files import read_table
from patchsep.judging import of_criterion
from patchsep.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    curves, estimates = defaultdict(dict), defaultdict(dict)
    for method, judged, path in zip(params.methods, files.estimates, files.curves, strict=True):
        rows = of_criterion(params.criterion, read_table(judged), read_table(path))
        for area, (row, curve) in rows.items():
            estimates[area][method], curves[area][method] = row, curve
    draw(snakemake.output, params.style, plot_r_likelihoods, curves, estimates, params.r_input)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
