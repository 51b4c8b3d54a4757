"""Time optimisers on one region's data, and follow them through their iterations."""

from patchsep.files.tables import write_table
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.sky.spectral_model import spectral_model
from patchsep.studies.benchmark import time_fits, trace_fits
from patchsep.studies.model_costs import time_models


def main(snakemake):
    params, settings = snakemake.params, snakemake.params.benchmark
    model = spectral_model(**params.model)
    sky = RegionSky.read(settings["region"], params.noise_seed, snakemake.input, model)
    with_all = settings["optimizers"], settings["seed"], model
    write_table(snakemake.output.times, time_fits(sky, settings["patches"], *with_all))
    write_table(snakemake.output.traces, trace_fits(sky, settings["traced"], *with_all))
    instrument = read_instrument(snakemake.input.instrument)
    models = time_models(sky, instrument, settings["traced"], settings["seed"])
    write_table(snakemake.output.models, models)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
