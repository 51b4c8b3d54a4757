rule draw_regions:
    input:
        **all_given(PLAN.region_input()),
        # Where it has maps of its noise, regions have only what enough bands see.
        instrument=ancient(INSTRUMENT if NOISE_MAPS else []),
    output:
        regions=f"{RESULTS}/maps/regions.fits",
    log:
        f"{LOGS}/draw_regions.log",
    benchmark:
        f"{BENCHMARKS}/draw_regions.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        # Which file the masks are from, the input says.
        regions={
            key: value
            for key, value in SETTINGS["regions"].items()
            if key != "mask_file"
        },
        content=lambda wildcards: contents_of(PLAN.region_input()),
        noise=lambda wildcards: contents_of(dict(zip(NOISE_MAPS, NOISE_MAPS))),
        # One more than components, with the CMB.
        fewest_bands=2 + len(SETTINGS["components"]),
        nside=SETTINGS["nside"],
        code=code("draw_regions"),
    message:
        "Drawing Galactic regions: {params.regions[method]}"
    script:
        "../../scripts/draw_regions.py"
