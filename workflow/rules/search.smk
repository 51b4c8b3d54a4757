# Which of many configurations are predicted to be best, without fits to noise: `snakemake search`,
# not part of a run. All are evaluated, so that samplers can be compared by what they find.
SEARCH = SETTINGS["search"]


rule evaluate_configurations:
    input:
        **TRAINING_SKY,
        foreground_model=f"{RESULTS}/maps/foreground_model.fits",
        theory=f"{RESULTS}/spectra/theory/{PLAN.theory[0]}/{SEARCH['region']}.csv",
    output:
        evaluations=f"{RESULTS}/search/evaluations.csv",
    log:
        f"{LOGS}/evaluate_configurations.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_configurations.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(240),
    params:
        region=SEARCH["region"],
        search={
            key: SEARCH[key]
            for key in (
                "values",
                "n_draws",
                "mock_realizations",
                "realizations",
                "seed",
            )
        },
        mocks=SETTINGS["mocks"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        spectra=PLAN.spectra,
        amplitude_scatter=SETTINGS["likelihood"]["amplitude_scatter"],
        folder=f"{RESULTS_HERE}/search/configurations",
        code=code("evaluate_configurations", *INSTRUMENT_FILES),
    message:
        "Evaluating configurations of {params.region}"
    script:
        "../../scripts/evaluate_configurations.py"


rule compare_samplers:
    input:
        evaluations=rules.evaluate_configurations.output.evaluations,
    output:
        samplers=f"{RESULTS}/search/samplers.csv",
    log:
        f"{LOGS}/compare_samplers.log",
    conda:
        "../../envs/environment.yaml"
    params:
        search={
            "n_evaluations": SEARCH["evaluations"],
            **{key: SEARCH[key] for key in ("values", "repeats", "seed")},
        },
        code=code("compare_samplers"),
    message:
        "Comparing samplers"
    script:
        "../../scripts/compare_samplers.py"


rule search:
    input:
        multiext(f"{RESULTS}/figures/search", ".pdf", ".png"),
        multiext(f"{RESULTS}/figures/prediction", ".pdf", ".png"),
