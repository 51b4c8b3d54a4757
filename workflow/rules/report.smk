rule summarize:
    input:
        estimates=[
            f"{RESULTS}/likelihood/{method}/{area}.csv"
            for method in METHODS
            for area in AREAS
        ],
    output:
        summary=[
            report(
                f"{RESULTS}/tables/summary.csv",
                caption="../report/summary.rst",
                category="Tables",
            ),
            f"{RESULTS}/tables/summary.parquet",
        ],
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
        areas=[(method, area) for method in METHODS for area in AREAS],
        about={
            "run": SETTINGS["run"],
            "templates": SETTINGS["likelihood"]["templates"],
            "figures": f"{RESULTS}/figures/",
        },
        code=code("summarize"),
    message:
        "Writing tables of r"
    script:
        "../../scripts/summarize.py"
