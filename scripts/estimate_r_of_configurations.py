"""Estimate r for every configuration of a method in one region."""

from patchsep.files.tables import read_table, write_table
from patchsep.inference.configurations import estimate_r_of_configurations
from patchsep.inference.selection import with_mocks
from patchsep.running.jobs import begin
from patchsep.spectra.residuals import with_statistical


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    estimates = estimate_r_of_configurations(
        read_table(files.metrics),
        with_statistical(read_table(files.spectra), params.statistical),
        read_table(files.theory),
        params.r_input,
        [read_table(path) for path in files.mock_spectra],
        params.amplitude_scatter,
        **params.r_grid,
    )
    mock_estimates = [read_table(path) for path in files.mock_estimates]
    estimates = with_mocks(estimates, mock_estimates, params.r_input)
    write_table(snakemake.output.estimates, estimates)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
