# Which of many configurations promise most, without noise realisations: `snakemake search`, not part
# of a run. All are evaluated, so that samplers can be compared by what they find among them.
SEARCH = SETTINGS["search"]
SEARCH_REGION = SEARCH["region"]


rule evaluate_configurations:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        model=f"{RESULTS}/maps/foreground_model.fits",
        bands=f"{RESULTS}/spectra/bands/{TEMPLATES[0]}/{SEARCH_REGION}.csv",
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
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        region=SEARCH_REGION,
        zones=SETTINGS["regions"]["zones"],
        search={
            key: SEARCH[key]
            for key in ("values", "members", "draws", "realizations", "seed")
        },
        rehearsal=REHEARSAL,
        fit=FIT,
        spectra=SPECTRA,
        amplitude_scatter=SETTINGS["likelihood"]["amplitude_scatter"],
        folder=f"{RESULTS}/search/configurations",
        code=code("evaluate_configurations", SETTINGS["instrument"]),
    message:
        "Evaluating configurations of {SEARCH_REGION}"
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
    resources:
        mem_mb=2000,
        runtime=30,
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


rule fig_search:
    input:
        table=rules.compare_samplers.output.samplers,
    output:
        **figure_files("search", "6 Validation"),
    log:
        f"{LOGS}/fig_search.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        figure="search",
        code=code("fig_search"),
    message:
        "Drawing what samplers find"
    script:
        "../../scripts/fig_search.py"


use rule fig_search as fig_prediction with:
    input:
        table=rules.evaluate_configurations.output.evaluations,
    output:
        **figure_files("prediction", "6 Validation"),
    log:
        f"{LOGS}/fig_prediction.log",
    params:
        style=FIGURE_STYLE,
        figure="prediction",
        code=code("fig_search"),
    message:
        "Drawing predicted noise against fits"


rule search:
    input:
        rules.fig_search.output,
        rules.fig_prediction.output,
