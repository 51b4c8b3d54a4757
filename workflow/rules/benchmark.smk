# Optimisers side by side on one region's data: `snakemake benchmark`, part of a run if it draws
# their figures.
rule benchmark_fits:
    input:
        **TRAINING_SKY,
    output:
        times=f"{RESULTS}/benchmark/run_times.csv",
        traces=f"{RESULTS}/benchmark/optimizers.csv",
        models=f"{RESULTS}/benchmark/models.csv",
    log:
        f"{LOGS}/benchmark_fits.log",
    # Before long jobs have begun, for which it would have to wait.
    priority: 2
    conda:
        "../../envs/environment.yaml"
    # Alone on the machine: what runs beside it changes the times.
    threads: workflow.cores
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        benchmark=SETTINGS["benchmark"],
        noise_seed=SETTINGS["noise"]["seed"],
        model=PLAN.components,
        code=code("benchmark_fits", *INSTRUMENT_FILES),
    message:
        "Timing fits in {params.benchmark[region]}"
    script:
        "../../scripts/benchmark_fits.py"


# What a finer map costs, each step in a process of its own: `snakemake nside_costs`.
rule benchmark_nside:
    input:
        instrument=ancient(INSTRUMENT),
    output:
        costs=f"{RESULTS}/benchmark/nside/{{method}}_{{nside}}.csv",
    log:
        f"{LOGS}/benchmark_nside/{{method}}_{{nside}}.log",
    wildcard_constraints:
        method="kmeans|fields",
        nside=r"\d+",
    conda:
        "../../envs/environment.yaml"
    threads: workflow.cores
    resources:
        mem_mb=16000,
        runtime=720,
    params:
        benchmark=SETTINGS["benchmark"],
        fields=SETTINGS["fields"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("benchmark_nside", *INSTRUMENT_FILES),
    message:
        "Timing {wildcards.method} at nside {wildcards.nside}"
    script:
        "../../scripts/benchmark_nside.py"


rule nside_costs:
    input:
        multiext(f"{RESULTS}/figures/nside_costs", ".pdf", ".png"),


rule benchmark:
    input:
        multiext(f"{RESULTS}/figures/run_times", ".pdf", ".png"),
        multiext(f"{RESULTS}/figures/optimizers", ".pdf", ".png"),
