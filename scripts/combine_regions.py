"""Put the best configuration of every region together: maps, residual spectra, metrics."""

from pathlib import Path

import numpy as np
import pandas as pd

from patchsep.files import read_partitions, read_table, write_maps, write_table
from patchsep.fit import parameter_maps
from patchsep.likelihood import best_configuration
from patchsep.logs import log_to
from patchsep.noise import FOREGROUNDS_ONLY
from patchsep.patches import PARAMETERS, configuration_patches
from patchsep.residuals import (
    combine_metrics,
    configuration_metrics,
    full_sky,
    recover,
    residual_spectra,
)
from patchsep.sky import RegionSky

# The realisation whose maps are kept.
SHOWN = 0


def clean_region(snakemake, region, name, patches, fits):
    """One configuration of one region: its sky, cleaned maps, parameters and metrics."""
    params = snakemake.params
    sky = RegionSky.read(region, params.zones, params.noise_seed, snakemake.input)
    partitions = read_partitions(patches, sky.pixels)
    labels = configuration_patches(name, partitions)
    shown = fits.query("configuration == @name and realization == @SHOWN").iloc[0]
    recovered = recover(fits, name, partitions, sky, list(range(params.n_realizations)))
    return {
        "pixels": sky.pixels,
        "cmb": sky.cmb,
        "recovered": recovered,
        "systematic": recover(fits, name, partitions, sky, [FOREGROUNDS_ONLY])[0],
        "parameters": parameter_maps(shown[list(PARAMETERS)], labels),
        "patches": np.stack([labels[name] for name in PARAMETERS]),
        "metrics": configuration_metrics(fits, name, partitions, recovered, sky),
    }


def main(snakemake):
    best = {
        Path(path).stem: best_configuration(read_table(path)) for path in snakemake.input.choices
    }
    regions = []
    for (region, names), patches in zip(
        snakemake.params.configurations.items(), snakemake.input.patches, strict=True
    ):
        shards = [path for path in snakemake.input.fits if Path(path).parent.name == region]
        fits = pd.concat(map(read_table, shards), ignore_index=True)
        name = best.get(region, names[0])
        regions.append(clean_region(snakemake, region, name, patches, fits))

    def joined(name):
        return np.concatenate([region[name] for region in regions], axis=-1)

    nside, pixels, recovered = snakemake.params.nside, joined("pixels"), joined("recovered")
    spectra = residual_spectra(recovered, joined("cmb"), joined("systematic"), pixels, nside)
    metrics = combine_metrics([region["metrics"] for region in regions], recovered)
    write_table(snakemake.output.spectra, spectra.assign(configuration=metrics["configuration"]))
    write_table(snakemake.output.metrics, pd.DataFrame([metrics]))

    def columns(names, values):
        return dict(zip(names, full_sky(values, pixels, nside, fill=np.nan), strict=True))

    names = [name.upper() for name in PARAMETERS]
    maps = (
        columns(["CMB_Q", "CMB_U"], recovered[SHOWN])
        | columns(["SYSTEMATIC_Q", "SYSTEMATIC_U"], joined("systematic"))
        | columns(names, joined("parameters"))
        | columns([f"PATCH_{name}" for name in names], joined("patches"))
    )
    units = ["uK_CMB"] * 4 + ["", "K", ""] + [""] * 3
    about = (
        f"patchsep, method {snakemake.wildcards.method}, realisation {SHOWN}: "
        f"{metrics['configuration']}\nPATCH_* are labels within each region"
    )
    write_maps(snakemake.output.maps, maps, units, about)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
