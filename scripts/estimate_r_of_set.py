"""Estimate r of the selected configurations from all skies of a set."""

from pathlib import Path

from patchsep.files.tables import read_table, write_table
from patchsep.inference.sets import estimate_r_of_set
from patchsep.running.jobs import begin
from patchsep.spectra.residuals import with_statistical


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    theory = {(Path(path).parent.name, Path(path).stem): path for path in files.theory}
    found = estimate_r_of_set(
        [with_statistical(read_table(path), params.statistical) for path in files.skies],
        read_table(files.selected),
        {key: read_table(path) for key, path in theory.items()},
        params.r_input,
        params.pixel_weights,
        params.foreground_residual,
        amplitude_scatter=params.amplitude_scatter,
        **params.bootstrap,
        **params.r_grid,
    )
    for name, table in found._asdict().items():
        write_table(snakemake.output[name], table)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
