"""Draw the Galactic regions."""

import logging
from pathlib import Path

from patchsep.files.maps import read_maps
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise_maps import bands_that_see
from patchsep.running.jobs import begin
from patchsep.sky.regions import draw_regions, dust_intensity_masks, planck_masks

log = logging.getLogger("patchsep.script")


def main(snakemake):
    settings, nside = snakemake.params.regions, snakemake.params.nside
    if settings["method"] == "planck_masks":
        masks = planck_masks(Path(snakemake.input.masks), settings["masks"], nside)
    else:
        (intensity,) = read_maps(snakemake.input.intensity).values()
        masks = dust_intensity_masks(intensity, settings["sky_fractions"], settings["smoothing"])
    seen = None
    if snakemake.input.instrument:
        instrument = read_instrument(snakemake.input.instrument)
        seen = bands_that_see(instrument, nside) >= snakemake.params.fewest_bands
        log.info("%d pixels are seen by %d bands", seen.sum(), snakemake.params.fewest_bands)
    regions = draw_regions(masks, settings["rings"], settings["split_hemispheres"], seen)
    names = ", ".join(f"{index} = {name}" for index, name in enumerate(regions.names, start=1))
    about = f"patchsep, regions from {settings['method']}: 0 = masked, {names}"
    regions.write(snakemake.output.regions, about)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
