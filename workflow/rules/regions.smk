rule draw_regions:
    input:
        **all_given(PLAN.region_input()),
        # Where it has maps of its noise, regions have only what enough bands see.
        instrument=ancient(INSTRUMENT if NOISE_MAPS else []),
        observed=[PLAN.observed_maps["maps"]] if PLAN.is_observed else [],
    output:
        regions=f"{RESULTS}/maps/regions.fits",
    log:
        f"{LOGS}/draw_regions.log",
    benchmark:
        f"{BENCHMARKS}/draw_regions.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        # Which files they are drawn from, the input says.
        regions=without_files(SETTINGS["regions"]),
        content=lambda wildcards: contents_of(PLAN.region_input()),
        noise=lambda wildcards: contents_of(dict(zip(NOISE_MAPS, NOISE_MAPS))),
        fewest_bands=fewest_bands(SETTINGS["components"]),
        nside=SETTINGS["nside"],
        code=code("draw_regions"),
    message:
        "Drawing regions of the sky: {params.regions[method]}"
    script:
        "../../scripts/draw_regions.py"
