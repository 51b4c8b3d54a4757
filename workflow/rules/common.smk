import os
import subprocess
import sys
from pathlib import Path

# The checkout that this file is in: another Snakefile may have it for a module, and
# `workflow.basedir` is where that one is.
CHECKOUT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
IS_MODULE = (
    Path(workflow.main_snakefile).resolve() != (CHECKOUT / "Snakefile").resolve()
)
# Its package is the one that runs, here and in every job's script.
PACKAGE_HOME = str(CHECKOUT / "workflow")
if sys.path[0] != PACKAGE_HOME:
    sys.path.insert(0, PACKAGE_HOME)
    os.environ.update(
        PYTHONPATH=os.pathsep.join(
            filter(None, [PACKAGE_HOME, os.getenv("PYTHONPATH")])
        )
    )
# Jobs share what XLA compiles: fits of one shape compile once per machine.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(".snakemake/jax").resolve())
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# PySM's loops run over frequencies, with NumPy inside. Numba would compile them anew in every
# job, which takes ten seconds, where all bands of a sky take half a second without it.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

import patchsep
from snakemake.exceptions import WorkflowError

if not Path(patchsep.__file__).resolve().is_relative_to(Path(PACKAGE_HOME).resolve()):
    sys.exit(
        f"patchsep is already imported from {Path(patchsep.__file__).parent}, and the rules are of "
        f"{CHECKOUT}; use one checkout for all modules"
    )

from patchsep.figures.registry import (
    figure_files,
    figure_problems,
    figures_of,
    first_figure,
)
from patchsep.files.fingerprints import file_content, fingerprint, sampled_content
from patchsep.files.versions import describe_run, warnings_of
from patchsep.running.shards import describe_plan
from patchsep.instrument.instrument import named_files, read_instrument
from patchsep.observation.usable import fewest_bands
from patchsep.running.data_checks import (
    template_contents,
    unknown_parameters,
)
from patchsep.running.observed import observed_files, plan_of
from patchsep.running.provenance import (
    begin_run,
    code_fingerprint,
    compare_records,
    keep_records,
)
from patchsep.running.schema import SettingsError, read_yaml
from patchsep.running.settings import load_settings
from patchsep.running.status import write_plan
from patchsep.sky.regions import COMBINED, without_files
from patchsep.studies.exported import KEPT, band_files, description_files

CONFIG_SOURCES = [
    *workflow.configfiles,
    *(["--config"] if workflow.config_settings.config else []),
]
try:
    if workflow.is_main_process:
        # Snakemake has read them, and kept the last of keys that are given twice.
        for path in workflow.configfiles:
            read_yaml(path)
    SETTINGS = load_settings(
        config,
        source=" + ".join(map(str, CONFIG_SOURCES)) or "config",
        with_data=workflow.is_main_process,
    )
    PLAN = plan_of(SETTINGS)
    # What a run ends with.
    PUBLISHED, PUBLISHED_TABLES = PLAN.published()
    if workflow.is_main_process and (problems := figure_problems(PLAN)):
        raise SettingsError("\n".join(problems))
except SettingsError as error:
    sys.exit(f"The configuration cannot be used:\n{error}")

RESULTS = PLAN.results
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"


def placed(path):
    """A path of a result as Snakemake has it in rules: below the prefix of a module."""
    return workflow.modifier.path_modifier.replace_prefix(path)


# For params and for what is done here.
RESULTS_HERE = placed(RESULTS)


def given(path):
    """An input that the configuration may name, which is not below the prefix of a module."""
    is_ours = RESULTS_HERE == RESULTS or path.startswith(f"{RESULTS}/")
    return path if is_ours else str(Path(path).resolve())


def all_given(paths):
    """The same for inputs by name."""
    return {name: given(path) for name, path in paths.items()}


if workflow.is_main_process:
    # For the report's first page, which a module's caller has for itself.
    if not IS_MODULE:
        config["about"] = describe_run(SETTINGS) | {
            "warnings": warnings_of(f"{RESULTS_HERE}/tables/summary.txt")
        }
    cost = describe_plan(
        PLAN.n_fits, len(PLAN.planned_shards), SETTINGS["fit"].get("fits_per_second")
    )
    for about in (cost, *compare_records(RESULTS_HERE)):
        print(f"patchsep run '{SETTINGS['run']}': {about}", file=sys.stderr)


