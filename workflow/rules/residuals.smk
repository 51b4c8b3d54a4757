rule gather_residuals:
    input:
        shards=expand(
            f"{RESULTS}/fits/{{{{method}}}}/{{{{region}}}}/{{chunk}}/{{part}}.parquet",
            chunk=CHUNKS,
            part=PARTS,
        ),
    output:
        spectra=f"{RESULTS}/residuals/{{method}}/{{region}}_spectra.parquet",
        metrics=f"{RESULTS}/residuals/{{method}}/{{region}}_metrics.parquet",
    log:
        f"{LOGS}/gather_residuals/{{method}}/{{region}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        configurations=region_configurations,
        code=code("gather_residuals"),
    message:
        "Gathering residuals in {wildcards.region}: {wildcards.method}"
    script:
        "../../scripts/gather_residuals.py"


# Spectra of all regions combined are those of the combined map, in which every region has
# the configuration that its own r likelihood prefers, fitted again for its maps.
rule combine_regions:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        patches=expand(
            f"{RESULTS}/patches/{{{{method}}}}/{{region}}.fits", region=REGIONS
        ),
        metrics=expand(
            f"{RESULTS}/residuals/{{{{method}}}}/{{region}}_metrics.parquet",
            region=REGIONS,
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
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        fit_memory_mb=lambda wildcards, attempt: FIT_MEMORY_MB // attempt,
    params:
        configurations=configurations_by_region,
        n_realizations=SETTINGS["noise"]["realizations"],
        noise_seed=SETTINGS["noise"]["seed"],
        zones=SETTINGS["regions"]["zones"],
        nside=SETTINGS["nside"],
        fit=FIT,
        code=code("combine_regions", SETTINGS["instrument"]),
    message:
        "Combining regions: {wildcards.method}"
    script:
        "../../scripts/combine_regions.py"
