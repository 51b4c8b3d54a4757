rule prepare_templates:
    input:
        unpack(lambda wildcards: all_given(PLAN.template_sources(wildcards))),
    output:
        templates=f"{RESULTS}/{{sky}}maps/templates_{{method}}.fits",
    log:
        f"{LOGS}/{{sky}}prepare_templates/{{method}}.log",
    conda:
        "../../envs/environment.yaml"
    params:
        options=PLAN.template_options,
        content=lambda wildcards: contents_of(PLAN.template_sources(wildcards)),
        seed=PLAN.patch_seed,
        model=PLAN.components,
        code=code("prepare_templates"),
    message:
        "Preparing templates: {wildcards.method} {wildcards.sky}"
    script:
        "../../scripts/prepare_templates.py"


rule draw_patches:
    input:
        unpack(PLAN.templates),
        regions=f"{RESULTS}/maps/regions.fits",
    output:
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
    log:
        f"{LOGS}/draw_patches/{{method}}/{{region}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_patches/{{method}}/{{region}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        patches=PLAN.patch_options,
        seed=PLAN.patch_seed,
        values=PLAN.values,
        code=code("draw_patches"),
    message:
        "Dividing {wildcards.region} into patches: {wildcards.method}"
    script:
        "../../scripts/draw_patches.py"
