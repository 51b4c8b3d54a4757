"""Draw the residual BB spectra of every method's best configurations."""

from collections import defaultdict
from pathlib import Path

from patchsep.figures import plot_residual_spectra, save, style
from patchsep.files import read_table
from patchsep.logs import log_to


def main(snakemake):
    chosen = {}
    for path in snakemake.input.combined:
        method = Path(path).parent.name
        (combined,) = read_table(path)["configuration"]
        chosen[method] = dict(zip(snakemake.params.regions, combined.split(" + ")))
        chosen[method]["combined"] = combined
    spectra = defaultdict(dict)
    for (method, area), path in zip(snakemake.params.areas, snakemake.input.spectra):
        table = read_table(path)
        spectra[area][method] = table[table["configuration"] == chosen[method][area]]
    templates = read_table(snakemake.input.templates)
    options = snakemake.params.style
    with style(options["font_size"]):
        figure = plot_residual_spectra(spectra, templates)
        save(figure, snakemake.output, options["resolution"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
