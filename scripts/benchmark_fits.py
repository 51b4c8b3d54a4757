"""Time optimisers on one region's data, and follow them through their iterations."""

from patchsep.files.tables import write_table
from patchsep.observation.region_sky import RegionSky
from patchsep.running.logs import log_to
from patchsep.studies.benchmark import time_fits, trace_fits


def main(snakemake):
    params, settings = snakemake.params, snakemake.params.benchmark
    sky = RegionSky.read(settings["region"], params.zones, params.noise_seed, snakemake.input)
    timed = time_fits(sky, settings["patches"], settings["optimizers"], settings["seed"])
    write_table(snakemake.output.times, timed)
    traced = trace_fits(sky, settings["traced"], settings["optimizers"], settings["seed"])
    write_table(snakemake.output.traces, traced)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
