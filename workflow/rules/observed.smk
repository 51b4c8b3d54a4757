# Observed maps, from files to r, where the configuration has a section `observation`.

# What every job takes of the observation.
OBSERVED_MAPS = {
    "instrument": ancient(INSTRUMENT),
    "regions": f"{RESULTS}/maps/regions.fits",
    **PLAN.observed_maps,
}
OBSERVED = f"{RESULTS}/observed/{{method}}"
THEORY = f"{RESULTS}/spectra/cmb_{PLAN.theory[0]}.csv"


localrules:
    summarize_observation,
    write_certificate,


# The user's files are read here, and nowhere else.
rule read_observation:
    input:
        instrument=ancient(INSTRUMENT),
        files=[given(path) for path in OBSERVED_FILES],
    output:
        **PLAN.observed_maps,
        files=f"{RESULTS}/maps/observed_files.csv",
        warnings=f"{RESULTS}/maps/observed_warnings.txt",
    log:
        f"{LOGS}/read_observation.log",
    benchmark:
        f"{BENCHMARKS}/read_observation.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(60),
    params:
        observation=SETTINGS["observation"],
        content=lambda wildcards: contents_of(dict(zip(OBSERVED_FILES, OBSERVED_FILES))),
        model=PLAN.components,
        nside=SETTINGS["nside"],
        resolution=SETTINGS.get("resolution"),
        code=code("read_observation", *INSTRUMENT_FILES),
    message:
        "Reading observed maps"
    script:
        "../../scripts/read_observation.py"


# One page, before anything is made of them: `snakemake inspect`, not part of a run.
rule inspect_observation:
    input:
        **OBSERVED_MAPS,
        files=f"{RESULTS}/maps/observed_files.csv",
        warnings=f"{RESULTS}/maps/observed_warnings.txt",
    output:
        page=report(
            f"{RESULTS}/tables/inspect.html",
            caption="../report/inspect.rst",
            category="1 Sky and patches",
        ),
    log:
        f"{LOGS}/inspect_observation.log",
    conda:
        "../../envs/environment.yaml"
    params:
        nside=SETTINGS["nside"],
        resolution=SETTINGS.get("resolution"),
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("inspect_observation", *INSTRUMENT_FILES),
    message:
        "Looking at observed maps: {output.page}"
    script:
        "../../scripts/inspect_observation.py"


rule inspect:
    input:
        rules.inspect_observation.output,


