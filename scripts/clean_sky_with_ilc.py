"""Clean a whole sky without a fit, by an internal linear combination of its bands."""

import pandas as pd

from patchsep.files.maps import write_maps
from patchsep.files.tables import read_table, write_table
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.skies.cleaned_sky import measure_all, recovered_maps
from patchsep.skies.ilc_skies import clean_with_ilc
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.regions import COMBINED, FULL_SKY
from patchsep.sky.spectral_model import spectral_model


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    model = spectral_model(**params.model)
    sky = WholeSky(RegionSky.read_all(params.noise_seed, files, model), model)
    tables = []
    for region, cleaned in clean_with_ilc(
        params.ilc,
        params.configuration,
        RegionSky.read(FULL_SKY, params.noise_seed, files, model),
        sky,
        range(params.n_realizations),
        read_table(files.theory)["bb_lensing"].to_numpy(),
    ):
        tables += measure_all(region, cleaned, sky.nside, params.spectra, params.pixel_weights)
        if region == COMBINED:
            maps, units = recovered_maps(cleaned, sky.nside, model)
            about = f"patchsep, method {snakemake.wildcards.method}, realisation 0"
            about += "\nSYSTEMATIC_* is the mean over realisations, E modes are those of the truth"
            write_maps(snakemake.output.maps, maps, units, about)
    write_table(snakemake.output.spectra, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
