# Optimisers side by side on one region's data: `snakemake benchmark`, part of a run if it draws
# their figures.
rule benchmark_fits:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
    output:
        times=f"{RESULTS}/benchmark/run_times.csv",
        traces=f"{RESULTS}/benchmark/optimizers.csv",
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
        zones=SETTINGS["regions"]["zones"],
        code=code("benchmark_fits", SETTINGS["instrument"]),
    message:
        "Timing fits in {params.benchmark[region]}"
    script:
        "../../scripts/benchmark_fits.py"


rule fig_run_times:
    input:
        table=rules.benchmark_fits.output.times,
    output:
        **figure_files("run_times", "7 Run times"),
    log:
        f"{LOGS}/fig_run_times.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        figure="run_times",
        code=code("fig_benchmark"),
    message:
        "Drawing run times of fits"
    script:
        "../../scripts/fig_benchmark.py"


use rule fig_run_times as fig_optimizers with:
    input:
        table=rules.benchmark_fits.output.traces,
    output:
        **figure_files("optimizers", "7 Run times"),
    log:
        f"{LOGS}/fig_optimizers.log",
    params:
        figure="optimizers",
    message:
        "Drawing optimisers' approach to the minimum"


rule benchmark:
    input:
        rules.fig_run_times.output,
        rules.fig_optimizers.output,
