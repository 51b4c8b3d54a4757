# A trial is a sky: that of choosing, or one of a judging set. Its files lie in a folder of its
# own, with the same layout. Every configuration that some criterion has chosen is fitted to it,
# and the regions are put together to one map.
rule clean_sky:
    input:
        unpack(sky_files),
        unpack(foreground_model),
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        cmb=f"{RESULTS}/{{trial}}maps/cmb.fits",
        choices=f"{RESULTS}/choices/{{method}}.csv",
    output:
        spectra=f"{RESULTS}/{{trial}}residuals/{{method}}_cleaned.parquet",
        maps=f"{RESULTS}/{{trial}}maps/recovered_{{method}}.fits",
    log:
        f"{LOGS}/{{trial}}clean_sky/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/{{trial}}clean_sky/{{method}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        fit_memory_mb=lambda wildcards, attempt: FIT_MEMORY_MB // attempt,
    params:
        patches=lambda wildcards: patch_options(wildcards.method),
        patch_seed=patch_seed,
        n_realizations=lambda wildcards: TRIALS[wildcards.trial]["realizations"],
        noise_seed=lambda wildcards: TRIALS[wildcards.trial]["noise_seed"],
        regions=REGIONS,
        zones=SETTINGS["regions"]["zones"],
        fit=FIT,
        shrinkage=lambda wildcards: METHODS[wildcards.method]["shrinkage"],
        spectra=SPECTRA,
        pixel_weights=PIXEL_WEIGHTS,
        rehearsal=lambda wildcards: rehearsal_options(wildcards.method),
        code=code("clean_sky", SETTINGS["instrument"]),
    message:
        "Cleaning the whole sky: {wildcards.method} {wildcards.trial}"
    script:
        "../../scripts/clean_sky.py"


rule judge:
    input:
        trials=set_files,
        choices=f"{RESULTS}/choices/{{method}}.csv",
        bands=expand(
            f"{RESULTS}/spectra/bands/{{templates}}/{{area}}.csv",
            templates=TEMPLATES,
            area=AREAS,
        ),
    output:
        estimates=f"{RESULTS}/judged/{{set}}/{{method}}.csv",
        samples=f"{RESULTS}/judged/{{set}}/{{method}}_samples.parquet",
        curves=f"{RESULTS}/judged/{{set}}/{{method}}_curves.parquet",
        spectra=f"{RESULTS}/judged/{{set}}/{{method}}_spectra.parquet",
    log:
        f"{LOGS}/judge/{{set}}/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/judge/{{set}}/{{method}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        pixel_weights=PIXEL_WEIGHTS,
        foreground_residual=FOREGROUND_RESIDUAL,
        amplitude_scatter=SETTINGS["likelihood"]["amplitude_scatter"],
        statistical=SETTINGS["likelihood"]["statistical"],
        r_input=lambda wildcards: R_INPUT[wildcards.set],
        r_grid=SETTINGS["likelihood"]["r_grid"],
        bootstrap=SETTINGS["likelihood"]["bootstrap"],
        code=code("judge"),
    message:
        "Judging on {wildcards.set}: {wildcards.method}"
    script:
        "../../scripts/judge.py"
