"""Simulate Galactic foregrounds in the instrument's bands."""

from patchsep.files.maps import write_maps, write_polarization
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.running.jobs import begin
from patchsep.sky.foregrounds import INTENSITY_FREQUENCY, foregrounds_in_bands
from patchsep.sky.harmonics import smoothed
from patchsep.sky.spectral_model import spectral_model


def main(snakemake):
    settings, model = snakemake.params.foregrounds, spectral_model(**snakemake.params.model)
    instrument = read_instrument(snakemake.input.instrument)
    source = "embedded stand-in" if settings["model"] == "embedded" else "PySM 3"
    about = f"patchsep, {source} foregrounds {settings}, {instrument.name} bands"
    nside, resolution = snakemake.params.nside, snakemake.params.resolution
    sky, response = foregrounds_in_bands(settings, instrument, nside, model)
    maps = sky.polarization
    if resolution is not None:
        maps = smoothed(maps, Resolution.of(resolution).window(3 * nside - 1), nside)
    if response is not None:
        maps = response @ maps
    write_polarization(
        snakemake.output.polarization, maps, instrument.labels, about, response, resolution
    )
    write_maps(
        snakemake.output.intensity,
        {f"I_{INTENSITY_FREQUENCY:g}GHZ": sky.dust_intensity},
        "uK_RJ",
        about,
    )
    parameters = {name.upper(): values for name, values in sky.parameters.items()}
    units = [parameter.unit for parameter in model.parameters]
    write_maps(snakemake.output.parameters, parameters, units, about)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
