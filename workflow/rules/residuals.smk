rule measure_residuals:
    input:
        instrument=SETTINGS["instrument"],
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
        fits=expand(
            f"{RESULTS}/fits/{{{{method}}}}/{{{{region}}}}/{{shard}}.parquet",
            shard=SHARDS,
        ),
    output:
        spectra=f"{RESULTS}/residuals/{{method}}/{{region}}_spectra.parquet",
        metrics=f"{RESULTS}/residuals/{{method}}/{{region}}_metrics.parquet",
    log:
        f"{LOGS}/measure_residuals/{{method}}/{{region}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_residuals/{{method}}/{{region}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        configurations=region_configurations,
        n_realizations=SETTINGS["noise"]["realizations"],
        noise_seed=SETTINGS["noise"]["seed"],
        zones=SETTINGS["regions"]["zones"],
    message:
        "Measuring residuals in {wildcards.region}: {wildcards.method}"
    script:
        "../../scripts/measure_residuals.py"


# Spectra of all regions combined are those of the combined map, in which every region has
# the configuration that its own r likelihood prefers.
rule combine_regions:
    input:
        instrument=SETTINGS["instrument"],
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        patches=expand(
            f"{RESULTS}/patches/{{{{method}}}}/{{region}}.fits", region=REGIONS
        ),
        fits=expand(
            f"{RESULTS}/fits/{{{{method}}}}/{{region}}/{{shard}}.parquet",
            region=REGIONS,
            shard=SHARDS,
        ),
        choices=contested_estimates,
    output:
        spectra=f"{RESULTS}/residuals/{{method}}/combined_spectra.parquet",
        metrics=f"{RESULTS}/residuals/{{method}}/combined_metrics.parquet",
        maps=f"{RESULTS}/maps/recovered_{{method}}.fits",
    log:
        f"{LOGS}/combine_regions/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/combine_regions/{{method}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        configurations=configurations_by_region,
        n_realizations=SETTINGS["noise"]["realizations"],
        noise_seed=SETTINGS["noise"]["seed"],
        zones=SETTINGS["regions"]["zones"],
        nside=SETTINGS["nside"],
    message:
        "Combining regions: {wildcards.method}"
    script:
        "../../scripts/combine_regions.py"
