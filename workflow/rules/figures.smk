# A figure's inputs are its data, and its params the style: nothing else can change it.
FIGURE_STYLE = SETTINGS["figures"]
RECOVERED = expand(f"{RESULTS}/maps/recovered_{{method}}.fits", method=METHODS)


rule fig_regions:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
    output:
        **figure_files("regions"),
    log:
        f"{LOGS}/fig_regions.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        names=REGIONS,
        code=code("fig_regions"),
    message:
        "Drawing the regions"
    script:
        "../../scripts/fig_regions.py"


rule fig_patches:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
        recovered=RECOVERED,
    output:
        **figure_files("patches"),
    log:
        f"{LOGS}/fig_patches.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=list(METHODS),
        code=code("fig_patches"),
    message:
        "Drawing the patches of every method"
    script:
        "../../scripts/fig_patches.py"


rule fig_parameters:
    input:
        true=f"{RESULTS}/maps/spectral_parameters.fits",
        recovered=RECOVERED,
    output:
        **figure_files("parameters"),
    log:
        f"{LOGS}/fig_parameters.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=list(METHODS),
        code=code("fig_parameters"),
    message:
        "Drawing true and recovered spectral parameters"
    script:
        "../../scripts/fig_parameters.py"


rule fig_residual_spectra:
    input:
        chosen=expand(f"{RESULTS}/judged/choosing/{{method}}.csv", method=METHODS),
        spectra=expand(
            f"{RESULTS}/judged/choosing/{{method}}_spectra.parquet", method=METHODS
        ),
        templates=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        **figure_files("residual_spectra"),
    log:
        f"{LOGS}/fig_residual_spectra.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=list(METHODS),
        criterion=CRITERIA[0],
        code=code("fig_residual_spectra"),
    message:
        "Drawing residual spectra"
    script:
        "../../scripts/fig_residual_spectra.py"


rule fig_r_likelihoods:
    input:
        estimates=expand(f"{RESULTS}/judged/choosing/{{method}}.csv", method=METHODS),
        curves=expand(
            f"{RESULTS}/judged/choosing/{{method}}_curves.parquet", method=METHODS
        ),
    output:
        **figure_files("r_likelihoods"),
    log:
        f"{LOGS}/fig_r_likelihoods.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=list(METHODS),
        criterion=CRITERIA[0],
        r_input=SETTINGS["cmb"]["r"],
        code=code("fig_r_likelihoods"),
    message:
        "Drawing likelihoods of r"
    script:
        "../../scripts/fig_r_likelihoods.py"


rule fig_criteria:
    input:
        criteria=f"{RESULTS}/tables/criteria.csv",
    output:
        **figure_files("criteria"),
    log:
        f"{LOGS}/fig_criteria.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        code=code("fig_criteria"),
    message:
        "Drawing what every criterion's choice comes to"
    script:
        "../../scripts/fig_criteria.py"
