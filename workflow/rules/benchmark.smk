# Optimisers side by side on one region's data: `snakemake benchmark`, not part of a run.
BENCHMARK = SETTINGS["benchmark"]
# Of rings, the brightest.
BENCHMARK_REGION = REGIONS[-1]


rule benchmark_fits:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
    output:
        times=f"{RESULTS}/benchmark/{{region}}/run_times.csv",
        traces=f"{RESULTS}/benchmark/{{region}}/traces.csv",
    log:
        f"{LOGS}/benchmark_fits/{{region}}.log",
    conda:
        "../../envs/environment.yaml"
    # Alone on the machine: what runs beside it changes the times.
    threads: workflow.cores
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        benchmark=BENCHMARK,
        noise_seed=SETTINGS["noise"]["seed"],
        zones=SETTINGS["regions"]["zones"],
        code=code("benchmark_fits", SETTINGS["instrument"]),
    message:
        "Timing fits in {wildcards.region}"
    script:
        "../../scripts/benchmark_fits.py"


rule fig_benchmark:
    input:
        table=f"{RESULTS}/benchmark/{{region}}/{{table}}.csv",
    output:
        f"{RESULTS}/benchmark/{{region}}/{{table}}.pdf",
        f"{RESULTS}/benchmark/{{region}}/{{table}}.png",
    log:
        f"{LOGS}/fig_benchmark/{{region}}_{{table}}.log",
    wildcard_constraints:
        table="run_times|traces",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        code=code("fig_benchmark"),
    message:
        "Drawing {wildcards.table} of the benchmark"
    script:
        "../../scripts/fig_benchmark.py"


rule benchmark:
    input:
        expand(
            f"{RESULTS}/benchmark/{BENCHMARK_REGION}/{{table}}.{{suffix}}",
            table=["run_times", "traces"],
            suffix=["pdf", "png"],
        ),
