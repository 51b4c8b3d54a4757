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

from patchsep.running.cost import describe_plan
from patchsep.separation.partitions import configurations, values_of
from patchsep.separation.patches import GUIDED, TEMPLATED
from patchsep.running.provenance import code_fingerprint
from patchsep.sky.regions import COMBINED, find_mask_file, region_names
from patchsep.running.settings import SettingsError, load_settings, read_yaml
from patchsep.running.shards import chunks, part_of
from patchsep.running.status import write_plan
from patchsep.files.versions import describe_run

CONFIG_SOURCES = [
    *workflow.configfiles,
    *(["--config"] if workflow.config_settings.config else []),
]
try:
    SETTINGS = load_settings(config, source=" + ".join(map(str, CONFIG_SOURCES)))
except SettingsError as error:
    sys.exit(f"The configuration cannot be used:\n{error}")

if workflow.is_main_process:
    # For the report's first page.
    config["about"] = describe_run(SETTINGS)

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
# The first are those of choosing.
TEMPLATES = SETTINGS["likelihood"]["templates"]
PIXEL_WEIGHTS = SETTINGS["spectra"]["pixel_weights"]
FIT_MEMORY_MB = int(1000 * SETTINGS["fit"]["memory"])

FOREGROUND_RESIDUAL = SETTINGS["likelihood"]["foreground_residual"]

# Skies that the whole grid is fitted to, by the folder below results/<run>/ of their files: that of
# choosing, and rehearsals, to which only methods are fitted that have a choice.
REHEARSAL = SETTINGS["rehearsal"]
MARGINALISED_CHOICE = FOREGROUND_RESIDUAL[0] == "marginalised"
REHEARSALS = [
    f"rehearsal/sky_{number}/"
    for number in range(REHEARSAL["skies"])
    if "rehearsal" in CRITERIA or MARGINALISED_CHOICE
]
# Whether chosen configurations are tried out on rehearsals of every trial.
REHEARSED_TRIALS = (
    "marginalised" in FOREGROUND_RESIDUAL or "inverse_variance" in PIXEL_WEIGHTS
)
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
JUDGED_METHODS = {"choosing": list(METHODS)}
R_INPUT = {"choosing": SETTINGS["cmb"]["r"]}
TRIALS = {
    "": {
        "r": SETTINGS["cmb"]["r"],
        "cmb_seed": SETTINGS["cmb"]["seed"],
        "noise_seed": SETTINGS["noise"]["seed"],
        "realizations": SETTINGS["noise"]["realizations"],
    }
}
for name, judged in JUDGING.items():
    seeds = zip(judged["cmb_seeds"], judged["noise_seeds"], judged["patch_seeds"])
    trials = {
        f"judging/{name}/trial_{number}/": {
            "r": judged["r"],
            "cmb_seed": cmb,
            "noise_seed": noise,
            "patch_seed": patch,
            "realizations": judged["realizations"],
        }
        for number, (cmb, noise, patch) in enumerate(seeds)
    }
    SETS[name] = list(trials)
    JUDGED_METHODS[name] = judged["methods"]
    R_INPUT[name] = judged["r"]
    TRIALS |= trials


# Every (set, method) that is judged.
JUDGED = [(name, method) for name in SETS for method in JUDGED_METHODS[name]]


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
    templates="|".join(TEMPLATES),


def configurations_of(method, region):
    scans = METHODS[method]["patches"][region.split("_")[0]]
    return configurations(scans, METHODS[method]["grid"])


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
        if chosen_here and "rehearsal" in CRITERIA
    ]


def expected_residuals(wildcards):
    """Spectra of what is left on all other rehearsals, where a choice allows for it."""
    allowed = MARGINALISED_CHOICE and has_choice(wildcards.method, wildcards.region)
    return [
        f"{RESULTS}/{grid}residuals/{wildcards.method}/{wildcards.region}_spectra.parquet"
        for grid in REHEARSALS
        if allowed and grid != wildcards.grid
    ]


