# Maps of the training sky as others hand them out, for codes that are to know nothing else of it,
# and the truth in a folder apart: `snakemake export_maps`, not part of a run.
EXPORTED = f"{RESULTS}/exported"


rule export_training_sky:
    input:
        **TRAINING_SKY,
        parameters=f"{RESULTS}/maps/spectral_parameters.fits",
        spectra=f"{RESULTS}/spectra/cmb_consistent.csv",
    output:
        bands=expand(f"{EXPORTED}/{{name}}", name=band_files(LABELS)),
        instrument=expand(
            f"{EXPORTED}/{{name}}", name=description_files(len(INSTRUMENT))
        ),
        masks=f"{EXPORTED}/masks.fits",
        observation=f"{EXPORTED}/observation.yaml",
        truth=f"{RESULTS}/exported_truth/truth.yaml",
        true_maps=multiext(
            f"{RESULTS}/exported_truth/",
            "cmb.fits",
            "foregrounds.fits",
            "spectral_parameters.fits",
        ),
    log:
        f"{LOGS}/export_training_sky.log",
    benchmark:
        f"{BENCHMARKS}/export_training_sky.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
    params:
        config={key: config[key] for key in (*KEPT, "run", "regions") if key in config},
        areas=PLAN.areas,
        foregrounds=PLAN.galaxies[""],
        model=PLAN.components,
        nside=SETTINGS["nside"],
        resolution=SETTINGS.get("resolution"),
        r=PLAN.skies[""].r,
        cmb_seed=PLAN.skies[""].cmb_seed,
        noise_seed=PLAN.skies[""].noise_seed,
        # The sky is simulated once more, for it has no beam yet.
        templates=lambda wildcards: templates_of(PLAN.galaxies[""]),
        noise=lambda wildcards: contents_of(dict(zip(NOISE_MAPS, NOISE_MAPS))),
        code=code("export_maps", *INSTRUMENT_FILES),
    message:
        "Exporting the maps of the training sky"
    script:
        "../../scripts/export_maps.py"


rule export_maps:
    input:
        rules.export_training_sky.output,
