# Every configuration that some criterion has selected is fitted to a training or test sky, and the
# regions are put together to one map.
rule clean_sky:
    input:
        unpack(PLAN.templates),
        unpack(PLAN.foreground_model),
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=foregrounds_of,
        cmb=f"{RESULTS}/{{sky}}maps/cmb.fits",
        selected=f"{RESULTS}/selected/{{method}}.csv",
    output:
        spectra=f"{RESULTS}/{{sky}}residuals/{{method}}_cleaned.parquet",
        maps=f"{RESULTS}/{{sky}}maps/recovered_{{method}}.fits",
    log:
        f"{LOGS}/{{sky}}clean_sky/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}clean_sky/{{method}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.patch_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=more_each_attempt(8000),
        runtime=more_each_attempt(60),
        fit_memory_mb=fit_memory,
    params:
        patches=PLAN.patch_options,
        patch_seed=PLAN.patch_seed,
        n_realizations=lambda wildcards: PLAN.skies[wildcards.sky].realizations,
        noise_seed=lambda wildcards: PLAN.skies[wildcards.sky].noise_seed,
        model=PLAN.model_settings,
        fit=PLAN.fit,
        spectra=PLAN.spectra,
        pixel_weights=SETTINGS["spectra"]["pixel_weights"],
        mocks=PLAN.mock_options,
        code=code("clean_sky", *INSTRUMENT_FILES),
    message:
        "Cleaning the whole sky: {wildcards.method} {wildcards.sky}"
    script:
        "../../scripts/clean_sky.py"


# Fields are measured on one observation, and all realisations are fitted with them; all regions
# are one sky.
rule clean_sky_with_fields:
    input:
        unpack(PLAN.templates),
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=foregrounds_of,
        cmb=f"{RESULTS}/{{sky}}maps/cmb.fits",
    output:
        spectra=f"{RESULTS}/{{sky}}residuals/{{method}}_cleaned.parquet",
        maps=f"{RESULTS}/{{sky}}maps/recovered_{{method}}.fits",
        parameters=f"{RESULTS}/{{sky}}fields/{{method}}.csv",
        spectra_of_parameters=f"{RESULTS}/{{sky}}fields/{{method}}_spectra.csv",
        moments=f"{RESULTS}/{{sky}}fields/{{method}}_moments.csv",
        nuisance=f"{RESULTS}/{{sky}}fields/{{method}}_nuisance.csv",
    log:
        f"{LOGS}/{{sky}}clean_sky/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}clean_sky/{{method}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.field_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(60),
    params:
        fields=PLAN.field_options,
        configuration=lambda wildcards: PLAN.configurations(
            wildcards.method, COMBINED
        )[0],
        patch_seed=PLAN.patch_seed,
        n_realizations=lambda wildcards: PLAN.skies[wildcards.sky].realizations,
        noise_seed=lambda wildcards: PLAN.skies[wildcards.sky].noise_seed,
        model=PLAN.model_settings,
        fit=PLAN.fit,
        spectra=PLAN.spectra,
        pixel_weights=SETTINGS["spectra"]["pixel_weights"],
        mocks=PLAN.mock_options,
        code=code("clean_sky_with_fields", *INSTRUMENT_FILES),
    message:
        "Cleaning the whole sky with fields: {wildcards.method} {wildcards.sky}"
    script:
        "../../scripts/clean_sky_with_fields.py"


# Bands are weighed, by another code: nothing is fitted, and there are no mock skies.
rule clean_sky_with_ilc:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=foregrounds_of,
        cmb=f"{RESULTS}/{{sky}}maps/cmb.fits",
        theory=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        spectra=f"{RESULTS}/{{sky}}residuals/{{method}}_cleaned.parquet",
        maps=f"{RESULTS}/{{sky}}maps/recovered_{{method}}.fits",
    log:
        f"{LOGS}/{{sky}}clean_sky/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}clean_sky/{{method}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.ilc_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
    params:
        ilc=lambda wildcards: PLAN.methods[wildcards.method]["strategy"],
        configuration=lambda wildcards: PLAN.configurations(
            wildcards.method, COMBINED
        )[0],
        n_realizations=lambda wildcards: PLAN.skies[wildcards.sky].realizations,
        noise_seed=lambda wildcards: PLAN.skies[wildcards.sky].noise_seed,
        spectra=PLAN.spectra,
        pixel_weights=PLAN.pixel_weights,
        code=code("clean_sky_with_ilc", *INSTRUMENT_FILES),
    message:
        "Cleaning the whole sky with an ILC: {wildcards.method} {wildcards.sky}"
    script:
        "../../scripts/clean_sky_with_ilc.py"
