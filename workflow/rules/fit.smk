# A shard is a part of one region's configurations of one method × some noise realisations.
# Each finished configuration is kept in `folder`: a shard that runs again computes what is new.
rule fit_patches:
    input:
        # A prior, the same for the sky of choosing and its rehearsals.
        unpack(foreground_model),
        instrument=ancient(SETTINGS["instrument"]),
        regions=f"{RESULTS}/maps/regions.fits",
        foregrounds=f"{RESULTS}/{{grid}}maps/foregrounds.fits",
        cmb=f"{RESULTS}/maps/cmb.fits",
        patches=f"{RESULTS}/patches/{{method}}/{{region}}.fits",
    output:
        shard=f"{RESULTS}/{{grid}}fits/{{method}}/{{region}}/{{chunk}}/{{part}}.parquet",
    log:
        f"{LOGS}/fit_patches/{{grid}}{{method}}/{{region}}/{{chunk}}/{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_patches/{{grid}}{{method}}/{{region}}/{{chunk}}/{{part}}.tsv"
    conda:
        "../../envs/environment.yaml"
    # One: several shards side by side are faster than one on several cores.
    threads: 1
    # Each attempt has more memory and time than the one before, and fits fewer at once.
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
        # Here and not in params: it does not change results.
        fit_memory_mb=lambda wildcards, attempt: FIT_MEMORY_MB // attempt,
    params:
        configurations=shard_configurations,
        realizations=lambda wildcards: CHUNKS[wildcards.grid][wildcards.chunk],
        noise_seed=lambda wildcards: GRIDS[wildcards.grid]["noise_seed"],
        zones=SETTINGS["regions"]["zones"],
        fit=FIT | {"propagation": SETTINGS["fit"]["propagation"]},
        shrinkage=lambda wildcards: METHODS[wildcards.method]["shrinkage"],
        spectra=SPECTRA,
        held_out=lambda wildcards: GRIDS[wildcards.grid]["held_out"],
        folder=f"{RESULTS}/{{grid}}fits/{{method}}/{{region}}/{{chunk}}/configurations",
        progress=f"{LOGS}/fit_patches/{{grid}}{{method}}/{{region}}/{{chunk}}/{{part}}.progress.json",
        code=code("fit_patches", SETTINGS["instrument"]),
    message:
        "Fitting {wildcards.region}, {wildcards.method}: {wildcards.chunk}, {wildcards.part} {wildcards.grid}"
    script:
        "../../scripts/fit_patches.py"
