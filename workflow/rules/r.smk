rule bin_theory:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
        theory=f"{RESULTS}/spectra/cmb_{{theory}}.csv",
        sky_theory=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        theory=f"{RESULTS}/spectra/theory/{{theory}}/{{region}}.csv",
    log:
        f"{LOGS}/bin_theory/{{theory}}/{{region}}.log",
    conda:
        "../../envs/environment.yaml"
    params:
        spectra=PLAN.spectra,
        modes=SETTINGS["spectra"]["modes"],
        code=code("bin_theory"),
    message:
        "Binning theory spectra: {wildcards.theory}, {wildcards.region}"
    script:
        "../../scripts/bin_theory.py"


rule estimate_r_of_configurations:
    input:
        spectra=f"{RESULTS}/{{sky}}residuals/{{method}}/{{region}}_spectra.parquet",
        metrics=f"{RESULTS}/{{sky}}residuals/{{method}}/{{region}}_metrics.parquet",
        theory=f"{RESULTS}/spectra/theory/{PLAN.theory[0]}/{{region}}.csv",
        mock_estimates=PLAN.mock_estimates,
        mock_spectra=PLAN.mock_spectra,
    output:
        estimates=f"{RESULTS}/{{sky}}r/configurations/{{method}}/{{region}}.csv",
    log:
        f"{LOGS}/{{sky}}estimate_r_of_configurations/{{method}}/{{region}}.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}estimate_r_of_configurations/{{method}}/{{region}}.tsv"
    wildcard_constraints:
        sky=one_of(PLAN.gridded),
    conda:
        "../../envs/environment.yaml"
    params:
        **LIKELIHOOD,
        r_input=SETTINGS["cmb"]["r"],
        code=code("estimate_r_of_configurations"),
    message:
        "Estimating r in {wildcards.region}: {wildcards.method} {wildcards.sky}"
    script:
        "../../scripts/estimate_r_of_configurations.py"


rule select_configurations:
    input:
        estimates=PLAN.contested_estimates,
    output:
        selected=f"{RESULTS}/selected/{{method}}.csv",
    log:
        f"{LOGS}/select_configurations/{{method}}.log",
    conda:
        "../../envs/environment.yaml"
    params:
        configurations=lambda wildcards: {
            region: PLAN.configurations(wildcards.method, region)
            for region in PLAN.regions
        },
        criteria=PLAN.criteria,
        code=code("select_configurations"),
    message:
        "Selecting configurations: {wildcards.method}"
    script:
        "../../scripts/select_configurations.py"


rule estimate_r_of_set:
    input:
        skies=PLAN.cleaned_skies,
        selected=f"{RESULTS}/selected/{{method}}.csv",
        theory=PLAN.theory_files(),
    output:
        **{
            name: f"{RESULTS}/r/sets/{{set}}/{{method}}{suffix}"
            for name, suffix in (
                ("estimates", ".csv"),
                ("samples", "_samples.parquet"),
                ("curves", "_curves.parquet"),
                ("spectra", "_spectra.parquet"),
            )
        },
    log:
        f"{LOGS}/estimate_r_of_set/{{set}}/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/estimate_r_of_set/{{set}}/{{method}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        **LIKELIHOOD,
        pixel_weights=PLAN.pixel_weights,
        foreground_residual=PLAN.foreground_residual,
        r_input=lambda wildcards: PLAN.r_input(wildcards.set),
        bootstrap=SETTINGS["likelihood"]["bootstrap"],
        code=code("estimate_r_of_set"),
    message:
        "Estimating r of {wildcards.set}: {wildcards.method}"
    script:
        "../../scripts/estimate_r_of_set.py"
