# patchsep: from the sky to the tensor-to-scalar ratio r.
# The settings are in config/ (config/README.md documents every key); each stage has its
# rules in workflow/rules/, in the order of the data.

import sys

from snakemake.utils import min_version

min_version("9.0")

# `github(…)` and the like give rules one by one, and no package for them to import.
if "://" in (here := workflow.current_basedir.get_path_or_uri(secret_free=True)):
    sys.exit(
        f"patchsep's Snakefile needs the package beside it, which {here} does not give; clone the "
        "repository, and give `snakefile:` the path of the clone's Snakefile"
    )

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


# Seconds of work each: not worth a place in a cluster's queue. Figures are local rules too.
localrules:
    compute_cmb_spectra,
    draw_regions,


rule all:
    default_target: True
    input:
        TABLES,
        FIGURE_FILES,
        [f"{RESULTS}/tables/published_vs_here.csv"] if PUBLISHED else [],


include: "workflow/rules/theory.smk"
include: "workflow/rules/regions.smk"


if PLAN.is_observed:

    # Maps that are brought.
    include: "workflow/rules/observed.smk"

else:

    localrules:
        simulate_cmb,
        prepare_templates,
        bin_theory,
        gather_residuals,
        estimate_r_of_configurations,
        select_configurations,
        summarize,
        measure_cost,
        compare_with_published,
        compare_samplers,
        classify_patches,

    include: "workflow/rules/simulate.smk"
    include: "workflow/rules/patches.smk"
    include: "workflow/rules/mocks.smk"
    include: "workflow/rules/fit.smk"
    include: "workflow/rules/clean.smk"
    include: "workflow/rules/r.smk"
    include: "workflow/rules/report.smk"
    include: "workflow/rules/benchmark.smk"
    include: "workflow/rules/validation.smk"
    include: "workflow/rules/search.smk"
    include: "workflow/rules/export.smk"


include: "workflow/rules/figures.smk"


onstart:
    check_device()
    # What `make status` compares the shards with that have started.
    write_plan(f"{RESULTS_HERE}/logs/fit_patches", PLAN.planned_shards)
    begin_run(RESULTS_HERE)


onsuccess:
    keep_records(RESULTS_HERE)
    # Not there if only other files were asked for.
    summary = Path(f"{RESULTS_HERE}/tables/summary.txt")
    if summary.is_file():
        print(summary.read_text(encoding="utf-8"))
        if figure := first_figure(PLAN):
            print(f"Open first: {RESULTS_HERE}{figure.removeprefix(RESULTS)}")


onerror:
    keep_records(RESULTS_HERE)
