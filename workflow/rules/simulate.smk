rule simulate_foregrounds:
    input:
        instrument=ancient(INSTRUMENT),
    output:
        polarization=f"{RESULTS}/{{galaxy}}maps/foregrounds.fits",
        intensity=f"{RESULTS}/{{galaxy}}maps/dust_intensity.fits",
        parameters=f"{RESULTS}/{{galaxy}}maps/spectral_parameters.fits",
    log:
        f"{LOGS}/{{galaxy}}simulate_foregrounds.log",
    benchmark:
        f"{BENCHMARKS}/{{galaxy}}simulate_foregrounds.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        foregrounds=lambda wildcards: PLAN.galaxies[wildcards.galaxy],
        model=PLAN.components,
        nside=SETTINGS["nside"],
        resolution=SETTINGS.get("resolution"),
        templates=lambda wildcards: templates_of(PLAN.galaxies[wildcards.galaxy]),
        code=code("simulate_foregrounds", *INSTRUMENT_FILES),
    message:
        "Simulating foregrounds: {params.foregrounds}"
    script:
        "../../scripts/simulate_foregrounds.py"


rule simulate_cmb:
    input:
        spectra=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        cmb=f"{RESULTS}/{{sky}}maps/cmb.fits",
    log:
        f"{LOGS}/{{sky}}simulate_cmb.log",
    benchmark:
        f"{BENCHMARKS}/{{sky}}simulate_cmb.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        seed=lambda wildcards: PLAN.skies[wildcards.sky].cmb_seed,
        r=lambda wildcards: PLAN.skies[wildcards.sky].r,
        nside=SETTINGS["nside"],
        resolution=SETTINGS.get("resolution"),
        code=code("simulate_cmb"),
    message:
        "Drawing the CMB sky: r = {params.r}, seed {params.seed}"
    script:
        "../../scripts/simulate_cmb.py"
