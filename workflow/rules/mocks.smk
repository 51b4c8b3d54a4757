# What one observation of a sky tells of its foregrounds; nothing in it is known from the truth.
rule fit_foreground_model:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=foregrounds_of,
        cmb=f"{RESULTS}/{{sky}}maps/cmb.fits",
    output:
        foreground_model=f"{RESULTS}/{{sky}}maps/foreground_model.fits",
    log:
        f"{LOGS}/{{sky}}fit_foreground_model.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}fit_foreground_model.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
        fit_memory_mb=fit_memory,
    params:
        noise_seed=lambda wildcards: PLAN.skies[wildcards.sky].noise_seed,
        seed=SETTINGS["mocks"]["seed"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("fit_foreground_model", *INSTRUMENT_FILES),
    message:
        "Fitting a foreground model to one observation {wildcards.sky}"
    script:
        "../../scripts/fit_foreground_model.py"


# Mock skies are like the training sky; the grid is fitted to them too.
rule draw_mock:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        foreground_model=f"{RESULTS}/maps/foreground_model.fits",
    output:
        foregrounds=f"{RESULTS}/mocks/sky_{{number}}/maps/foregrounds.fits",
    log:
        f"{LOGS}/draw_mock/sky_{{number}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_mock/sky_{{number}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        seed=SETTINGS["mocks"]["seed"],
        model=PLAN.model_settings,
        code=code("draw_mock", *INSTRUMENT_FILES),
    message:
        "Drawing a mock sky from the foreground model: {wildcards.number}"
    script:
        "../../scripts/draw_mock.py"
