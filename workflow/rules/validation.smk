# What is true is known here: `snakemake validation`, not part of a run.
VALIDATION = SETTINGS["validation"]


wildcard_constraints:
    truth="|".join(PLAN.truths),


# Estimators, on skies without foregrounds.
rule validate_estimators:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        theory=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        leakage=f"{RESULTS}/validation/leakage.csv",
        coverage=f"{RESULTS}/validation/coverage.csv",
    log:
        f"{LOGS}/validate_estimators.log",
    conda:
        "../../envs/environment.yaml"
    threads: workflow.cores
    resources:
        runtime=120,
    params:
        # Of skies without beams.
        spectra=PLAN.spectra | {"resolution": None},
        skies={key: VALIDATION[key] for key in ("realizations", "seed", "r")},
        model=PLAN.model_settings,
        code=code("validate_estimators", *INSTRUMENT_FILES),
    message:
        "Validating estimators of BB and r"
    script:
        "../../scripts/validate_estimators.py"


# Criteria and fits, on skies of known patches in the first region, of rings the faintest.
rule validate_selection:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        theory=f"{RESULTS}/spectra/theory/{PLAN.theory[0]}/{PLAN.regions[0]}.csv",
    output:
        estimates=f"{RESULTS}/validation/known_patches/{{truth}}_estimates.csv",
        selected=f"{RESULTS}/validation/known_patches/{{truth}}_selected.csv",
        pulls=f"{RESULTS}/validation/known_patches/{{truth}}_pulls.csv",
    log:
        f"{LOGS}/validate_selection/{{truth}}.log",
    benchmark:
        f"{BENCHMARKS}/validate_selection/{{truth}}.tsv"
    # Long jobs first: at the end cores would wait for them.
    priority: 1
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(240),
    params:
        true=lambda wildcards: PLAN.truths[wildcards.truth],
        known=VALIDATION["known_patches"],
        region=PLAN.regions[0],
        foregrounds=known_foregrounds,
        templates=lambda wildcards: templates_of(SETTINGS["foregrounds"]),
        criteria=PLAN.criteria,
        mocks=SETTINGS["mocks"],
        # Of skies without beams.
        spectra=PLAN.spectra | {"resolution": None},
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("validate_selection", *INSTRUMENT_FILES),
    message:
        "Looking for the known patches of {params.region}: {wildcards.truth}"
    script:
        "../../scripts/validate_selection.py"


# Patches of the selected configurations, on the training sky.
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
    params:
        spectra=PLAN.spectra,
        code=code("classify_patches"),
    message:
        "Measuring residuals by patch class: {wildcards.method}"
    script:
        "../../scripts/classify_patches.py"


rule validation:
    input:
        rules.validate_estimators.output,
        expand(
            f"{RESULTS}/figures/{{name}}.{{suffix}}",
            name=[
                "leakage",
                "known_patches",
                *(f"patch_classes/{method}" for method in PLAN.patch_methods),
            ],
            suffix=["pdf", "png"],
        ),


# Intervals of r, on skies whose spectral parameters are fields: `snakemake calibration`.
rule calibrate:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        theory=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        skies=f"{RESULTS}/validation/calibration_skies.csv",
        coverage=f"{RESULTS}/validation/calibration.csv",
        pulls=f"{RESULTS}/validation/calibration_pulls.csv",
    log:
        f"{LOGS}/calibrate.log",
    benchmark:
        f"{BENCHMARKS}/calibrate.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(240),
    params:
        skies={key: VALIDATION[key] for key in ("realizations", "seed", "r", "mocks")},
        foregrounds=known_foregrounds,
        templates=lambda wildcards: templates_of(SETTINGS["foregrounds"]),
        fields=SETTINGS["fields"],
        spectra=PLAN.spectra,
        pixel_weights=SETTINGS["spectra"]["pixel_weights"][0],
        amplitude_scatter=SETTINGS["likelihood"]["amplitude_scatter"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("calibrate", *INSTRUMENT_FILES),
    message:
        "Calibrating intervals of r on skies whose parameters are fields"
    script:
        "../../scripts/calibrate.py"


rule calibration:
    input:
        rules.calibrate.output,
