"""Draw samples of the posterior of observed maps' CMB and spectral parameters."""

import numpy as np

from patchsep.files.maps import resolution_header, write_maps
from patchsep.running.jobs import begin
from patchsep.skies.foreground_fields import fit_foregrounds, read_priors
from patchsep.skies.whole_sky import observed_sky
from patchsep.sky.regions import full_sky


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    observation, sky = observed_sky(given, params.model)
    measured = fit_foregrounds(observation, sky, read_priors(given.priors), **params.fit)
    cmb, parameters = sky.samples(
        observation.maps, measured, params.samples, params.seed, **params.fit
    )
    names = ["CMB_Q", "CMB_U", *(name.upper() for name in sky.model.names)]
    units = ["uK_CMB", "uK_CMB", *(parameter.unit for parameter in sky.model.parameters)]
    values = np.concatenate([cmb, parameters], axis=1)
    maps = full_sky(values.reshape(-1, len(sky.pixels)), sky.pixels, sky.nside, fill=np.nan)
    columns = [f"{name}_{number}" for number in range(params.samples) for name in names]
    resolution = observation.resolution
    write_maps(
        snakemake.output.samples,
        dict(zip(columns, maps, strict=True)),
        params.samples * units,
        f"patchsep, {params.samples} samples of the posterior, seed {params.seed}",
        resolution_header(resolution.settings if resolution else None),
    )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
