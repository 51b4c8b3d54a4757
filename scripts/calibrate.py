"""Count how often intervals of r hold the true one, on skies whose parameters are fields."""

from patchsep.files.tables import read_table, write_table
from patchsep.instrument.instrument import read_instrument
from patchsep.running.jobs import begin
from patchsep.sky.foregrounds import amplitudes, foreground_sky
from patchsep.sky.regions import Regions
from patchsep.sky.spectral_model import spectral_model
from patchsep.studies.calibration import calibrate


def main(snakemake):
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    model, regions = spectral_model(**params.model), Regions.read(given.regions)
    skies, coverage, pulls = calibrate(
        regions,
        read_instrument(given.instrument),
        amplitudes(foreground_sky(nside=regions.nside, **params.foregrounds), model),
        model,
        read_table(given.theory),
        params.spectra,
        params.pixel_weights,
        params.fields,
        params.skies,
        params.amplitude_scatter,
        **params.fit,
    )
    write_table(output.skies, skies)
    write_table(output.coverage, coverage)
    write_table(output.pulls, pulls)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
