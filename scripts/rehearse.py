"""Make skies like the observed one, on which configurations are tried out."""

import logging

import pandas as pd

from patchsep.files import write_polarization, write_table
from patchsep.instrument import read_instrument
from patchsep.logs import log_to
from patchsep.rehearsal import rehearse
from patchsep.residuals import full_sky
from patchsep.sky import RegionSky

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, files = snakemake.params, snakemake.output.foregrounds
    instrument = read_instrument(snakemake.input.instrument)
    maps, rows = 0.0, []
    for region in params.regions:
        sky = RegionSky.read(region, params.zones, params.noise_seed, snakemake.input)
        foregrounds, scatter = rehearse(
            sky,
            list(range(params.n_realizations)),
            skies=len(files),
            seed=params.seed,
            memory=snakemake.resources.fit_memory_mb / 1000,
            **params.fit,
        )
        log.info("%s: %.2f of the published scatter of spectral parameters", region, scatter)
        rows.append({"region": region, "scatter": scatter})
        maps = maps + full_sky(foregrounds, sky.pixels, sky.nside)
    for number, path in enumerate(files):
        about = f"patchsep, rehearsal {number}: a sky like the observed one, seed {params.seed}"
        write_polarization(path, maps[number], instrument.labels, about)
    write_table(snakemake.output.scatter, pd.DataFrame(rows))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
