# patchsep: from the sky to the tensor-to-scalar ratio r.
# The settings are in config/ (config/README.md documents every key); each stage has its
# rules in workflow/rules/, in the order of the data.

from snakemake.utils import min_version

min_version("9.0")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


# Seconds of work each: not worth a place in a cluster's queue.
localrules:
    compute_cmb_spectra,
    simulate_cmb,
    draw_regions,
    prepare_templates,
    bin_templates,
    gather_residuals,
    estimate_r,
    choose_configurations,
    summarize,
    measure_cost,
    compare_with_published,
    fig_pipeline,
    fig_regions,
    fig_patches,
    fig_kmeans_patches,
    fig_binned_patches,
    fig_parameters,
    fig_residual_maps,
    fig_distributions,
    fig_scans,
    fig_variance_and_r,
    fig_r_and_patches,
    fig_residual_spectra,
    fig_binned_spectra,
    fig_input_r_spectra,
    fig_r_likelihoods,
    fig_few_and_many_patches,
    fig_input_r_likelihoods,
    fig_methods,
    fig_template_errors,
    fig_criteria,
    fig_leakage,
    fig_known_patches,
    compare_samplers,
    fig_search,
    fig_prediction,
    classify_patches,
    fig_patch_classes,


rule all:
    default_target: True
    input:
        TABLES,
        FIGURE_FILES,
        COMPARED,


include: "workflow/rules/simulate.smk"
include: "workflow/rules/regions.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/patches.smk"
include: "workflow/rules/rehearsal.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/residuals.smk"
include: "workflow/rules/likelihood.smk"
include: "workflow/rules/choice.smk"
include: "workflow/rules/judging.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/validation.smk"
include: "workflow/rules/search.smk"


onstart:
    # What `make status` compares the shards with that have started.
    write_plan(f"{LOGS}/fit_patches", PLANNED_SHARDS)


onsuccess:
    # Not there if only other files were asked for.
    summary = Path(f"{RESULTS}/tables/summary.txt")
    if summary.is_file():
        print(summary.read_text())