def check_device():
    """Stop where the device that is asked for is not there, before the first job finds out.

    Jobs on other machines, or with environments of their own, look for themselves.
    """
    asked = os.environ.get("JAX_PLATFORMS", "cpu")
    elsewhere = (
        workflow.non_local_exec or workflow.deployment_settings.deployment_method
    )
    if asked in ("", "cpu") or elsewhere:
        return
    # In a process of its own, for it takes memory of a GPU.
    look = "from patchsep.separation.batches import device; device()"
    looked = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True
    )
    if looked.returncode:
        raise WorkflowError(looked.stderr.strip().splitlines()[-1].split(": ", 1)[-1])


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


INSTRUMENT = [given(path) for path in SETTINGS["instrument"]]
# With the bandpasses and beams that they name; maps of noise are part of the regions.
INSTRUMENT_FILES = [
    *INSTRUMENT,
    *map(given, named_files(SETTINGS["instrument"], "bandpass_files", "beam")),
]
NOISE_MAPS = [
    *map(given, named_files(SETTINGS["instrument"], "hits", "variance")),
]
# Files of noise realisations, of which there may be many.
DESCRIBED = read_instrument(INSTRUMENT)
NOISE_CONTENT = [
    sampled_content(path) for paths in DESCRIBED.noise_files for path in paths
]
# Names of the bands in map files.
LABELS = DESCRIBED.labels
PUBLISHED = [given(path) for path in PUBLISHED]
# Files of observed maps, to be read and never written to.
OBSERVED_FILES = observed_files(SETTINGS, LABELS)
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


def templates_of(foregrounds):
    """Fingerprints of the templates that a sky is simulated from, for params of such rules.

    In a function of wildcards there: reading templates takes too long for every job's start.
    """
    return template_contents(foregrounds["model"], SETTINGS["nside"])


def contents_of(paths):
    """Fingerprints of those inputs that users have given, for params of rules that read them.

    A copy may keep a time stamp from before the run. In a function of wildcards, as above.
    """
    return {
        name: file_content(path)
        for name, path in paths.items()
        if not path.startswith(f"{RESULTS}/")
    }


def known_foregrounds(wildcards):
    """Foregrounds of skies that are made from their components: one has each parameter.

    Raises
    ------
    WorkflowError
        If not. In params, before the first job, and only where such skies are asked for.
    """
    unknown = unknown_parameters(SETTINGS["foregrounds"], PLAN.model)
    if unknown:
        why = "; ".join(f"{name}: {reason}" for name, reason in unknown.items())
        raise WorkflowError(
            f"foregrounds.model: validation and calibration need one component with each "
            f"spectral parameter ({why}); choose presets such as [d1, s1]"
        )
    return SETTINGS["foregrounds"]


def more_each_attempt(amount):
    """A job that ran out of memory or time gets more of both in its next attempt."""
    return lambda wildcards, attempt: amount * attempt


def memory_of_maps(megabytes):
    """So much up to nside 128, in proportion to the number of pixels beyond, and more each attempt."""
    return more_each_attempt(round(megabytes * max(1, (SETTINGS["nside"] / 128) ** 2)))


def fit_memory(wildcards, attempt):
    """MB that fits may use at once: a resource, for it does not change results."""
    return int(1000 * SETTINGS["fit"]["memory"]) // attempt


def code(script, *files):
    """Fingerprint of a script, of what it imports of the package, and of small files.

    A rule has it in its params, for Snakemake does not look into modules, and goes by time
    stamps otherwise, which are new in every clone. With the instrument's files are those of its
    noise.
    """
    of_code = code_fingerprint(
        f"{CHECKOUT}/scripts/{script}.py", f"{PACKAGE_HOME}/patchsep", *files
    )
    return fingerprint(of_code, *NOISE_CONTENT) if files and NOISE_CONTENT else of_code


def table_in_report(name):
    """A table of the run, and the page of it that the report shows, with its caption."""
    page = report(
        f"{RESULTS}/tables/{name}.html",
        caption=f"../report/{name}.rst",
        category="8 Tables",
        labels={"table": name.replace("_", " ")},
    )
    return [f"{RESULTS}/tables/{name}.csv", page]


TABLES = [f"{RESULTS}/tables/{name}" for name in PLAN.tables]
if PLAN.is_observed:
    TABLES += PLAN.samples
FIGURE_FILES = [
    path for name in SETTINGS["figures"]["drawn"] for path in figure_files(PLAN, name)
]
