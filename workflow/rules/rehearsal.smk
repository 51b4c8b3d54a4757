# What one observation of a trial tells of its foregrounds; nothing in it is known from the truth.
rule study_sky:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=lambda wildcards: f"{RESULTS}/{foreground_folder(wildcards.trial)}maps/foregrounds.fits",
        cmb=f"{RESULTS}/{{trial}}maps/cmb.fits",
    output:
        model=f"{RESULTS}/{{trial}}maps/foreground_model.fits",
    log:
        f"{LOGS}/{{trial}}study_sky.log",
    benchmark:
        f"{BENCHMARKS}/{{trial}}study_sky.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        fit_memory_mb=lambda wildcards, attempt: FIT_MEMORY_MB // attempt,
    params:
        regions=REGIONS,
        zones=SETTINGS["regions"]["zones"],
        noise_seed=lambda wildcards: TRIALS[wildcards.trial]["noise_seed"],
        seed=REHEARSAL["seed"],
        fit=FIT,
        code=code("study_sky", SETTINGS["instrument"]),
    message:
        "Studying one observation {wildcards.trial}"
    script:
        "../../scripts/study_sky.py"


# Skies made like that of choosing, on which the grid is tried out.
rule rehearse:
    input:
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        model=f"{RESULTS}/maps/foreground_model.fits",
    output:
        foregrounds=f"{RESULTS}/rehearsal/sky_{{number}}/maps/foregrounds.fits",
    log:
        f"{LOGS}/rehearse/sky_{{number}}.log",
    benchmark:
        f"{BENCHMARKS}/rehearse/sky_{{number}}.tsv"
    wildcard_constraints:
        number=r"\d+",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        seed=REHEARSAL["seed"],
        bounds=FIT["bounds"],
        code=code("rehearse", SETTINGS["instrument"]),
    message:
        "Making a sky like the observed one: {wildcards.number}"
    script:
        "../../scripts/rehearse.py"
