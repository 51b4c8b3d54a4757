rule draw_regions:
    input:
        **all_given(PLAN.region_input()),
    output:
        regions=f"{RESULTS}/maps/regions.fits",
    log:
        f"{LOGS}/draw_regions.log",
    benchmark:
        f"{BENCHMARKS}/draw_regions.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        regions=SETTINGS["regions"],
        nside=SETTINGS["nside"],
        code=code("draw_regions"),
    message:
        "Drawing Galactic regions: {params.regions[method]}"
    script:
        "../../scripts/draw_regions.py"
