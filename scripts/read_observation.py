"""Bring observed maps to the nside, coordinates and resolution of the run."""

import logging

from patchsep.files.maps import write_polarization
from patchsep.files.tables import write_table
from patchsep.files.whole import whole
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.observed_maps import read_observed_maps
from patchsep.observation.observed_signals import observation_warnings
from patchsep.running.jobs import begin
from patchsep.sky.spectral_model import spectral_model

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, output = snakemake.params, snakemake.output
    instrument = read_instrument(snakemake.input.instrument)
    resolution = Resolution.of(params.resolution)
    observed = read_observed_maps(params.observation, instrument, params.nside, resolution)
    warnings = observation_warnings(
        observed, instrument, params.nside, resolution, spectral_model(**params.model)
    )
    for warning in warnings:
        log.warning("%s", warning)
    write_table(output.files, observed.files)
    with whole(output.warnings) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in warnings), encoding="utf-8")
    files = {output.maps: observed.maps}
    if observed.splits is not None:
        files |= dict(zip(output.splits, observed.splits, strict=True))
    for path, maps in files.items():
        about = f"patchsep, observed maps of {instrument.name}"
        write_polarization(path, maps, instrument.labels, about, resolution=params.resolution)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
