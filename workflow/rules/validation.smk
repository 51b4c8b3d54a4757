# What is true is known here: `snakemake validation`, not part of a run.
# Of rings, the faintest, as published.
VALIDATION = SETTINGS["validation"]
VALIDATION_REGION = REGIONS[0]
TRUTHS = {
    "-".join(map(str, true)): true for true in VALIDATION["known_patches"]["truths"]
}


wildcard_constraints:
    truth="|".join(TRUTHS),


# Estimators, on skies without foregrounds.
rule validate_estimators:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        templates=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        leakage=f"{RESULTS}/validation/leakage.csv",
        coverage=f"{RESULTS}/validation/coverage.csv",
    log:
        f"{LOGS}/validate_estimators.log",
    conda:
        "../../envs/environment.yaml"
    threads: workflow.cores
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spectra=SPECTRA,
        skies={key: VALIDATION[key] for key in ("realizations", "seed", "r")},
        start=SETTINGS["fit"]["start"],
        code=code("validate_estimators", SETTINGS["instrument"]),
    message:
        "Validating estimators of BB and r"
    script:
        "../../scripts/validate_estimators.py"


rule fig_leakage:
    input:
        leakage=f"{RESULTS}/validation/leakage.csv",
    output:
        **figure_files("leakage", "6 Validation"),
    log:
        f"{LOGS}/fig_leakage.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        code=code("fig_leakage"),
    message:
        "Drawing what estimators leak"
    script:
        "../../scripts/fig_leakage.py"


# Criteria and fits, on skies of known patches.
rule validate_choices:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        bands=f"{RESULTS}/spectra/bands/{TEMPLATES[0]}/{VALIDATION_REGION}.csv",
    output:
        estimates=f"{RESULTS}/validation/known_patches/{{truth}}_estimates.csv",
        choices=f"{RESULTS}/validation/known_patches/{{truth}}_choices.csv",
        pulls=f"{RESULTS}/validation/known_patches/{{truth}}_pulls.csv",
    log:
        f"{LOGS}/validate_choices/{{truth}}.log",
    benchmark:
        f"{BENCHMARKS}/validate_choices/{{truth}}.tsv"
    # Long jobs first: at the end cores would wait for them.
    priority: 1
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        true=lambda wildcards: TRUTHS[wildcards.truth],
        known=VALIDATION["known_patches"],
        region=VALIDATION_REGION,
        zones=SETTINGS["regions"]["zones"],
        foregrounds=SETTINGS["foregrounds"],
        criteria=CRITERIA,
        rehearsal=REHEARSAL,
        spectra=SPECTRA,
        fit=FIT,
        code=code("validate_choices", SETTINGS["instrument"]),
    message:
        "Looking for the known patches of {VALIDATION_REGION}: {wildcards.truth}"
    script:
        "../../scripts/validate_choices.py"


rule fig_known_patches:
    input:
        estimates=expand(rules.validate_choices.output.estimates, truth=TRUTHS),
        choices=expand(rules.validate_choices.output.choices, truth=TRUTHS),
        pulls=expand(rules.validate_choices.output.pulls, truth=TRUTHS),
    output:
        **figure_files("known_patches", "6 Validation"),
    log:
        f"{LOGS}/fig_known_patches.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        truths=TRUTHS,
        n_realizations=VALIDATION["known_patches"]["realizations"],
        code=code("fig_known_patches"),
    message:
        "Drawing which patches are found"
    script:
        "../../scripts/fig_known_patches.py"


# Patches of the choice, on the sky of choosing.
rule classify_patches:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
        parameters=f"{RESULTS}/maps/spectral_parameters.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        cleaned=f"{RESULTS}/maps/recovered_{{method}}.fits",
    output:
        classes=f"{RESULTS}/validation/patch_classes/{{method}}.csv",
    log:
        f"{LOGS}/classify_patches/{{method}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spectra=SPECTRA,
        code=code("classify_patches"),
    message:
        "Measuring residuals by patch class: {wildcards.method}"
    script:
        "../../scripts/classify_patches.py"


rule fig_patch_classes:
    input:
        classes=f"{RESULTS}/validation/patch_classes/{{method}}.csv",
    output:
        **figure_files("patch_classes/{method}", "6 Validation", label="patch_classes"),
    log:
        f"{LOGS}/fig_patch_classes/{{method}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        code=code("fig_patch_classes"),
    message:
        "Drawing residuals by patch class: {wildcards.method}"
    script:
        "../../scripts/fig_patch_classes.py"


rule validation:
    input:
        rules.validate_estimators.output,
        rules.fig_leakage.output,
        rules.fig_known_patches.output,
        expand(rules.fig_patch_classes.output, method=METHODS),
