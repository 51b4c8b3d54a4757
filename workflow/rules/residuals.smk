rule gather_residuals:
    input:
        shards=shard_files,
    output:
        spectra=f"{RESULTS}/{{grid}}residuals/{{method}}/{{region}}_spectra.parquet",
        metrics=f"{RESULTS}/{{grid}}residuals/{{method}}/{{region}}_metrics.parquet",
    log:
        f"{LOGS}/{{grid}}gather_residuals/{{method}}/{{region}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        configurations=region_configurations,
        code=code("gather_residuals"),
    message:
        "Gathering residuals in {wildcards.region}: {wildcards.method} {wildcards.grid}"
    script:
        "../../scripts/gather_residuals.py"
