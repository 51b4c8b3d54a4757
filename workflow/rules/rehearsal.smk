# Skies made like the observed one, on which the grid is tried out: nothing in them is known from
# the truth. The rules of the grid then run on them as on the sky of choosing.
rule rehearse:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
    output:
        foregrounds=[f"{RESULTS}/{grid}maps/foregrounds.fits" for grid in REHEARSALS],
        scatter=f"{RESULTS}/rehearsal/scatter.csv",
    log:
        f"{LOGS}/rehearse.log",
    benchmark:
        f"{BENCHMARKS}/rehearse.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        fit_memory_mb=lambda wildcards, attempt: FIT_MEMORY_MB // attempt,
    params:
        regions=REGIONS,
        zones=SETTINGS["regions"]["zones"],
        noise_seed=SETTINGS["noise"]["seed"],
        n_realizations=SETTINGS["noise"]["realizations"],
        seed=REHEARSAL["seed"],
        fit=FIT,
        code=code("rehearse", SETTINGS["instrument"]),
    message:
        "Making skies like the observed one"
    script:
        "../../scripts/rehearse.py"
