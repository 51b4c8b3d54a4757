"""Write the maps of the training sky as a collaboration hands them out, and the truth apart."""

from functools import partial
from pathlib import Path

from patchsep.files.tables import read_table
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.correlated_noise import correlated_noise_of
from patchsep.observation.exported import maps_as_seen, maps_of_regions
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.sky.cmb import simulate_cmb
from patchsep.sky.foregrounds import foregrounds_in_bands
from patchsep.sky.regions import Regions
from patchsep.sky.spectral_model import spectral_model
from patchsep.studies.exported import (
    write_bands,
    write_instruments,
    write_masks,
    write_observation,
    write_truth,
)

# The noise realisation that is exported.
REALIZATION = 0


def main(snakemake):
    params, files = snakemake.params, snakemake.input
    folder = Path(snakemake.output.observation).parent
    instrument = read_instrument(files.instrument)
    resolution = Resolution.of(params.resolution)
    if resolution is None:
        skies = RegionSky.read_all(params.noise_seed, files, spectral_model(**params.model))
        maps = maps_of_regions(skies, REALIZATION)
    else:
        maps = seen(instrument, resolution, read_table(files.spectra), params)
    about = f"patchsep, {instrument.name}, simulated: CMB, foregrounds and noise"
    write_bands(folder, instrument, maps, about, has_beams=resolution is not None)
    write_masks(snakemake.output.masks, Regions.read(files.regions), params.areas, about)
    write_instruments(files.instrument, folder)
    write_observation(
        snakemake.output.observation, params.config, params.areas, len(files.instrument)
    )
    truth = Path(snakemake.output.truth)
    facts = {
        "r": params.r,
        "cmb_seed": params.cmb_seed,
        "noise_seed": params.noise_seed,
        "noise_realization": REALIZATION,
        "foregrounds": dict(params.foregrounds),
        "resolution": params.resolution,
    }
    write_truth(truth.parent, [files.cmb, files.foregrounds, files.parameters], facts)


def seen(instrument, resolution, spectra, params):
    """Maps before they are brought to a resolution."""
    model, nside = spectral_model(**params.model), params.nside
    sky, response = foregrounds_in_bands(params.foregrounds, instrument, nside, model)
    cmb = partial(cmb_seen, spectra, params.r, params.cmb_seed)
    noise = correlated_noise_of(instrument, nside, resolution)
    observed = params.noise_seed, REALIZATION
    return maps_as_seen(instrument, sky.polarization, cmb, noise, *observed, response)


def cmb_seen(spectra, r, seed, window, nside):
    """The CMB of the run with another window."""
    return simulate_cmb(spectra, r, nside, seed, window)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
