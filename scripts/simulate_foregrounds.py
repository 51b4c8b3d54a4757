"""Simulate Galactic foregrounds in the instrument's bands."""

from patchsep.files.maps import write_maps, write_polarization
from patchsep.instrument.instrument import read_instrument
from patchsep.running.logs import log_to
from patchsep.sky.foregrounds import INTENSITY_FREQUENCY, simulate_foregrounds


def main(snakemake):
    settings = snakemake.params.foregrounds
    instrument = read_instrument(snakemake.input.instrument)
    sky = simulate_foregrounds(
        settings["model"], instrument.frequency, snakemake.params.nside, settings["seed"]
    )
    model = "embedded stand-in" if settings["model"] == "embedded" else "PySM 3"
    about = f"patchsep, {model} foregrounds {settings}, {instrument.name} bands"
    write_polarization(snakemake.output.polarization, sky.polarization, instrument.labels, about)
    write_maps(
        snakemake.output.intensity,
        {f"I_{INTENSITY_FREQUENCY:g}GHZ": sky.dust_intensity},
        "uK_RJ",
        about,
    )
    parameters = {name.upper(): values for name, values in sky.parameters.items()}
    write_maps(snakemake.output.parameters, parameters, ["", "K", ""], about)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
