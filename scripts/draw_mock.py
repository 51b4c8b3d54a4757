"""Draw the foregrounds of a mock sky."""

from patchsep.files.maps import write_polarization
from patchsep.instrument.bandpass import SIMULATED_NODES
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.foreground_model import ForegroundModel
from patchsep.running.jobs import begin
from patchsep.skies.mocks import mock_foregrounds
from patchsep.sky.regions import COMBINED, Regions, full_sky
from patchsep.sky.spectral_model import spectral_model


def main(snakemake):
    params, number = snakemake.params, int(snakemake.wildcards.number)
    model = spectral_model(**params.model)
    instrument = read_instrument(snakemake.input.instrument)
    regions = Regions.read(snakemake.input.regions)
    pixels = regions.pixels(COMBINED)
    foregrounds = mock_foregrounds(
        ForegroundModel.read(snakemake.input.foreground_model, pixels, model),
        pixels,
        regions.nside,
        instrument.bandpasses(SIMULATED_NODES),
        number,
        params.seed,
        model,
    )
    write_polarization(
        snakemake.output.foregrounds,
        full_sky(foregrounds, pixels, regions.nside),
        instrument.labels,
        f"patchsep, mock sky {number}: drawn from the foreground model, seed {params.seed}",
    )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