def guide_map(method, trial, sky):
    """Spectral parameters that a method's patches follow: templates, true or recovered ones."""
    if METHODS[method]["strategy"] not in GUIDED:
        return {}
    if METHODS[method]["maps"]:
        return {"guide": f"{RESULTS}/{trial}maps/templates_{method}.fits"}
    recovered_by = METHODS[method]["recovered_by"]
    if recovered_by:
        return {"guide": f"{RESULTS}/{trial}maps/recovered_{recovered_by}.fits"}
    return {"guide": f"{RESULTS}/{sky}maps/spectral_parameters.fits"}


def foreground_folder(trial):
    """Folder of a trial's foregrounds: its set's, or that of choosing."""
    sky = f"{Path(trial).parent}/" if trial else ""
    return sky if sky in FOREGROUNDS else ""


def template_sources(wildcards):
    """Map files of a method's templates, by parameter; `true` is what a simulated sky has."""
    sky = foreground_folder(wildcards.trial)
    true = f"{RESULTS}/{sky}maps/spectral_parameters.fits"
    maps = METHODS[wildcards.method]["maps"]
    return {name: true if path == "true" else path for name, path in maps.items()}


def sky_files(wildcards):
    """Foregrounds of a trial, and what guides patches."""
    sky = foreground_folder(wildcards.trial)
    return {
        "foregrounds": f"{RESULTS}/{sky}maps/foregrounds.fits",
        **guide_map(wildcards.method, wildcards.trial, sky),
    }


def foreground_model(wildcards):
    """What rehearsals of a trial are made from, where there are any, and a method's prior."""
    path = f"{RESULTS}/{wildcards.get('trial', '')}maps/foreground_model.fits"
    rehearsed = REHEARSED_TRIALS and "trial" in wildcards.keys()
    shrunk = METHODS[wildcards.method]["shrinkage"]
    return {"model": path} if rehearsed or shrunk else {}


def rehearsal_options(method):
    """How a method's rehearsals are made, as `trials.rehearsals` has it."""
    if not REHEARSED_TRIALS:
        return {}
    options = {key: REHEARSAL[key] for key in ("skies", "seed")}
    if METHODS[method]["strategy"] in TEMPLATED:
        options |= {
            key: METHODS[method][key] for key in ("smoothing", "errors", "coherence")
        }
    return options


def errors_to_add(method):
    """Errors that are simulated: those of templates that are the true maps."""
    maps, errors = METHODS[method]["maps"], METHODS[method]["errors"]
    return {name: error for name, error in errors.items() if maps[name] == "true"}


def set_files(wildcards):
    """Spectra of all trials of a set."""
    return [
        f"{RESULTS}/{trial}residuals/{wildcards.method}_cleaned.parquet"
        for trial in SETS[wildcards.set]
    ]


def judged_files(pairs, suffix):
    """Files of what is judged, of every (set, method)."""
    return [f"{RESULTS}/judged/{name}/{method}{suffix}" for name, method in pairs]


def patch_seed(wildcards):
    """Seed of a trial's patches; on the sky of choosing, that of the method."""
    return TRIALS[wildcards.trial].get("patch_seed", METHODS[wildcards.method]["seed"])


def patch_options(method):
    """How a method's patches are drawn, as `patches.partition` has it."""
    keys = ("strategy", "members", "own_patches", "template_weight")
    return {key: METHODS[method][key] for key in keys}


def shards(grid, method, region):
    """Shards of a method in a region, as chunk/part: of all parts that have configurations."""
    names = configurations_of(method, region)
    parts = [part for part in PARTS if part_of(names, PARTS[part], len(PARTS))]
    return [f"{chunk}/{part}" for chunk, part in product(CHUNKS[grid], parts)]


def n_fits(grid, method, region):
    """Fits of a sky: to all noise realisations, and in every chunk of them to foregrounds alone."""
    sky = GRIDS[grid]
    n_data = sky["realizations"] + len(CHUNKS[grid])
    n_configurations = len(configurations_of(method, region))
    if SETTINGS["fit"]["propagation"] == "linear":
        n_data = len(CHUNKS[grid])
    return (
        n_configurations * METHODS[method]["members"] * n_data * (1 + sky["held_out"])
    )


