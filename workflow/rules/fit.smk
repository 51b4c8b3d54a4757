# A shard is one region's configurations of one method × some noise realisations, or × the
# foregrounds alone, whose fit gives the systematic residual.
rule fit_patches:
    input:
        unpack(fit_input),
        instrument=SETTINGS["instrument"],
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
    output:
        fits=f"{RESULTS}/fits/{{method}}/{{region}}/{{shard}}.parquet",
    log:
        f"{LOGS}/fit_patches/{{method}}/{{region}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_patches/{{method}}/{{region}}/{{shard}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
        # Here and not in params: it does not change results.
        fit_memory_mb=int(1000 * SETTINGS["fit"]["memory"]),
    params:
        configurations=region_configurations,
        realizations=lambda wildcards: SHARDS[wildcards.shard],
        noise_seed=noise_seed,
        zones=SETTINGS["regions"]["zones"],
        fit=FIT,
    message:
        "Fitting {wildcards.region}, {wildcards.method}: {wildcards.shard}"
    script:
        "../../scripts/fit_patches.py"
