rule compute_cmb_spectra:
    output:
        consistent=f"{RESULTS}/spectra/cmb_consistent.csv",
        published=f"{RESULTS}/spectra/cmb_published.csv",
    log:
        f"{LOGS}/compute_cmb_spectra.log",
    benchmark:
        f"{BENCHMARKS}/compute_cmb_spectra.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        cosmology=SETTINGS["cmb"]["cosmology"],
        nside=SETTINGS["nside"],
        code=code("compute_cmb_spectra"),
    message:
        "Computing CMB spectra with CAMB"
    script:
        "../../scripts/compute_cmb_spectra.py"