PLANNED = [
    (grid, method, region)
    for grid, method, region in product(GRIDS, METHODS, REGIONS)
    if grid == "" or has_choice(method, region)
]
PLANNED_SHARDS = [
    f"{grid}{method}/{region}/{shard}"
    for grid, method, region in PLANNED
    for shard in shards(grid, method, region)
]
if workflow.is_main_process:
    plan = describe_plan(
        sum(n_fits(*planned) for planned in PLANNED),
        len(PLANNED_SHARDS),
        SETTINGS["fit"].get("fits_per_second"),
    )
    print(f"patchsep run '{SETTINGS['run']}': {plan}", file=sys.stderr)


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


# What figures show: methods that are named for them, or else those that they are for.
FIGURES = SETTINGS["figures"]
FIGURE_STYLE = {key: FIGURES[key] for key in ("font_size", "resolution", "projection")}
WITH_CHOICE = [m for m in METHODS if any(has_choice(m, region) for region in REGIONS)]
BINNED = [m for m in METHODS if METHODS[m]["recovered_by"]]
METHODS_OF_FIGURES = {
    "kmeans_patches": [m for m in METHODS if METHODS[m]["strategy"] == "kmeans"][:1],
    "binned_patches": BINNED,
    "binned_spectra": [
        *dict.fromkeys(METHODS[m]["recovered_by"] for m in BINNED),
        *BINNED,
    ],
    "scans": WITH_CHOICE[:1],
    "variance_and_r": WITH_CHOICE[:1],
    "r_and_patches": WITH_CHOICE,
}


def figure_methods(figure):
    return FIGURES["methods"].get(figure, METHODS_OF_FIGURES.get(figure, list(METHODS)))


def figure_judged(figure):
    """Every (set, method) that a figure shows."""
    sets = FIGURES["sets"].get(figure, ["choosing"])
    pairs = product(sets, figure_methods(figure))
    return [pair for pair in pairs if pair in JUDGED]


def template_coherences():
    """Coherence of the errors of all methods that have templates of temp_dust."""
    return {
        method: settings["coherence"]
        for method, settings in METHODS.items()
        if settings["strategy"] == "template" and "temp_dust" in settings["maps"]
    }


def of_choosing(figure):
    return [("choosing", method) for method in figure_methods(figure)]


def judged_tables(figure, kind):
    """What is judged of a figure's sets and methods: estimates of r, and their curves or spectra."""
    pairs = figure_judged(figure)
    return {
        "estimates": judged_files(pairs, ".csv"),
        "curves": judged_files(pairs, f"_{kind}.parquet"),
    }


def recovered_maps(figure):
    return [f"{RESULTS}/maps/recovered_{m}.fits" for m in figure_methods(figure)]


def by_region(figure):
    return list(product(figure_methods(figure), REGIONS))


def grid_files(figure):
    """Estimates of r of all configurations of a figure's methods."""
    return [f"{RESULTS}/likelihood/{m}/{r}.csv" for m, r in by_region(figure)]


def figure_files(name, section, data="csv", label=None):
    """PDF and PNG of a figure, and the table that it is drawn from; the PNG is in the report."""
    stem = f"{RESULTS}/figures/{name}"
    return {
        "pdf": f"{stem}.pdf",
        "png": report(
            f"{stem}.png",
            caption=f"../report/{label or name}.rst",
            category=section,
            labels={"figure": " ".join(Path(name).parts).replace("_", " ")},
        ),
        "data": f"{stem}.{data}",
    }


# All figures of a run, and the tables that it ends with.
FIGURE_FILES = expand(
    f"{RESULTS}/figures/{{name}}.{{suffix}}",
    name=FIGURES["drawn"],
    suffix=["pdf", "png"],
)
# Published numbers to compare with, in a file that names the tables of ours.
PUBLISHED = [SETTINGS["published"]] if SETTINGS["published"] else []
PUBLISHED_TABLES = sorted(
    {number["table"] for path in PUBLISHED for number in read_yaml(path)}
)
COMPARED = [f"{RESULTS}/tables/published_vs_here.csv"] if PUBLISHED else []
TABLES = multiext(
    f"{RESULTS}/tables/",
    "summary.csv",
    "summary.parquet",
    "configurations.csv",
    "criteria.csv",
    "gains.csv",
    "summary.txt",
)
