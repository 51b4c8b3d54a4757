"""Draw the residual BB spectra of every method's chosen configurations."""

from collections import defaultdict

from patchsep.figures import draw, plot_residual_spectra
from patchsep.files import read_table
from patchsep.judging import of_criterion
from patchsep.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    spectra = defaultdict(dict)
    for method, chosen, path in zip(params.methods, files.chosen, files.spectra, strict=True):
        rows = of_criterion(params.criterion, read_table(chosen), read_table(path))
        for area, (_, table) in rows.items():
            spectra[area][method] = table
    templates = read_table(files.templates)
    draw(snakemake.output, params.style, plot_residual_spectra, spectra, templates)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
