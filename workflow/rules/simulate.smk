rule simulate_foregrounds:
    message:
        "Simulating foregrounds: {params.foregrounds}"
    input:
        instrument=SETTINGS["instrument"],
    output:
        polarization=f"{RESULTS}/maps/foregrounds.fits",
        intensity=f"{RESULTS}/maps/dust_intensity.fits",
        parameters=f"{RESULTS}/maps/spectral_parameters.fits",
    params:
        foregrounds=SETTINGS["foregrounds"],
        nside=SETTINGS["nside"],
    log:
        f"{LOGS}/simulate_foregrounds.log",
    benchmark:
        f"{BENCHMARKS}/simulate_foregrounds.tsv"
    resources:
        mem_mb=4000,
        runtime=30,
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/simulate_foregrounds.py"


rule compute_cmb_spectra:
    message:
        "Computing CMB spectra with CAMB"
    output:
        sky=f"{RESULTS}/spectra/cmb_consistent.csv",
        published=f"{RESULTS}/spectra/cmb_published.csv",
    params:
        cosmology=SETTINGS["cmb"]["cosmology"],
        nside=SETTINGS["nside"],
    log:
        f"{LOGS}/compute_cmb_spectra.log",
    benchmark:
        f"{BENCHMARKS}/compute_cmb_spectra.tsv"
    resources:
        mem_mb=2000,
        runtime=15,
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/compute_cmb_spectra.py"


rule simulate_cmb:
    message:
        "Drawing the CMB sky: r = {params.r}, seed {params.seed}"
    input:
        spectra=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        cmb=f"{RESULTS}/maps/cmb.fits",
    params:
        seed=SETTINGS["cmb"]["seed"],
        r=SETTINGS["cmb"]["r"],
        nside=SETTINGS["nside"],
    log:
        f"{LOGS}/simulate_cmb.log",
    benchmark:
        f"{BENCHMARKS}/simulate_cmb.tsv"
    resources:
        mem_mb=2000,
        runtime=15,
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/simulate_cmb.py"
