# Figures, one rule each, in the order of the data. A figure's inputs are its data, its params the
# style and what it shows: nothing else can change it.
RESIDUALS = ["total", "systematic", "statistical"]


rule fig_pipeline:
    output:
        **figure_files("pipeline", "1 Sky and patches"),
    log:
        f"{LOGS}/fig_pipeline.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        code=code("fig_pipeline"),
    message:
        "Drawing the pipeline"
    script:
        "../../scripts/fig_pipeline.py"


rule fig_regions:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
    output:
        **figure_files("regions", "1 Sky and patches", "parquet"),
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
        recovered=recovered_maps("patches"),
    output:
        **figure_files("patches", "1 Sky and patches", "parquet"),
    log:
        f"{LOGS}/fig_patches.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=figure_methods("patches"),
        code=code("fig_patches"),
    message:
        "Drawing the patches of methods"
    script:
        "../../scripts/fig_patches.py"


use rule fig_patches as fig_kmeans_patches with:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
        recovered=recovered_maps("kmeans_patches"),
    output:
        **figure_files("kmeans_patches", "1 Sky and patches", "parquet"),
    log:
        f"{LOGS}/fig_kmeans_patches.log",
    params:
        methods=figure_methods("kmeans_patches"),
    message:
        "Drawing K-means patches"


use rule fig_patches as fig_binned_patches with:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
        recovered=recovered_maps("binned_patches"),
    output:
        **figure_files("binned_patches", "1 Sky and patches", "parquet"),
    log:
        f"{LOGS}/fig_binned_patches.log",
    params:
        methods=figure_methods("binned_patches"),
    message:
        "Drawing patches of binned parameters"


rule fig_parameters:
    input:
        true=f"{RESULTS}/maps/spectral_parameters.fits",
        recovered=recovered_maps("parameters"),
    output:
        **figure_files("parameters", "2 Fits", "parquet"),
    log:
        f"{LOGS}/fig_parameters.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=figure_methods("parameters"),
        code=code("fig_parameters"),
    message:
        "Drawing true and recovered spectral parameters"
    script:
        "../../scripts/fig_parameters.py"


rule fig_residual_maps:
    input:
        cmb=f"{RESULTS}/maps/cmb.fits",
        recovered=recovered_maps("residual_maps"),
    output:
        **figure_files("residual_maps", "2 Fits", "parquet"),
    log:
        f"{LOGS}/fig_residual_maps.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=figure_methods("residual_maps"),
        code=code("fig_residual_maps"),
    message:
        "Drawing residual maps"
    script:
        "../../scripts/fig_residual_maps.py"


rule fig_distributions:
    input:
        estimates=judged_files(of_choosing("distributions"), ".csv"),
        spectra=[
            f"{RESULTS}/residuals/{method}_cleaned.parquet"
            for method in figure_methods("distributions")
        ],
    output:
        **figure_files("distributions", "2 Fits"),
    log:
        f"{LOGS}/fig_distributions.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        methods=figure_methods("distributions"),
        criterion=CRITERIA[0],
        code=code("fig_distributions"),
    message:
        "Drawing the scatter of realisations"
    script:
        "../../scripts/fig_distributions.py"


rule fig_scans:
    input:
        estimates=grid_files("scans"),
    output:
        **figure_files("scans", "3 Grid"),
    log:
        f"{LOGS}/fig_scans.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        figure="scans",
        regions=by_region("scans"),
        code=code("fig_grid"),
    message:
        "Drawing r along the scans of the grid"
    script:
        "../../scripts/fig_grid.py"


use rule fig_scans as fig_variance_and_r with:
    input:
        estimates=grid_files("variance_and_r"),
    output:
        **figure_files("variance_and_r", "3 Grid"),
    log:
        f"{LOGS}/fig_variance_and_r.log",
    params:
        figure="variance_and_r",
        regions=by_region("variance_and_r"),
    message:
        "Drawing r against the variance of the CMB"


use rule fig_scans as fig_r_and_patches with:
    input:
        estimates=grid_files("r_and_patches"),
    output:
        **figure_files("r_and_patches", "3 Grid"),
    log:
        f"{LOGS}/fig_r_and_patches.log",
    params:
        figure="r_and_patches",
        regions=by_region("r_and_patches"),
    message:
        "Drawing r against the number of patches"


