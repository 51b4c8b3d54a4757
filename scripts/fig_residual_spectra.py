"""Draw the residual BB spectra of every method's chosen configurations."""

from collections import defaultdict

from patchsep.figures import plot_residual_spectra, save, style
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
    with style(params.style["font_size"]):
        figure = plot_residual_spectra(spectra, templates)
        save(figure, snakemake.output, params.style["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
