import os
import sys
from itertools import chain, product
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

from patchsep.choice import COMBINED
from patchsep.patches import GUIDED, configurations
from patchsep.provenance import code_fingerprint
from patchsep.regions import find_mask_file, region_names
from patchsep.settings import SettingsError, load_settings
from patchsep.shards import chunks, part_of, write_plan

CONFIG_SOURCES = [
    *workflow.configfiles,
    *(["--config"] if workflow.config_settings.config else []),
]
try:
    SETTINGS = load_settings(config, source=" + ".join(map(str, CONFIG_SOURCES)))
except SettingsError as error:
    sys.exit(f"The configuration cannot be used:\n{error}")

RESULTS = f"results/{SETTINGS['run']}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
REGIONS = region_names(SETTINGS["regions"]["zones"])
# Where r is judged: each region, and all of them together.
AREAS = [*REGIONS, COMBINED]
METHODS = SETTINGS["methods"]
CRITERIA = SETTINGS["choice"]["criteria"]
FIT = {
    key: SETTINGS["fit"][key]
    for key in ("bounds", "start", "max_iterations", "tolerance")
}
SPECTRA = {
    key: SETTINGS["spectra"][key] for key in ("estimator", "apodization", "bin_width")
}
PIXEL_WEIGHTS = SETTINGS["spectra"]["pixel_weights"]
FIT_MEMORY_MB = int(1000 * SETTINGS["fit"]["memory"])

# Skies that the whole grid is fitted to, by the folder below results/<run>/ of their files: that of
# choosing, and rehearsals, to which only methods are fitted that have a choice.
REHEARSAL = SETTINGS["choice"]["rehearsal"]
REHEARSALS = [
    f"rehearsal/sky_{number}/"
    for number in range(REHEARSAL["skies"])
    if "rehearsal" in CRITERIA
]
GRIDS = {
    "": {
        "noise_seed": SETTINGS["noise"]["seed"],
        "realizations": SETTINGS["noise"]["realizations"],
        "held_out": "held_out" in CRITERIA,
    }
} | {
    grid: {
        "noise_seed": REHEARSAL["seed"] + number,
        "realizations": REHEARSAL["realizations"],
        "held_out": False,
    }
    for number, grid in enumerate(REHEARSALS)
}
# A shard is a part of the configurations × a chunk of the realisations.
CHUNKS = {
    grid: chunks(sky["realizations"], SETTINGS["fit"]["realizations_per_shard"])
    for grid, sky in GRIDS.items()
}
PARTS = {f"part-{number:03d}": number for number in range(SETTINGS["fit"]["parts"])}

# Skies by the folder below results/<run>/ that their files lie in. The choice is made on the one
# of the folder itself; the trials of a judging set share their foregrounds.
JUDGING = SETTINGS["judging"]
FOREGROUNDS = {"": SETTINGS["foregrounds"]} | {
    f"judging/{name}/": judged["foregrounds"]
    for name, judged in JUDGING.items()
    if "foregrounds" in judged
}
SETS = {"choosing": [""]}
TRIALS = {
    "": {
        "cmb_seed": SETTINGS["cmb"]["seed"],
        "noise_seed": SETTINGS["noise"]["seed"],
        "realizations": SETTINGS["noise"]["realizations"],
    }
}
for name, judged in JUDGING.items():
    seeds = zip(judged["cmb_seeds"], judged["noise_seeds"], judged["patch_seeds"])
    trials = {
        f"judging/{name}/trial_{number}/": {
            "cmb_seed": cmb,
            "noise_seed": noise,
            "patch_seed": patch,
            "realizations": judged["realizations"],
        }
        for number, (cmb, noise, patch) in enumerate(seeds)
    }
    SETS[name] = list(trials)
    TRIALS |= trials


wildcard_constraints:
    method="|".join(METHODS),
    region="|".join(REGIONS),
    area="|".join(AREAS),
    # In brackets, as the only one may be the empty one of choosing.
    sky=f"({'|'.join(FOREGROUNDS)})",
    trial=f"({'|'.join(TRIALS)})",
    set="|".join(SETS),
    grid=f"({'|'.join(GRIDS)})",
    chunk="|".join(chain.from_iterable(CHUNKS.values())),
    part="|".join(PARTS),


def patch_values(method, region):
    """Values per spectral parameter of a method in a region: those of its ring."""
    return METHODS[method]["patches"][region.split("_")[0]]


def configurations_of(method, region):
    return configurations(patch_values(method, region), METHODS[method]["grid"])


