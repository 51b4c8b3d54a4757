rule simulate_foregrounds:
    input:
        instrument=ancient(SETTINGS["instrument"]),
    output:
        polarization=f"{RESULTS}/{{sky}}maps/foregrounds.fits",
        intensity=f"{RESULTS}/{{sky}}maps/dust_intensity.fits",
        parameters=f"{RESULTS}/{{sky}}maps/spectral_parameters.fits",
    log:
        f"{LOGS}/{{sky}}simulate_foregrounds.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}simulate_foregrounds.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        foregrounds=lambda wildcards: FOREGROUNDS[wildcards.sky],
        nside=SETTINGS["nside"],
        code=code("simulate_foregrounds", SETTINGS["instrument"]),
    message:
        "Simulating foregrounds: {params.foregrounds}"
    script:
        "../../scripts/simulate_foregrounds.py"


rule compute_cmb_spectra:
    output:
        sky=f"{RESULTS}/spectra/cmb_consistent.csv",
        published=f"{RESULTS}/spectra/cmb_published.csv",
    log:
        f"{LOGS}/compute_cmb_spectra.log",
    benchmark:
        f"{BENCHMARKS}/compute_cmb_spectra.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        cosmology=SETTINGS["cmb"]["cosmology"],
        nside=SETTINGS["nside"],
        code=code("compute_cmb_spectra"),
    message:
        "Computing CMB spectra with CAMB"
    script:
        "../../scripts/compute_cmb_spectra.py"


rule simulate_cmb:
    input:
        spectra=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        cmb=f"{RESULTS}/{{trial}}maps/cmb.fits",
    log:
        f"{LOGS}/{{trial}}simulate_cmb.log",
    benchmark:
        f"{BENCHMARKS}/{{trial}}simulate_cmb.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        seed=lambda wildcards: TRIALS[wildcards.trial]["cmb_seed"],
        r=lambda wildcards: TRIALS[wildcards.trial]["r"],
        nside=SETTINGS["nside"],
        code=code("simulate_cmb"),
    message:
        "Drawing the CMB sky: r = {params.r}, seed {params.seed}"
    script:
        "../../scripts/simulate_cmb.py"
