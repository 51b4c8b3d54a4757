"""Clean observed maps, and measure bandpowers and r of what is left."""

import pandas as pd

from patchsep.analysis.analyse import Analysis
from patchsep.analysis.band_influence import influence_of_bands
from patchsep.analysis.mock_maps import MockMaps
from patchsep.analysis.patch_selection import read_cleaner
from patchsep.analysis.products import (
    bandpower_table,
    covariance_table,
    products_of,
    window_table,
)
from patchsep.files.maps import write_maps
from patchsep.files.sacc_file import write_sacc
from patchsep.files.tables import read_table, write_table
from patchsep.instrument.beam import common_window
from patchsep.running.jobs import begin
from patchsep.skies.field_skies import moment_tests
from patchsep.skies.foreground_fields import fit_foregrounds, read_priors
from patchsep.skies.whole_sky import observed_sky
from patchsep.sky.regions import COMBINED

# Mock skies that are cleaned without each band.
N_INFLUENCE = 10


def main(snakemake):
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    observation, sky = observed_sky(given, params.model)
    clean = read_cleaner(given, sky, params.patches, **params.fit)
    analysis = Analysis.of(
        observation,
        sky,
        clean,
        MockMaps.read(given.mocks),
        read_table(given.theory),
        spectra=params.spectra,
        **params.analysis,
    )
    write_maps(output.cleaned, **products_of(analysis, observation, sky))
    bandpowers = bandpower_table(analysis)
    write_table(output.bandpowers, bandpowers)
    covariance, windows = covariance_table(analysis), window_table(analysis)
    write_table(output.covariance, covariance)
    write_table(output.windows, windows)
    beam = common_window(observation.resolution, 3 * sky.nside - 1)
    about = params.about | {"nside": sky.nside, "method": snakemake.wildcards.method}
    # Those of single regions are parts of the same sky, and would be counted twice.
    together = (table[table["region"] == COMBINED] for table in (bandpowers, covariance, windows))
    write_sacc(output.sacc, *together, beam, about)
    write_table(output.r, analysis.r_table())
    write_table(output.curves, analysis.curves())
    measured = fit_foregrounds(observation, sky, read_priors(given.foregrounds), **params.fit)
    tests = moment_tests(
        sky, measured, [0], analysis.cleaned.parameters[None], observation.maps[None], params.seed
    )
    write_table(output.model_tests, tests)
    write_table(output.null_tests, analysis.null_tests())
    numbers = range(min(N_INFLUENCE, len(analysis.mocks.cleaned)))
    of_bands = influence_of_bands(analysis, observation, sky, measured, numbers, params.seed)
    write_table(output.influence, pd.concat([analysis.influence(), of_bands], ignore_index=True))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
