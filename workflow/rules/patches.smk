rule prepare_templates:
    input:
        unpack(template_sources),
    output:
        templates=f"{RESULTS}/{{trial}}maps/templates_{{method}}.fits",
    log:
        f"{LOGS}/{{trial}}prepare_templates/{{method}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=lambda wildcards: {
            "nside": SETTINGS["nside"],
            "errors": errors_to_add(wildcards.method),
            **{
                key: METHODS[wildcards.method][key]
                for key in ("smoothing", "coherence")
            },
        },
        seed=patch_seed,
        code=code("prepare_templates"),
    message:
        "Preparing templates: {wildcards.method} {wildcards.trial}"
    script:
        "../../scripts/prepare_templates.py"


rule draw_patches:
    input:
        unpack(lambda wildcards: guide_map(wildcards.method, trial="", sky="")),
        regions=f"{RESULTS}/maps/regions.fits",
    output:
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
    log:
        f"{LOGS}/draw_patches/{{method}}/{{region}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_patches/{{method}}/{{region}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        patches=lambda wildcards: patch_options(wildcards.method),
        seed=lambda wildcards: METHODS[wildcards.method]["seed"],
        values=lambda wildcards: values_of(region_configurations(wildcards)),
        zones=SETTINGS["regions"]["zones"],
        code=code("draw_patches"),
    message:
        "Dividing {wildcards.region} into patches: {wildcards.method}"
    script:
        "../../scripts/draw_patches.py"
