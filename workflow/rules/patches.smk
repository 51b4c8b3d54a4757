rule draw_patches:
    message:
        "Dividing {wildcards.region} into patches: {wildcards.method}"
    input:
        regions=f"{RESULTS}/maps/regions.fits",
    output:
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
    params:
        strategy=lambda wildcards: METHODS[wildcards.method]["strategy"],
        seed=lambda wildcards: METHODS[wildcards.method]["seed"],
        values=patch_values,
        zones=SETTINGS["regions"]["zones"],
    log:
        f"{LOGS}/draw_patches/{{method}}/{{region}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_patches/{{method}}/{{region}}.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/draw_patches.py"
