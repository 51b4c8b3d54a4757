# Planck's masks need no dust intensity: changing the foregrounds then leaves the regions.
REGION_INPUT = (
    {"intensity": f"{RESULTS}/maps/dust_intensity.fits"}
    if SETTINGS["regions"]["method"] == "dust_intensity"
    else {"masks": str(find_mask_file(SETTINGS["regions"]["mask_file"]))}
)


rule draw_regions:
    message:
        "Drawing Galactic regions: {params.regions[method]}"
    input:
        **REGION_INPUT,
    output:
        regions=f"{RESULTS}/maps/regions.fits",
    params:
        regions=SETTINGS["regions"],
        nside=SETTINGS["nside"],
    log:
        f"{LOGS}/draw_regions.log",
    benchmark:
        f"{BENCHMARKS}/draw_regions.tsv"
    resources:
        mem_mb=4000,
        runtime=15,
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/draw_regions.py"