# Fields of the spectral parameters; from those of the first method mock skies are drawn.
rule measure_observed_fields:
    input:
        unpack(PLAN.templates),
        **OBSERVED_MAPS,
    output:
        priors=f"{OBSERVED}/priors.npz",
        spectra=f"{OBSERVED}/parameter_spectra.csv",
        parameters=f"{OBSERVED}/parameters.csv",
    log:
        f"{LOGS}/measure_observed_fields/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_observed_fields/{{method}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.field_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(120),
    params:
        fields=PLAN.field_options,
        patch_seed=lambda wildcards: PLAN.methods[wildcards.method]["seed"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("measure_observed_fields", *INSTRUMENT_FILES),
    message:
        "Measuring fields of the observed sky: {wildcards.method}"
    script:
        "../../scripts/measure_observed_fields.py"


# Of patches one configuration per region is selected, by mock skies.
rule select_observed_patches:
    input:
        unpack(PLAN.priors),
        **OBSERVED_MAPS,
        theory=THEORY,
    output:
        selection=f"{OBSERVED}/selection.csv",
    log:
        f"{LOGS}/select_observed_patches/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/select_observed_patches/{{method}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.patch_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(240),
    params:
        **PLAN.cleaning,
        configurations=PLAN.patch_choices,
        numbers=PLAN.selecting_mocks,
        spectra=PLAN.spectra,
        analysis=PLAN.analysis,
        seed=SETTINGS["mocks"]["seed"],
        code=code("select_observed_patches", *INSTRUMENT_FILES),
    message:
        "Selecting patches by mock skies of the observation: {wildcards.method}"
    script:
        "../../scripts/select_observed_patches.py"


rule clean_mocks:
    input:
        unpack(PLAN.cleaning_files),
        **OBSERVED_MAPS,
        theory=THEORY,
    output:
        mocks=f"{OBSERVED}/mocks/{{realizations}}.npz",
    log:
        f"{LOGS}/clean_mocks/{{method}}/{{realizations}}.log",
    benchmark:
        f"{BENCHMARKS}/clean_mocks/{{method}}/{{realizations}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(120),
    params:
        **PLAN.cleaning,
        numbers=lambda wildcards: PLAN.mock_shards[wildcards.realizations],
        seed=SETTINGS["mocks"]["seed"],
        code=code("clean_mocks", *INSTRUMENT_FILES),
    message:
        "Cleaning mock skies of the observation: {wildcards.method}, {wildcards.realizations}"
    script:
        "../../scripts/clean_mocks.py"


rule analyse_observation:
    input:
        unpack(PLAN.cleaning_files),
        **OBSERVED_MAPS,
        theory=THEORY,
        mocks=PLAN.mock_files,
    output:
        cleaned=f"{OBSERVED}/cleaned.fits",
        bandpowers=f"{OBSERVED}/bandpowers.csv",
        covariance=f"{OBSERVED}/covariance.parquet",
        windows=f"{OBSERVED}/windows.parquet",
        sacc=f"{OBSERVED}/bandpowers.sacc.fits",
        r=f"{OBSERVED}/r.csv",
        curves=f"{OBSERVED}/r_curves.csv",
        null_tests=f"{OBSERVED}/null_tests.csv",
        model_tests=f"{OBSERVED}/model_tests.csv",
        influence=f"{OBSERVED}/influence.csv",
    log:
        f"{LOGS}/analyse_observation/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/analyse_observation/{{method}}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 2
    resources:
        mem_mb=memory_of_maps(8000),
        runtime=more_each_attempt(120),
    params:
        **PLAN.cleaning,
        spectra=PLAN.spectra,
        analysis=PLAN.analysis,
        seed=SETTINGS["mocks"]["seed"],
        about={
            "run": SETTINGS["run"],
            "estimator": SETTINGS["spectra"]["estimator"],
        },
        code=code("analyse_observation", *INSTRUMENT_FILES),
    message:
        "Measuring r of observed maps: {wildcards.method}"
    script:
        "../../scripts/analyse_observation.py"


# Where `fields.samples` asks for them.
rule draw_samples:
    input:
        unpack(PLAN.priors),
        **OBSERVED_MAPS,
    output:
        samples=f"{OBSERVED}/samples.fits",
    log:
        f"{LOGS}/draw_samples/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_samples/{{method}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.field_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(120),
    params:
        samples=SETTINGS["fields"]["samples"],
        seed=SETTINGS["fields"]["seed"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        code=code("draw_samples", *INSTRUMENT_FILES),
    message:
        "Drawing samples of the posterior: {wildcards.method}"
    script:
        "../../scripts/draw_samples.py"


rule summarize_observation:
    input:
        **{
            name: expand(f"{OBSERVED}/{name}.csv", method=PLAN.methods)
            for name in ("r", "null_tests", "model_tests")
        },
        warnings=f"{RESULTS}/maps/observed_warnings.txt",
    output:
        summary=table_in_report("summary"),
        text=f"{RESULTS}/tables/summary.txt",
        provenance=f"{RESULTS}/tables/provenance.json",
    log:
        f"{LOGS}/summarize_observation.log",
    conda:
        "../../envs/environment.yaml"
    params:
        methods=list(PLAN.methods),
        about={"run": SETTINGS["run"], "figures": f"{RESULTS_HERE}/figures/"},
        settings=SETTINGS,
        files=[*OBSERVED_FILES, *INSTRUMENT_FILES, *NOISE_MAPS],
        code=code("summarize_observation"),
    message:
        "Writing tables of r"
    script:
        "../../scripts/summarize_observation.py"


# Intervals of r, on mock skies of these very maps: `snakemake certify`.
rule certify_mocks:
    input:
        unpack(PLAN.templates),
        unpack(PLAN.priors),
        **OBSERVED_MAPS,
        theory=THEORY,
        mocks=PLAN.mock_files,
    output:
        skies=f"{OBSERVED}/certificate/{{realizations}}.csv",
    log:
        f"{LOGS}/certify_mocks/{{method}}/{{realizations}}.log",
    benchmark:
        f"{BENCHMARKS}/certify_mocks/{{method}}/{{realizations}}.tsv"
    wildcard_constraints:
        method=any_of(PLAN.field_methods),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_maps(4000),
        runtime=more_each_attempt(240),
    params:
        numbers=lambda wildcards: PLAN.certificate_shards[wildcards.realizations],
        skies={key: SETTINGS["validation"][key] for key in ("seed", "r", "mocks")},
        fields=PLAN.field_options,
        patch_seed=lambda wildcards: PLAN.methods[wildcards.method]["seed"],
        model=PLAN.model_settings,
        fit=PLAN.fit,
        spectra=PLAN.spectra,
        analysis=PLAN.analysis,
        code=code("certify", *INSTRUMENT_FILES),
    message:
        "Analysing mock skies as the observation: {wildcards.realizations}"
    script:
        "../../scripts/certify.py"


rule write_certificate:
    input:
        skies=[
            f"{RESULTS}/observed/{PLAN.field_methods[0]}/certificate/{shard}.csv"
            for shard in PLAN.certificate_shards
        ],
    output:
        skies=f"{RESULTS}/tables/certificate_skies.csv",
        certificate=table_in_report("certificate"),
    log:
        f"{LOGS}/write_certificate.log",
    conda:
        "../../envs/environment.yaml"
    params:
        code=code("write_certificate"),
    message:
        "Writing how often intervals of r hold the true one"
    script:
        "../../scripts/write_certificate.py"


rule certify:
    input:
        rules.write_certificate.output,
        multiext(f"{RESULTS}/figures/coverage", ".pdf", ".png"),
