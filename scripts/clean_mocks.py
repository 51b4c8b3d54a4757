"""Clean some of the mock skies of an observation as the observation is cleaned."""

from patchsep.analysis.mock_maps import clean_mocks
from patchsep.analysis.patch_selection import read_cleaner
from patchsep.files.tables import read_table
from patchsep.running.jobs import begin
from patchsep.skies.foreground_fields import fit_foregrounds, read_priors
from patchsep.skies.whole_sky import observed_sky


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    observation, sky = observed_sky(given, params.model)
    measured = fit_foregrounds(observation, sky, read_priors(given.foregrounds), **params.fit)
    clean = read_cleaner(given, sky, params.patches, **params.fit)
    theory = read_table(given.theory)
    mocks = clean_mocks(observation, sky, measured, clean, theory, params.numbers, params.seed)
    mocks.write(snakemake.output.mocks)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