def has_choice(method, region):
    return len(configurations_of(method, region)) > 1


def region_configurations(wildcards):
    """All configurations of a method in a region."""
    return configurations_of(wildcards.method, wildcards.region)


def configurations_by_region(wildcards):
    """All configurations of a method in every region."""
    return {region: configurations_of(wildcards.method, region) for region in REGIONS}


def contested_estimates(wildcards):
    """Estimates of r in those regions where a method has a choice of configurations."""
    return [
        f"{RESULTS}/likelihood/{wildcards.method}/{region}.csv"
        for region in REGIONS
        if has_choice(wildcards.method, region)
    ]


def rehearsals(wildcards):
    """Estimates of r on all rehearsals, of a region where a method has a choice, for choosing."""
    chosen_here = wildcards.grid == "" and has_choice(
        wildcards.method, wildcards.region
    )
    return [
        f"{RESULTS}/{grid}likelihood/{wildcards.method}/{wildcards.region}.csv"
        for grid in REHEARSALS
        if chosen_here
    ]


def guide_map(method, folder):
    """True parameters of a sky, for the methods whose patches follow them."""
    guided = METHODS[method]["strategy"] in GUIDED
    return {"guide": f"{folder}/spectral_parameters.fits"} if guided else {}


def sky_files(wildcards):
    """Foregrounds of a trial, and what guides patches: its set's, or those of choosing."""
    sky = f"{Path(wildcards.trial).parent}/" if wildcards.trial else ""
    folder = f"{RESULTS}/{sky if sky in FOREGROUNDS else ''}maps"
    return {
        "foregrounds": f"{folder}/foregrounds.fits",
        **guide_map(wildcards.method, folder),
    }


def set_files(wildcards):
    """Spectra of all trials of a set."""
    return [
        f"{RESULTS}/{trial}residuals/{wildcards.method}_cleaned.parquet"
        for trial in SETS[wildcards.set]
    ]


def patch_seed(wildcards):
    """Seed of a trial's patches; on the sky of choosing, that of the method."""
    return TRIALS[wildcards.trial].get("patch_seed", METHODS[wildcards.method]["seed"])


def shards(grid, method, region):
    """Shards of a method in a region, as chunk/part: of all parts that have configurations."""
    names = configurations_of(method, region)
    parts = [part for part in PARTS if part_of(names, PARTS[part], len(PARTS))]
    return [f"{chunk}/{part}" for chunk, part in product(CHUNKS[grid], parts)]


PLANNED_SHARDS = [
    f"{grid}{method}/{region}/{shard}"
    for grid, method, region in product(GRIDS, METHODS, REGIONS)
    if grid == "" or has_choice(method, region)
    for shard in shards(grid, method, region)
]


def shard_files(wildcards):
    """Tables of all shards of a method in a region."""
    sky, method, region = wildcards.grid, wildcards.method, wildcards.region
    folder = f"{RESULTS}/{sky}fits/{method}/{region}"
    return [f"{folder}/{shard}.parquet" for shard in shards(sky, method, region)]


def shard_configurations(wildcards):
    """The configurations of a shard's part."""
    return part_of(region_configurations(wildcards), PARTS[wildcards.part], len(PARTS))


def code(script, *files):
    """Fingerprint of a script, of what it imports of the package, and of small files.

    A rule has it in its params, for Snakemake does not look into modules, and goes by time
    stamps otherwise, which are new in every clone.
    """
    return code_fingerprint(
        f"{workflow.basedir}/scripts/{script}.py", f"{PACKAGE_HOME}/patchsep", *files
    )


def figure_files(name):
    """PDF and PNG of a figure; the PNG is shown in the report."""
    return {
        "pdf": f"{RESULTS}/figures/{name}.pdf",
        "png": report(
            f"{RESULTS}/figures/{name}.png",
            caption=f"../report/{name}.rst",
            category="Figures",
            labels={"figure": name.replace("_", " ")},
        ),
    }


# Every figure, one rule each, and every table that the run ends with.
FIGURES = expand(
    f"{RESULTS}/figures/{{name}}.{{suffix}}",
    name=[
        "regions",
        "patches",
        "residual_spectra",
        "r_likelihoods",
        "parameters",
        "criteria",
    ],
    suffix=["pdf", "png"],
)
TABLES = multiext(
    f"{RESULTS}/tables/",
    "summary.csv",
    "summary.parquet",
    "configurations.csv",
    "criteria.csv",
    "gains.csv",
    "summary.txt",
)
