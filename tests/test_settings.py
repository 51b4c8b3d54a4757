"""Settings are checked as a whole, and what is wrong is said in the user's words."""

import subprocess
import sys
from copy import deepcopy
from importlib.util import find_spec

import pytest
from refusals import BINS, FIELDS, PARAMETERS, RINGS, SOURCE, TEMPLATE, config_with, problems_of
from workflows import REMOVED, ROOT

from patchsep.running.schema import SettingsError
from patchsep.running.settings import load_settings

pytestmark = pytest.mark.usefixtures("repository")


@pytest.mark.parametrize(
    ("key", "value", "mend"),
    [
        # Wrong numbers
        ("nside", 60, "not a power of two; use 32 or 64"),
        ("nside", 2, "use 4 or more"),
        ("nside", 2048, "use 1024 or less"),
        ("cmb.r", -0.1, "use 0 or more"),
        ("cmb.cosmology.As", 3.04, "use 1e-08 or less"),
        ("noise.seed", -1, "use 0 or more"),
        ("noise.realizations", 0, "use 1 or more"),
        ("fit.realizations_per_shard", 0, "use 1 or more"),
        ("fit.tolerance", 0, "must be above 0"),
        ("fit.propagation", "quadratic", "known are nonlinear, linear"),
        ("likelihood.r_grid.n_points", 10, "use 101 or more"),
        # Wrong kinds of value
        ("nside", "sixty-four", "needed is a whole number"),
        ("nside", None, "needed is a whole number"),
        ("noise.realizations", [10], "needed is a whole number"),
        ("methods.kmeans.independent_patches", 1, "needed is true or false"),
        ("methods.uniform.n_draws", 8, "only for kmeans"),
        ("mocks.skies", 1, "use 2 or more"),
        ("search.region", "high", "did you mean hi?"),
        ("methods.uniform.maps", {"beta_dust": "true"}, "only for fields and template"),
        ("methods.kmeans.errors", {"beta_dust": 0.1}, "only for fields and template"),
        ("methods.t", {"strategy": "template", "patches": BINS}, "give a HEALPix map of one"),
        ("methods.t", TEMPLATE | {"maps": {"beta_dust": "no.fits"}}, "'no.fits' is not a file"),
        ("methods.t", TEMPLATE | {"maps": {"beta": "true"}}, "did you mean beta_dust?"),
        ("methods.t", TEMPLATE | {"errors": {"temp_dust": 1.0}}, "there is no map of it"),
        # Fields
        ("methods.f", FIELDS | {"patches": BINS}, ".patches: not for fields"),
        ("methods.f", FIELDS | {"n_draws": 2}, ".n_draws: not for fields"),
        ("methods.f", FIELDS | {"independent_patches": True}, ".independent_patches: not for"),
        (
            "methods.f",
            FIELDS | {"parameters": {"temp_dust": "patches"}},
            "n_patches.temp_dust: missing; give the number of patches, or another kind",
        ),
        (
            "methods.f",
            FIELDS | {"n_patches": {"temp_dust": 5}},
            "n_patches.temp_dust: temp_dust has no patches; set methods.f.parameters.temp_dust",
        ),
        ("methods.f", FIELDS | {"n_patches": {"temp_dust": 0}}, "use 1 or more"),
        ("methods.f", FIELDS | {"parameters": {"temp_dust": "feild"}}, "did you mean field?"),
        ("methods.f", FIELDS | {"parameters": {"temp": "field"}}, "did you mean temp_dust?"),
        (
            "methods.f",
            FIELDS | {"parameters": {"temp_dust": "value"}, "maps": {"temp_dust": "true"}},
            "maps.temp_dust: a template is the mean of a field; set methods.f.parameters.temp_dust",
        ),
        ("methods.f", FIELDS | {"maps": {"temp_dust": "no.fits"}}, "'no.fits' is not a file"),
        (
            "methods.f",
            FIELDS | {"maps": {"temp_dust": "true"}, "errors": {"beta_dust": 1.0}},
            "errors.beta_dust: there is no map of it",
        ),
        ("methods.kmeans.parameters", {"beta_dust": "field"}, "only for fields; remove this key"),
        ("methods.kmeans.n_patches", {"beta_dust": 4}, "only for fields; remove this key"),
        ("figures.drawn", ["template_errors"], "template_errors needs a method with maps of temp_"),
        ("figures.methods", {"patches": ["fields"]}, "fields has no patches; remove it"),
        ("figures.methods", {"parameter_spectra": ["kmeans"]}, "kmeans has no fields; remove it"),
        ("fields.lmax", 1, "use 2 or more"),
        ("fields.scatter.beta_dust", 0, "must be above 0"),
        ("fields.freedom.octaves", 1.0, "did you mean octave?"),
        ("cmb.r", "small", "needed is a number"),
        ("nside", 64.0, "needed is a whole number"),
        ("noise.realizations", 10.0, "needed is a whole number"),
        ("cmb.r", float("nan"), "needed is a number"),
        ("cmb.r", "1e-3", "needed is a number, such as 0.5 or 1.0e-3"),
        ("run", "my/run", "letters, digits"),
        ("methods", {}, "one or more"),
        ("methods", {"K-means": {"strategy": "uniform"}}, "small letters, digits"),
        ("methods", {1: {"strategy": "uniform"}}, "start with a letter"),
        ("run", 12, "needed is text, in quotes"),
        ("cmb", 2, "needed is a section with keys"),
        ("fit", None, "needed is a section with keys"),
        ("methods", ["kmeans"], "needed is a section with keys"),
        ("regions.masks", "GAL020", "needed is a list"),
        ("foregrounds.model", "d1", "or a list of PySM 3 presets such as [d1, s1]"),
        # Wrong words
        ("regions.method", "planck", "did you mean planck_masks?"),
        ("regions.split_hemispheres", "north", "needed is true or false"),
        ("likelihood.theory", "publish", "did you mean published?"),
        ("figures.projection", "molweide", "did you mean mollweide?"),
        ("methods.kmeans.strategy", "k-means", "did you mean kmeans?"),
        ("methods.kmeans.strategy", "healpix", "known are fields, kmeans, multiresolution"),
        ("foregrounds.model", ["d1x", "s1"], "did you mean d1?"),
        ("foregrounds.model", ["dl", "s1"], "known are d0, d1, d2"),
        ("foregrounds.model", ["D1", "s1"], "did you mean d1?"),
        ("foregrounds.model", ["d1", "c1"], "c1 is a CMB; remove it"),
        # Keys that do not exist
        ("noize", {}, "unknown key; did you mean noise?"),
        ("n_side", 64, "unknown key; did you mean nside?"),
        ("xyz", 1, "known are run, nside, instrument"),
        ("noise.realisations", 10, "did you mean realizations?"),
        ("cmb.cosmology.H_0", 70, "did you mean H0?"),
        ("fit.bounds.beta_sync", [-4, -2], "did you mean beta_synch?"),
        ("methods.kmeans.patchs", {}, "did you mean patches?"),
        ("methods.kmeans.patches.high", dict.fromkeys(PARAMETERS, 1), "did you mean hi?"),
        ("methods.kmeans.patches.hi.beta", 1, "did you mean beta_dust?"),
        # Keys and words of before
        ("choice", {"criteria": ["oracle"]}, "is now selection"),
        ("rehearsal", {"skies": 4}, "is now mocks"),
        ("judging", {}, "is now test_sets"),
        ("methods.kmeans.members", 8, "is now methods.kmeans.n_draws"),
        ("methods.kmeans.own_patches", True, "is now methods.kmeans.independent_patches"),
        ("regions.zones", "rings", "is now regions.split_hemispheres, false for rings"),
        ("fit.parts", 2, "is now fit.configuration_shards"),
        ("likelihood.templates", "consistent", "is now likelihood.theory"),
        ("search", {"members": 2}, ".members: is now search.n_draws"),
        ("search", {"draws": 2}, ".draws: is now search.mock_realizations"),
        ("selection.criteria", ["rehearsal"], "it is now mocks"),
        ("selection.criteria", ["information"], "it is now aic"),
        ("selection.criteria", ["held_out"], "it is now cross_validation"),
        ("figures.drawn", ["criteria"], "it is now selection"),
        # Keys that are missing
        ("nside", REMOVED, "missing; add this key"),
        ("noise.realizations", REMOVED, "missing; add this key"),
        ("foregrounds.model", REMOVED, "missing; add this key"),
        (
            "test_sets.unseen.cmb_seeds",
            [2, 12],
            "2 is also cmb.seed, with which the",
        ),
        ("test_sets.unseen.noise_seeds", [22, 3], "3 is also noise.seed, with which"),
        ("test_sets.unseen.patch_seeds", [4, 5], "4 is also methods.kmeans.seed, with which"),
        ("test_sets.unseen.cmb_seeds", [12], "1 cmb_seeds, 2 noise_seeds, 2 patch_seeds; give one"),
        ("test_sets.unseen.noise_seeds", [22, 22], "has an entry twice; give each once"),
        ("test_sets.unseen.realizations", REMOVED, "missing; add this key"),
        ("test_sets.unseen.foregrounds", {"model": ["d1x"]}, "did you mean d1?"),
        ("test_sets.unseen.methods", ["kmaens"], "did you mean kmeans?"),
        ("test_sets.unseen.r", -0.1, "is below 0; use 0 or more"),
        ("likelihood.theory", ["published", "publish"], "did you mean published?"),
        ("likelihood.theory", [], "has too few entries"),
        ("figures.drawn", ["regoins"], "did you mean regions?"),
        ("figures.drawn", ["binned_patches"], "needs a method of strategy recovered_parameters"),
        ("figures.methods", {"patches": ["kmean"]}, "did you mean kmeans?"),
        ("figures.sets", {"residual_spectra": ["unsen"]}, "did you mean unseen?"),
        ("published", "config/publshed.yaml", "is not a file; remove this key"),
        ("fit.fits_per_second", 0, "must be above 0"),
        ("benchmark", {"region": "lo"}, "benchmark.region: there is no 'lo'; did you mean low?"),
        ("selection.criteria", ["oracel"], "did you mean oracle?"),
        ("selection.criteria", [], "has too few entries"),
        ("methods.kmeans.strategy", REMOVED, "missing; add this key"),
        ("methods.kmeans.patches", REMOVED, "missing; give hi, mid and low"),
        ("methods.kmeans.patches.mid", REMOVED, "missing; add this key"),
        ("methods.kmeans.patches.low.temp_dust", REMOVED, "missing; add this key"),
        (
            "methods.binned",
            {"strategy": "recovered_parameters", "patches": BINS},
            "recovered_by: missing; name another method, one of fields, kmeans",
        ),
        (
            "methods.binned",
            {"strategy": "recovered_parameters", "patches": BINS, "recovered_by": "binned"},
            "'binned' is no method that it can follow",
        ),
        ("methods.kmeans.recovered_by", "uniform", "only for recovered_parameters; remove"),
        ("methods.kmeans.patches.hi", [], "has too few entries"),
        ("methods.kmeans.patches.hi", [{"beta_dust": 1, "temp_dust": 1}], "beta_synch: missing"),
        # Patches
        ("methods.kmeans.patches.hi.beta_dust", 0, "0 patches; use 1 or more"),
        ("methods.kmeans.patches.hi.beta_dust", [100, 0], "0 patches; use 1 or more"),
        ("methods.kmeans.patches.hi.beta_dust", -5, "-5 does not fit here. Give a whole number"),
        ("methods.multiresolution.patches.low.temp_dust", 3, "neither 0 nor a power of two"),
        ("methods.multiresolution.patches.low.temp_dust", 128, "use 32 or less"),
        (
            "methods.uniform.patches",
            {ring: dict.fromkeys(PARAMETERS, 1) for ring in RINGS},
            "remove",
        ),
        ("methods.kmeans.patches.hi.beta_dust", 100.0, "Give a whole number"),
        ("methods.kmeans.patches.hi.beta_dust", [5, 5], "without repeats"),
        ("spectra.apodization", 100, "degrees from 0 to 90, or pairs"),
        ("spectra.apodization", [2, 40], "such as [[2, 50], [14, 10]]"),
        ("spectra.apodization", [[4, 10]], "begin with 2"),
        ("spectra.apodization", [[2, 40], [2, 10]], "let multipoles of the pairs increase"),
        ("spectra.apodization", [[2, 400]], "take 90 at most"),
        # Bounds, and numbers that must agree
        ("fit.bounds.beta_dust", [3, 0.5], "give the lower bound first"),
        ("fit.bounds.beta_dust", [3], "at least 2 are needed"),
        ("fit.bounds.temp_dust", [0, 40], "must be above 0"),
        ("regions.masks", ["GAL020", "GAL020", "GAL060"], "give each once"),
        ("regions.sky_fractions", [1e-6, 0.4, 0.6], "by a pixel or more"),
        ("fit.start.temp_dust", 50, "not inside the bounds 10.0 … 40.0"),
        ("regions.sky_fractions", [0.6, 0.4, 0.2], "let them increase"),
        ("regions.sky_fractions", [0.2, 0.2, 0.6], "let them increase"),
        ("regions.sky_fractions", [0.2, 0.4], "2 for 3 rings (hi, mid and low); give one per ring"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_its_file_and_the_mend(key, value, mend):
    line, *_ = problems_of({key: value})
    assert line.startswith(f"{SOURCE}: {key}")
    assert mend in line


def test_all_problems_are_listed_at_once_one_line_each():
    lines = problems_of({"nside": 2, "cmb.r": -1, "noise.seeds": 3})
    assert [line.split(": ")[1] for line in lines] == ["cmb.r", "noise.seeds", "nside"]


def test_noise_of_mocks_is_not_that_of_test_skies():
    lines = problems_of({"selection.criteria": ["mocks"], "mocks.seed": 22})
    assert [line.split(": ", 1)[1] for line in lines] == [
        f"test_sets.unseen.noise_seeds: {seed} is also mocks.seed, with which the selection is "
        "made; test with another"
        for seed in (22, 23)
    ]


def test_rings_have_names_of_your_own():
    rings = {"method": "dust_intensity", "rings": ["cap", "rest"], "sky_fractions": [0.3, 0.7]}
    values = {"beta_dust": 4, "temp_dust": 2, "beta_synch": 2}
    methods = {"kmeans": {"strategy": "kmeans", "patches": {"rest": values, "cap": values}}}
    changes = {"regions": rings, "methods": methods, "figures": REMOVED}
    settings = load_settings(config_with(changes), SOURCE)
    assert list(settings["methods"]["kmeans"]["patches"]) == ["cap", "rest"]
    assert settings["benchmark"]["region"] == "rest"
    del methods["kmeans"]["patches"]["cap"]
    (line,) = problems_of(changes)
    assert line.endswith("methods.kmeans.patches.cap: missing; add this key")


def test_a_configuration_that_is_not_a_mapping_is_refused():
    with pytest.raises(SettingsError, match=f"{SOURCE}: the file"):
        load_settings([], SOURCE)


def test_an_empty_configuration_is_refused_with_every_key_that_it_needs():
    with pytest.raises(SettingsError) as caught:
        load_settings({}, SOURCE)
    needed = ["run", "nside", "instrument", "regions", "methods", "foregrounds", "cmb", "noise"]
    lines = [f"{SOURCE}: {key}: missing; add this key" for key in needed]
    assert str(caught.value).splitlines() == lines


@pytest.mark.skipif(find_spec("furax_cs") is not None, reason="furax-cs is installed")
def test_an_optimizer_to_compare_with_has_to_be_installed():
    limits = {"n_realizations": 1, "max_iterations": 10}
    (problem,) = problems_of({"benchmark.optimizers": {"furax_active_set": limits}})
    assert "benchmark.optimizers.furax_active_set" in problem
    assert "pip install -r envs/peers.txt" in problem


# What comes back


def test_defaults_are_filled_in_all_the_way_down():
    settings = load_settings(
        config_with({"likelihood": REMOVED, "cmb.cosmology.tau": 0.06, "fit": {}}), SOURCE
    )
    assert settings["cmb"]["cosmology"] == {
        "H0": 67.36,
        "ombh2": 0.02237,
        "omch2": 0.12,
        "mnu": 0.06,
        "tau": 0.06,
        "As": 2.1e-9,
        "ns": 0.9649,
        "nt": 0.0,
    }
    assert settings["fit"]["bounds"]["temp_dust"] == [10.0, 40.0]
    assert settings["fit"]["start"] == {"beta_dust": 1.54, "temp_dust": 20.0, "beta_synch": -3.0}
    assert settings["likelihood"]["theory"] == ["consistent"]
    assert settings["likelihood"]["r_grid"] == {"n_points": 2001, "delta_chi2": 40.0}
    assert settings["methods"]["uniform"]["seed"] == 0
    assert settings["benchmark"]["region"] == "low"
    halves = load_settings(config_with({"regions.split_hemispheres": True}), SOURCE)
    assert halves["benchmark"]["region"] == "low_south"


def test_the_configuration_that_is_passed_in_stays_as_it_is():
    config = config_with()
    before = deepcopy(config)
    load_settings(config, SOURCE)
    assert config == before


def test_changing_one_runs_settings_leaves_those_of_the_next_alone():
    load_settings(config_with(), SOURCE)["fit"]["bounds"]["beta_dust"][0] = 99
    assert load_settings(config_with(), SOURCE)["fit"]["bounds"]["beta_dust"] == [0.5, 3.0]


@pytest.mark.workflow
def test_snakemake_stops_with_the_message_alone():
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--config", "nside=60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "The configuration cannot be used" in output
    assert "config/config.yaml + --config: nside: 60 is not a power of two; use 32 or 64" in output
    assert "Traceback" not in output
    assert 'File "' not in output
