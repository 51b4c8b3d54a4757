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


rule benchmark:
    input:
        multiext(f"{RESULTS}/figures/run_times", ".pdf", ".png"),
        multiext(f"{RESULTS}/figures/optimizers", ".pdf", ".png"),
