"""Show observed maps as they were read, with a fit of one patch."""

from pathlib import Path

import numpy as np

from patchsep.analysis.cleaning import one_patch
from patchsep.figures.first_look import ObservedBands, write_first_look
from patchsep.files.maps import read_polarization
from patchsep.files.tables import read_table
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise_maps import read_noise_maps
from patchsep.observation.observed_signals import map_noise
from patchsep.running.jobs import begin
from patchsep.skies.whole_sky import observed_sky
from patchsep.sky.regions import Regions, full_sky


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    instrument, nside = read_instrument(given.instrument), params.nside
    files = read_table(given.files).drop_duplicates("band")
    splits = [read_polarization(path) for path in given.splits]
    hits = zip(instrument.labels, read_noise_maps(instrument, nside), strict=True)
    bands = ObservedBands(
        names=instrument.labels,
        frequencies=instrument.frequency,
        units=list(files["unit"]),
        maps=read_polarization(given.maps),
        noise=map_noise(instrument, nside, Resolution.of(params.resolution)),
        splits=np.stack(splits) if splits else None,
        hits={label: of_band[0] for label, (of_band, _) in hits if of_band is not None},
    )
    observation, sky = observed_sky(given, params.model)
    amplitudes, parameters = one_patch(observation, sky, **params.fit)
    regions = Regions.read(given.regions)
    write_first_look(
        snakemake.output.page,
        f"{instrument.name}: a first look",
        bands,
        {name: regions.labels == number for number, name in enumerate(regions.names, start=1)},
        {
            f"{name}, µK_RJ": full_sky(maps, sky.pixels, nside, fill=np.nan)
            for name, maps in amplitudes.items()
        },
        parameters,
        Path(given.warnings).read_text(encoding="utf-8").splitlines(),
    )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
