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
                category="Tables",
            ),
            f"{RESULTS}/tables/summary.parquet",
        ],
        criteria=report(
            f"{RESULTS}/tables/criteria.csv",
            caption="../report/criteria.rst",
            category="Tables",
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
