rule choose_configurations:
    input:
        estimates=contested_estimates,
    output:
        choices=f"{RESULTS}/choices/{{method}}.csv",
    log:
        f"{LOGS}/choose_configurations/{{method}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        configurations=configurations_by_region,
        criteria=CRITERIA,
        code=code("choose_configurations"),
    message:
        "Choosing configurations: {wildcards.method}"
    script:
        "../../scripts/choose_configurations.py"
