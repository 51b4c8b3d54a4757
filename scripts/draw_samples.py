"""Draw samples of the posterior of observed maps' CMB and spectral parameters."""

import logging

import numpy as np

from patchsep.analysis.foreground_fields import fit_foregrounds, read_priors
from patchsep.fields.samples import posterior_samples
from patchsep.files.maps import resolution_header, write_maps
from patchsep.observation.observation import Observation
from patchsep.running.jobs import begin
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.regions import full_sky
from patchsep.sky.spectral_model import spectral_model

log = logging.getLogger("patchsep.script")


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    model = spectral_model(**params.model)
    observation = Observation.of_files(given, model)
    sky = WholeSky(observation.regions, model)
    measured = fit_foregrounds(observation, sky, read_priors(given.priors), **params.fit)
    parameters, cmb, converged = posterior_samples(
        observation.maps,
        sky.basis(measured.priors),
        sky.noise,
        sky.bands,
        measured.maximum,
        params.samples,
        params.seed,
        sky.means(measured.priors),
        **params.fit,
    )
    if not converged.all():
        log.warning("%d of %d samples did not converge", (~converged).sum(), len(converged))
    names = ["CMB_Q", "CMB_U", *(name.upper() for name in model.names)]
    units = ["uK_CMB", "uK_CMB", *(parameter.unit for parameter in model.parameters)]
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
