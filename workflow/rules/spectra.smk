rule bin_templates:
    input:
        regions=f"{RESULTS}/maps/regions.fits",
        templates=f"{RESULTS}/spectra/cmb_{{templates}}.csv",
        sky_templates=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        bands=f"{RESULTS}/spectra/bands/{{templates}}/{{area}}.csv",
    log:
        f"{LOGS}/bin_templates/{{templates}}/{{area}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        zones=SETTINGS["regions"]["zones"],
        spectra=SPECTRA,
        modes=SETTINGS["spectra"]["modes"],
        code=code("bin_templates"),
    message:
        "Binning templates: {wildcards.templates}, {wildcards.area}"
    script:
        "../../scripts/bin_templates.py"
