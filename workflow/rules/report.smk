rule summarize:
    input:
        configurations=[
            PLAN.r_of_grid(method, region)
            for method in PLAN.grid_methods
            for region in PLAN.regions
        ],
        estimates=PLAN.r_of_sets(PLAN.estimated, ".csv"),
        samples=PLAN.r_of_sets(PLAN.estimated, "_samples.parquet"),
        moments=[path for _, _, path in PLAN.moment_tests],
    output:
        summary=[*table_in_report("summary"), f"{RESULTS}/tables/summary.parquet"],
        selection=table_in_report("selection"),
        model=table_in_report("spectral_model"),
        gains=f"{RESULTS}/tables/gains.csv",
        configurations=multiext(f"{RESULTS}/tables/configurations", ".csv", ".parquet"),
        text=f"{RESULTS}/tables/summary.txt",
    log:
        f"{LOGS}/summarize.log",
    conda:
        "../../envs/environment.yaml"
    params:
        grids=[
            (method, region) for method in PLAN.grid_methods for region in PLAN.regions
        ],
        sets=PLAN.estimated,
        moments=[key for *key, _ in PLAN.moment_tests],
        criterion=PLAN.criteria[0],
        about={
            "run": SETTINGS["run"],
            "theory": PLAN.theory[0],
            "figures": f"{RESULTS_HERE}/figures/",
        },
        code=code("summarize"),
    message:
        "Writing tables of r"
    script:
        "../../scripts/summarize.py"


rule measure_cost:
    input:
        TABLES,
        FIGURE_FILES,
    output:
        cost=table_in_report("cost"),
    log:
        f"{LOGS}/measure_cost.log",
    conda:
        "../../envs/environment.yaml"
    params:
        benchmarks=placed(BENCHMARKS),
        methods=list(PLAN.methods),
        code=code("measure_cost"),
    message:
        "Adding up what the run has cost"
    script:
        "../../scripts/measure_cost.py"


# Of every number the file names the table that has ours.
rule compare_with_published:
    input:
        published=ancient(PUBLISHED),
        tables=PUBLISHED_TABLES,
    output:
        table=table_in_report("published_vs_here"),
    log:
        f"{LOGS}/compare_with_published.log",
    conda:
        "../../envs/environment.yaml"
    params:
        results=lambda wildcards, output: str(Path(output.table[0]).parents[1]),
        code=code("compare_with_published", *PUBLISHED),
    message:
        "Comparing with published numbers"
    script:
        "../../scripts/compare_with_published.py"
