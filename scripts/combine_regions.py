"""Put the best configuration of every region together: maps, residual spectra, metrics."""

from pathlib import Path

import numpy as np
import pandas as pd

from patchsep.files import read_partitions, read_table, write_maps, write_table
from patchsep.fit import parameter_maps
from patchsep.grid import clean, combine_metrics, observe, spectra_table
from patchsep.likelihood import best_configuration
from patchsep.logs import log_to
from patchsep.patches import PARAMETERS, configuration_patches
from patchsep.residuals import full_sky, residual_spectra
from patchsep.sky import RegionSky


def clean_region(snakemake, region, name, patches):
    """One configuration of one region, fitted again: its sky, cleaned maps and parameters."""
    params = snakemake.params
    sky = RegionSky.read(region, params.zones, params.noise_seed, snakemake.input)
    partitions = read_partitions(patches, sky.pixels)
    data = observe(sky, list(range(params.n_realizations)))
    memory = snakemake.resources.fit_memory_mb / 1000
    result = clean(name, partitions, sky, data, memory=memory, **params.fit)
    labels = configuration_patches(name, partitions)
    # Row 0 is the fit to foregrounds alone, row 1 the realisation whose maps are kept.
    shown = {key: values[1] for key, values in result.parameters.items()}
    return {
        "pixels": sky.pixels,
        "cmb": sky.cmb,
        "recovered": result.cmb[1:],
        "systematic": result.cmb[0],
        "parameters": parameter_maps(shown, labels),
        "patches": np.stack([labels[key] for key in PARAMETERS]),
    }


def main(snakemake):
    best = {
        Path(path).stem: best_configuration(read_table(path)) for path in snakemake.input.choices
    }
    regions, metrics = [], []
    for (region, names), patches, measured in zip(
        snakemake.params.configurations.items(),
        snakemake.input.patches,
        snakemake.input.metrics,
        strict=True,
    ):
        name = best.get(region, names[0])
        regions.append(clean_region(snakemake, region, name, patches))
        metrics.append(read_table(measured).set_index("configuration", drop=False).loc[name])

    def joined(name):
        return np.concatenate([region[name] for region in regions], axis=-1)

    nside, pixels, recovered = snakemake.params.nside, joined("pixels"), joined("recovered")
    spectra = residual_spectra(recovered, joined("cmb"), joined("systematic"), pixels, nside)
    metrics = combine_metrics([row.to_dict() for row in metrics], recovered)
    averages = [np.atleast_2d(curve).mean(axis=0) for curve in spectra]
    write_table(snakemake.output.spectra, spectra_table(metrics["configuration"], *averages))
    write_table(snakemake.output.metrics, pd.DataFrame([metrics]))

    def columns(names, values):
        return dict(zip(names, full_sky(values, pixels, nside, fill=np.nan), strict=True))

    names = [name.upper() for name in PARAMETERS]
    maps = (
        columns(["CMB_Q", "CMB_U"], recovered[0])
        | columns(["SYSTEMATIC_Q", "SYSTEMATIC_U"], joined("systematic"))
        | columns(names, joined("parameters"))
        | columns([f"PATCH_{name}" for name in names], joined("patches"))
    )
    units = ["uK_CMB"] * 4 + ["", "K", ""] + [""] * 3
    about = (
        f"patchsep, method {snakemake.wildcards.method}, realisation 0: "
        f"{metrics['configuration']}\nPATCH_* are labels within each region"
    )
    write_maps(snakemake.output.maps, maps, units, about)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
