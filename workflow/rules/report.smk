rule summarize:
    input:
        estimates=[
            f"{RESULTS}/likelihood/{method}/{region}.csv"
            for method in METHODS
            for region in REGIONS
        ],
        judged=judged_files(JUDGED, ".csv"),
        samples=judged_files(JUDGED, "_samples.parquet"),
    output:
        summary=[
            report(
                f"{RESULTS}/tables/summary.csv",
                caption="../report/summary.rst",
                category="8 Tables",
            ),
            f"{RESULTS}/tables/summary.parquet",
        ],
        criteria=report(
            f"{RESULTS}/tables/criteria.csv",
            caption="../report/criteria.rst",
            category="8 Tables",
        ),
        gains=f"{RESULTS}/tables/gains.csv",
        configurations=multiext(f"{RESULTS}/tables/configurations", ".csv", ".parquet"),
        text=f"{RESULTS}/tables/summary.txt",
    log:
        f"{LOGS}/summarize.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        regions=[(method, region) for method in METHODS for region in REGIONS],
        sets=JUDGED,
        criterion=CRITERIA[0],
        about={
            "run": SETTINGS["run"],
            "templates": TEMPLATES[0],
            "figures": f"{RESULTS}/figures/",
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
        cost=report(
            f"{RESULTS}/tables/cost.csv",
            caption="../report/cost.rst",
            category="8 Tables",
        ),
    log:
        f"{LOGS}/measure_cost.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        benchmarks=BENCHMARKS,
        methods=list(METHODS),
        code=code("measure_cost"),
    message:
        "Adding up what the run has cost"
    script:
        "../../scripts/measure_cost.py"


# Of every number the file names the table that has ours.
rule compare_with_published:
    input:
        published=ancient(PUBLISHED),
        tables=[f"{RESULTS}/{table}" for table in PUBLISHED_TABLES],
    output:
        table=report(
            f"{RESULTS}/tables/published_vs_here.csv",
            caption="../report/published_vs_here.rst",
            category="8 Tables",
        ),
    log:
        f"{LOGS}/compare_with_published.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        results=lambda wildcards, output: str(Path(output.table).parents[1]),
        code=code("compare_with_published", *PUBLISHED),
    message:
        "Comparing with published numbers"
    script:
        "../../scripts/compare_with_published.py"
