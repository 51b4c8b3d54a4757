# Planck's masks need no dust intensity: changing the foregrounds then leaves the regions.
REGION_INPUT = (
    {"intensity": f"{RESULTS}/maps/dust_intensity.fits"}
    if SETTINGS["regions"]["method"] == "dust_intensity"
    else {"masks": str(find_mask_file(SETTINGS["regions"]["mask_file"]))}
)


rule draw_regions:
    input:
        **REGION_INPUT,
    output:
        regions=f"{RESULTS}/maps/regions.fits",
    log:
        f"{LOGS}/draw_regions.log",
    benchmark:
        f"{BENCHMARKS}/draw_regions.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        regions=SETTINGS["regions"],
        nside=SETTINGS["nside"],
        code=code("draw_regions"),
    message:
        "Drawing Galactic regions: {params.regions[method]}"
    script:
        "../../scripts/draw_regions.py"
