import os
import sys
from pathlib import Path

# The package of this checkout is the one that runs, here and in every job's script.
PACKAGE_HOME = str(Path(workflow.basedir) / "workflow")
sys.path.insert(0, PACKAGE_HOME)
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [PACKAGE_HOME, os.getenv("PYTHONPATH")]))
)
# Jobs share what XLA compiles: fits of one shape compile once per machine.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(".snakemake/jax").resolve())
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

from patchsep.figures.registry import FIGURES, figure_files
from patchsep.files.versions import describe_run
from patchsep.running.cost import describe_plan
from patchsep.running.plan import Plan
from patchsep.running.provenance import code_fingerprint
from patchsep.running.settings import SettingsError, load_settings, read_yaml
from patchsep.running.status import write_plan
from patchsep.sky.regions import COMBINED

CONFIG_SOURCES = [
    *workflow.configfiles,
    *(["--config"] if workflow.config_settings.config else []),
]
try:
    # Snakemake has read them, and kept the last of keys that are given twice.
    for path in workflow.configfiles:
        read_yaml(path)
    SETTINGS = load_settings(config, source=" + ".join(map(str, CONFIG_SOURCES)))
except SettingsError as error:
    sys.exit(f"The configuration cannot be used:\n{error}")

PLAN = Plan(SETTINGS)
RESULTS = PLAN.results
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"

if workflow.is_main_process:
    # For the report's first page.
    config["about"] = describe_run(SETTINGS)
    cost = describe_plan(
        PLAN.n_fits, len(PLAN.planned_shards), SETTINGS["fit"].get("fits_per_second")
    )
    print(f"patchsep run '{SETTINGS['run']}': {cost}", file=sys.stderr)


def one_of(folders):
    """Pattern of a wildcard that is a folder; in brackets, as the only one may be empty."""
    return f"({'|'.join(folders)})"


def any_of(names):
    """Pattern of a wildcard that is one of some names, of which there may be none."""
    return "|".join(names) if names else "(?!)"


wildcard_constraints:
    method="|".join(PLAN.methods),
    region="|".join([*PLAN.regions, COMBINED]),
    sky=one_of(PLAN.skies),
    galaxy=one_of(PLAN.galaxies),
    set="|".join(PLAN.sets),
    theory="|".join(PLAN.theory),
    realizations=r"realizations-\d+-\d+",
    shard=r"\d+",
    number=r"\d+",


INSTRUMENT = SETTINGS["instrument"]
# What the data of the training sky are made of.
TRAINING_SKY = {
    "instrument": ancient(INSTRUMENT),
    "regions": f"{RESULTS}/maps/regions.fits",
    "foregrounds": f"{RESULTS}/maps/foregrounds.fits",
    "cmb": f"{RESULTS}/maps/cmb.fits",
}
# What both estimates of r have of the likelihood.
LIKELIHOOD = {
    key: SETTINGS["likelihood"][key]
    for key in ("statistical", "amplitude_scatter", "r_grid")
}


def foregrounds_of(wildcards):
    """Foregrounds of a training or test sky."""
    return f"{RESULTS}/{PLAN.galaxy_of(wildcards.sky)}maps/foregrounds.fits"


def more_each_attempt(amount):
    """A job that ran out of memory or time gets more of both in its next attempt."""
    return lambda wildcards, attempt: amount * attempt


def fit_memory(wildcards, attempt):
    """MB that fits may use at once: a resource, for it does not change results."""
    return int(1000 * SETTINGS["fit"]["memory"]) // attempt


def code(script, *files):
    """Fingerprint of a script, of what it imports of the package, and of small files.

    A rule has it in its params, for Snakemake does not look into modules, and goes by time
    stamps otherwise, which are new in every clone.
    """
    return code_fingerprint(
        f"{workflow.basedir}/scripts/{script}.py", f"{PACKAGE_HOME}/patchsep", *files
    )


def table_in_report(name):
    """A table of the run that the report shows, with its caption."""
    return report(
        f"{RESULTS}/tables/{name}.csv",
        caption=f"../report/{name}.rst",
        category="8 Tables",
    )


# What a run ends with.
PUBLISHED, PUBLISHED_TABLES = PLAN.published()
TABLES = multiext(
    f"{RESULTS}/tables/",
    "summary.csv",
    "summary.parquet",
    "configurations.csv",
    "selection.csv",
    "gains.csv",
    "summary.txt",
)
FIGURE_FILES = [
    path for name in SETTINGS["figures"]["drawn"] for path in figure_files(PLAN, name)
]