rule fig_residual_spectra:
    input:
        **judged_tables("residual_spectra", "spectra"),
    output:
        **figure_files("residual_spectra", "4 Residual spectra"),
    log:
        f"{LOGS}/fig_residual_spectra.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        judged=figure_judged("residual_spectra"),
        criterion=CRITERIA[0],
        kinds=RESIDUALS,
        code=code("fig_residual_spectra"),
    message:
        "Drawing residual spectra"
    script:
        "../../scripts/fig_residual_spectra.py"


use rule fig_residual_spectra as fig_binned_spectra with:
    input:
        **judged_tables("binned_spectra", "spectra"),
    output:
        **figure_files("binned_spectra", "4 Residual spectra"),
    log:
        f"{LOGS}/fig_binned_spectra.log",
    params:
        judged=figure_judged("binned_spectra"),
        kinds=["systematic", "statistical"],
    message:
        "Drawing residual spectra of binned parameters"


use rule fig_residual_spectra as fig_input_r_spectra with:
    input:
        **judged_tables("input_r_spectra", "spectra"),
    output:
        **figure_files("input_r_spectra", "4 Residual spectra"),
    log:
        f"{LOGS}/fig_input_r_spectra.log",
    params:
        judged=figure_judged("input_r_spectra"),
        kinds=["observed", "systematic", "statistical"],
    message:
        "Drawing spectra of skies with and without tensors"


rule fig_r_likelihoods:
    input:
        **judged_tables("r_likelihoods", "curves"),
    output:
        **figure_files("r_likelihoods", "5 r"),
    log:
        f"{LOGS}/fig_r_likelihoods.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        judged=figure_judged("r_likelihoods"),
        criterion=CRITERIA[0],
        code=code("fig_r_likelihoods"),
    message:
        "Drawing likelihoods of r"
    script:
        "../../scripts/fig_r_likelihoods.py"


use rule fig_r_likelihoods as fig_few_and_many_patches with:
    input:
        **judged_tables("few_and_many_patches", "curves"),
    output:
        **figure_files("few_and_many_patches", "5 r"),
    log:
        f"{LOGS}/fig_few_and_many_patches.log",
    params:
        judged=figure_judged("few_and_many_patches"),
    message:
        "Drawing likelihoods of r of few and many patches"


use rule fig_r_likelihoods as fig_input_r_likelihoods with:
    input:
        **judged_tables("input_r_likelihoods", "curves"),
    output:
        **figure_files("input_r_likelihoods", "5 r"),
    log:
        f"{LOGS}/fig_input_r_likelihoods.log",
    params:
        judged=figure_judged("input_r_likelihoods"),
    message:
        "Drawing likelihoods of r of skies with and without tensors"


rule fig_methods:
    input:
        criteria=f"{RESULTS}/tables/criteria.csv",
        samples=judged_files(figure_judged("methods"), "_samples.parquet"),
    output:
        **figure_files("methods", "5 r"),
    log:
        f"{LOGS}/fig_methods.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        judged=figure_judged("methods"),
        criterion=CRITERIA[0],
        templates=TEMPLATES[0],
        code=code("fig_methods"),
    message:
        "Drawing r of every method"
    script:
        "../../scripts/fig_methods.py"


rule fig_template_errors:
    input:
        criteria=f"{RESULTS}/tables/criteria.csv",
    output:
        **figure_files("template_errors", "5 r"),
    log:
        f"{LOGS}/fig_template_errors.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        style=FIGURE_STYLE,
        judged=figure_judged("template_errors"),
        known=[
            (method, METHODS[method]["errors"].get("temp_dust", 0.0), coherence)
            for method, coherence in template_coherences().items()
        ],
        criterion=CRITERIA[0],
        templates=TEMPLATES[0],
        pixel_weights=PIXEL_WEIGHTS[0],
        code=code("fig_template_errors"),
    message:
        "Drawing what errors of templates do to r"
    script:
        "../../scripts/fig_template_errors.py"


rule fig_criteria:
    input:
        criteria=f"{RESULTS}/tables/criteria.csv",
    output:
        **figure_files("criteria", "5 r"),
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
