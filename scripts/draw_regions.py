"""Draw the Galactic regions."""

from pathlib import Path

from patchsep.files.maps import read_maps
from patchsep.running.jobs import begin
from patchsep.sky.regions import draw_regions, dust_intensity_masks, planck_masks


def main(snakemake):
    settings, nside = snakemake.params.regions, snakemake.params.nside
    if settings["method"] == "planck_masks":
        masks = planck_masks(Path(snakemake.input.masks), settings["masks"], nside)
    else:
        (intensity,) = read_maps(snakemake.input.intensity).values()
        masks = dust_intensity_masks(intensity, settings["sky_fractions"], settings["smoothing"])
    regions = draw_regions(masks, settings["rings"], settings["split_hemispheres"])
    names = ", ".join(f"{index} = {name}" for index, name in enumerate(regions.names, start=1))
    about = f"patchsep, regions from {settings['method']}: 0 = masked, {names}"
    regions.write(snakemake.output.regions, about)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
