rule estimate_r:
    input:
        spectra=f"{RESULTS}/{{grid}}residuals/{{method}}/{{region}}_spectra.parquet",
        metrics=f"{RESULTS}/{{grid}}residuals/{{method}}/{{region}}_metrics.parquet",
        bands=f"{RESULTS}/spectra/bands/{TEMPLATES[0]}/{{region}}.csv",
        rehearsals=rehearsals,
        expected=expected_residuals,
    output:
        estimates=f"{RESULTS}/{{grid}}likelihood/{{method}}/{{region}}.csv",
    log:
        f"{LOGS}/{{grid}}estimate_r/{{method}}/{{region}}.log",
    benchmark:
        f"{BENCHMARKS}/{{grid}}estimate_r/{{method}}/{{region}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        statistical=SETTINGS["likelihood"]["statistical"],
        r_input=SETTINGS["cmb"]["r"],
        amplitude_scatter=SETTINGS["likelihood"]["amplitude_scatter"],
        r_grid=SETTINGS["likelihood"]["r_grid"],
        code=code("estimate_r"),
    message:
        "Estimating r in {wildcards.region}: {wildcards.method} {wildcards.grid}"
    script:
        "../../scripts/estimate_r.py"
