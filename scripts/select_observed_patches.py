"""Select one configuration of patches per region, by mock skies of an observation."""

from patchsep.analysis.patch_selection import select_patches
from patchsep.files.tables import read_table, write_table
from patchsep.running.jobs import begin
from patchsep.skies.foreground_fields import fit_foregrounds, read_priors
from patchsep.skies.whole_sky import observed_sky


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    observation, sky = observed_sky(given, params.model)
    measured = fit_foregrounds(observation, sky, read_priors(given.foregrounds), **params.fit)
    selection = select_patches(
        observation,
        sky,
        measured,
        params.configurations,
        params.patches,
        read_table(given.theory),
        {"spectra": params.spectra, **params.analysis},
        params.numbers,
        params.seed,
        **params.fit,
    )
    write_table(snakemake.output.selection, selection)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
