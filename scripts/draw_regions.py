"""Draw the regions of the sky."""

import logging

import numpy as np

from patchsep.files.maps import read_polarization
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise_maps import bands_that_see
from patchsep.running.jobs import begin
from patchsep.sky.regions import regions_of

log = logging.getLogger("patchsep.script")


def main(snakemake):
    settings, nside = snakemake.params.regions, snakemake.params.nside
    fewest, seen = snakemake.params.fewest_bands, np.ones(12 * nside**2, bool)
    if snakemake.input.instrument:
        instrument = read_instrument(snakemake.input.instrument)
        seen &= bands_that_see(instrument, nside) >= fewest
    for path in snakemake.input.observed:
        seen &= np.isfinite(read_polarization(path)).all(axis=1).sum(axis=0) >= fewest
    log.info("%d pixels are seen by %d bands", seen.sum(), fewest)
    regions = regions_of(settings, dict(snakemake.input.items()), nside, seen)
    names = ", ".join(f"{index} = {name}" for index, name in enumerate(regions.names, start=1))
    about = f"patchsep, regions from {settings['method']}: 0 = masked, {names}"
    regions.write(snakemake.output.regions, about)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
