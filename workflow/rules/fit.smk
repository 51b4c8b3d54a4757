# A shard is some of one region's configurations of one method × some noise realisations. Each
# finished configuration is kept in `folder`: a shard that runs again computes what is new.
rule fit_patches:
    input:
        instrument=ancient(INSTRUMENT),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/{{sky}}maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
    output:
        shard=f"{RESULTS}/{{sky}}fits/{{method}}/{{region}}/{{realizations}}/shard-{{shard}}.parquet",
    log:
        f"{LOGS}/fit_patches/{{sky}}{{method}}/{{region}}/{{realizations}}/shard-{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_patches/{{sky}}{{method}}/{{region}}/{{realizations}}/shard-{{shard}}.tsv"
    wildcard_constraints:
        sky=one_of(PLAN.gridded),
    conda:
        "../../envs/environment.yaml"
    # One: several shards side by side are faster than one on several cores.
    threads: 1
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(240),
        fit_memory_mb=fit_memory,
    params:
        configurations=PLAN.shard_configurations,
        realizations=lambda w: PLAN.realization_shards(w.sky)[w.realizations],
        noise_seed=lambda wildcards: PLAN.gridded[wildcards.sky].noise_seed,
        model=PLAN.model_settings,
        fit=PLAN.fit | {"propagation": SETTINGS["fit"]["propagation"]},
        spectra=PLAN.spectra,
        cross_validation=lambda wildcards: PLAN.cross_validated(wildcards.sky),
        folder=f"{RESULTS_HERE}/{{sky}}fits/{{method}}/{{region}}/{{realizations}}/configurations",
        progress=f"{RESULTS_HERE}/logs/fit_patches/{{sky}}{{method}}/{{region}}/{{realizations}}/shard-{{shard}}.progress.json",
        code=code("fit_patches", *INSTRUMENT_FILES),
    message:
        "Fitting {wildcards.region}, {wildcards.method}: {wildcards.realizations}, shard {wildcards.shard} {wildcards.sky}"
    script:
        "../../scripts/fit_patches.py"


rule gather_residuals:
    input:
        shards=PLAN.shard_files,
    output:
        spectra=f"{RESULTS}/{{sky}}residuals/{{method}}/{{region}}_spectra.parquet",
        metrics=f"{RESULTS}/{{sky}}residuals/{{method}}/{{region}}_metrics.parquet",
    log:
        f"{LOGS}/{{sky}}gather_residuals/{{method}}/{{region}}.log",
    wildcard_constraints:
        sky=one_of(PLAN.gridded),
    conda:
        "../../envs/environment.yaml"
    params:
        configurations=lambda w: PLAN.configurations(w.method, w.region),
        code=code("gather_residuals"),
    message:
        "Gathering residuals in {wildcards.region}: {wildcards.method} {wildcards.sky}"
    script:
        "../../scripts/gather_residuals.py"
