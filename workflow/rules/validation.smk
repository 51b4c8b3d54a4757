# Estimators on skies without foregrounds: `snakemake validation`, not part of a run.
rule validate_estimators:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        templates=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        leakage=f"{RESULTS}/validation/leakage.csv",
        coverage=f"{RESULTS}/validation/coverage.csv",
    log:
        f"{LOGS}/validate_estimators.log",
    conda:
        "../../envs/environment.yaml"
    threads: workflow.cores
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spectra=SPECTRA,
        skies=SETTINGS["validation"],
        start=SETTINGS["fit"]["start"],
        code=code("validate_estimators", SETTINGS["instrument"]),
    message:
        "Validating estimators of BB and r"
    script:
        "../../scripts/validate_estimators.py"


rule fig_leakage:
    input:
        leakage=f"{RESULTS}/validation/leakage.csv",
    output:
        multiext(f"{RESULTS}/validation/leakage", ".pdf", ".png"),
    log:
        f"{LOGS}/fig_leakage.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        code=code("fig_leakage"),
    message:
        "Drawing what estimators leak"
    script:
        "../../scripts/fig_leakage.py"


rule validation:
    input:
        rules.validate_estimators.output,
        rules.fig_leakage.output,
