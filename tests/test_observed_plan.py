"""Configurations of observed maps: what is asked of them, what is refused, and what is planned."""

import re
from copy import deepcopy

import healpy as hp
import numpy as np
import pytest
import yaml
from refusals import JARGON, SOURCE
from workflows import REMOVED, ROOT, tiny, with_changes

from patchsep.figures.registry import figure_files, figure_problems
from patchsep.instrument.instrument import read_instrument
from patchsep.running.observed import ObservedPlan, needed_problems, observed_files, plan_of
from patchsep.running.plan import Plan
from patchsep.running.schema import SettingsError
from patchsep.running.settings import load_settings

pytestmark = pytest.mark.usefixtures("repository")

PATHS = "maps/{band}.fits"
OBSERVED = {
    "run": "seen",
    "nside": 16,
    "instrument": "tests/seven_bands.yaml",
    "observation": {"maps": PATHS},
    "regions": {"method": "sky_cuts", "sky_cuts": {"cap": {"galactic_latitude": [30, 90]}}},
    "methods": {"fields": {"strategy": "fields"}, "uniform": {"strategy": "uniform"}},
}
BINS = {"cap": {"beta_dust": 10, "temp_dust": 5, "beta_synch": 5}}


class Wildcards(dict):
    """As Snakemake's."""

    __getattr__ = dict.__getitem__


def loaded(changes=()):
    return load_settings(with_changes(deepcopy(OBSERVED), dict(changes)), SOURCE, with_data=False)


def problems_of(changes):
    with pytest.raises(SettingsError) as caught:
        loaded(changes)
    assert not [word for word in JARGON if word in str(caught.value)]
    return str(caught.value).splitlines()


# What is asked


def test_observed_maps_need_no_sky_and_have_defaults_of_their_own():
    settings = loaded()
    assert not {"foregrounds", "noise"} & set(settings)
    assert settings["mocks"]["skies"] == 100 and settings["validation"]["mocks"] == 20
    assert settings["figures"]["drawn"][0] == "regions"
    spectra = settings["spectra"]
    assert spectra["estimator"] == "pure" and spectra["pixel_weights"] == ["inverse_variance"]
    assert loaded({"spectra": {"estimator": "decoupled"}})["spectra"]["bin_width"] == 6
    given = loaded({"mocks.skies": 7, "validation.mocks": 3, "figures.drawn": ["influence"]})
    assert given["mocks"]["skies"] == 7 and given["validation"]["mocks"] == 3
    assert given["figures"]["drawn"] == ["influence"]
    # Of simulated skies they are as ever.
    simulated = load_settings(tiny(), SOURCE, with_data=False)
    assert simulated["mocks"]["skies"] == 4 and simulated["validation"]["mocks"] == 6


def test_without_maps_what_a_simulated_sky_needs_is_named():
    lines = problems_of({"observation": REMOVED})
    assert lines == [
        f"{SOURCE}: {name}: missing; add this key" for name in ("foregrounds", "cmb", "noise")
    ]
    assert needed_problems({"foregrounds": {}, "cmb": {}, "noise": {}}) == [
        "cmb.seed: missing; add this key"
    ]


@pytest.mark.parametrize("value", [5, None, [1]])
@pytest.mark.parametrize("others", [{}, {"observation": REMOVED}])
def test_a_cmb_that_is_no_section_is_told_and_not_looked_into(value, others):
    lines = problems_of({"cmb": value} | others)
    assert [line for line in lines if "cmb: " in line and "needed is a section" in line]
    assert not [line for line in lines if "cmb.seed" in line]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("foregrounds", {"model": "embedded"}),
        ("noise", {"seed": 3, "realizations": 4}),
        ("test_sets", tiny()["test_sets"]),
        ("published", "config/published/2604.08463.yaml"),
        ("cmb.seed", 2),
        ("cmb.r", 0.003),
    ],
)
def test_what_only_a_simulated_sky_has_is_refused_beside_maps(key, value):
    (line,) = problems_of({key: value})
    assert line == (
        f"{SOURCE}: {key}: of simulated skies, and observation has maps; remove one of the two keys"
    )


def test_the_cosmology_of_theory_may_be_given_beside_maps():
    assert loaded({"cmb.cosmology.H0": 70.0})["cmb"]["cosmology"]["H0"] == 70.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"methods.fields": REMOVED},
            "methods: none has the strategy fields, with which mock skies of the observation are "
            "drawn; add one",
        ),
        (
            {"methods.ilc": {"strategy": "nilc"}},
            "methods.ilc.strategy: nilc is for simulated skies; observed maps are cleaned with "
            "fields, ",
        ),
        (
            {"methods.true": {"strategy": "true_parameters", "patches": BINS}},
            "methods.true.strategy: true_parameters is for simulated skies; ",
        ),
        (
            {"methods.fields.maps": {"beta_dust": "true"}},
            "methods.fields.maps.beta_dust: true is of simulated skies; give the path of a map",
        ),
        (
            {"methods.fields.nuisance": {"gain": {"151GHZ": 0.01}}},
            "methods.fields.nuisance: not for observed maps yet; remove this key",
        ),
        (
            {"regions.sky_cuts.cap": {"dust_fraction": [0, 0.5]}},
            "regions.sky_cuts.cap.dust_fraction: of a simulated sky; use mask, hits or "
            "galactic_latitude",
        ),
        (
            {"regions": {"method": "dust_intensity"}},
            "regions.method: dust_intensity is that of a simulated sky; use sky_cuts or "
            "planck_masks",
        ),
    ],
)
def test_what_needs_a_truth_or_a_choice_is_refused_with_what_to_do(changes, said):
    lines = problems_of(changes)
    assert [line for line in lines if line.startswith(f"{SOURCE}: {said}")], lines


@pytest.mark.parametrize(
    ("observation", "said"),
    [
        ({}, "observation.maps: missing; name the maps, or observation.splits"),
        (
            {"maps": "one.fits"},
            "observation.maps: 'one.fits' is one file for all bands; write {band}",
        ),
        ({"maps": PATHS, "map": "x"}, "observation.map: unknown key; did you mean maps?"),
        ({"maps": PATHS, "unit": "Jy"}, "observation.unit: 'Jy' is unknown; "),
        ({"maps": PATHS, "bands": {"1GHZ": {"unit": "K_CMB"}}}, "observation.bands.1GHZ: the inst"),
    ],
)
def test_the_section_of_the_maps_is_checked_before_the_first_job(observation, said):
    with pytest.raises(SettingsError) as caught:
        load_settings(with_changes(deepcopy(OBSERVED), {"observation": observation}), SOURCE)
    assert f"{SOURCE}: {said}" in str(caught.value)


# The plan


def test_runs_of_observed_maps_have_a_plan_of_their_own():
    plan = plan_of(loaded())
    assert isinstance(plan, ObservedPlan) and plan.is_observed
    assert not plan.sets and not plan.skies and not plan.planned_shards and plan.n_fits == 0
    simulated = plan_of(load_settings(tiny(), SOURCE, with_data=False))
    assert type(simulated) is Plan and not simulated.is_observed


def test_files_that_are_read_are_those_of_every_band():
    labels = read_instrument(loaded()["instrument"]).labels
    assert observed_files(loaded(), labels)[:2] == ["maps/113GHZ.fits", "maps/151GHZ.fits"]
    splits = {"splits": ["a/{band}.fits", "b/{band}.fits"]}
    settings = loaded({"observation": splits})
    files = observed_files(settings, labels)
    assert len(files) == 14 and files[0] == "a/113GHZ.fits" and files[-1] == "b/84GHZ.fits"
    assert observed_files(load_settings(tiny(), SOURCE, with_data=False), labels) == []
    folder = "results/seen/maps/observed"
    assert plan_of(settings).observed_maps == {
        "maps": f"{folder}.fits",
        "splits": [f"{folder}_split_1.fits", f"{folder}_split_2.fits"],
    }
    assert plan_of(loaded()).observed_maps["splits"] == []


def test_mock_skies_are_drawn_from_the_first_method_with_fields_whatever_cleans_them():
    second = {"methods.other": {"strategy": "fields"}}
    kmeans = {"methods.kmeans": {"strategy": "kmeans", "seed": 3, "patches": BINS}}
    plan = plan_of(loaded(second | kmeans | {"mocks.skies": 5, "fit.realizations_per_shard": 2}))
    first = "results/seen/observed/fields/priors.npz"
    for method, own in (("other", "other"), ("kmeans", "fields"), ("fields", "fields")):
        priors = plan.priors(Wildcards(method=method))
        own = f"results/seen/observed/{own}/priors.npz"
        assert priors == {"foregrounds": first, "priors": own}
    assert list(plan.mock_shards.values()) == [[0, 1], [2, 3], [4]]
    files = plan.mock_files(Wildcards(method="kmeans"))
    assert files[0] == "results/seen/observed/kmeans/mocks/realizations-00000-00001.npz"
    assert plan.cleaning["patches"](Wildcards(method="kmeans"))["seed"] == 3


def test_patches_are_selected_among_all_configurations_by_other_mock_skies():
    grid = {"cap": BINS["cap"] | {"beta_dust": [5, 10]}}
    kmeans = {"methods.kmeans": {"strategy": "kmeans", "seed": 3, "patches": grid}}
    plan = plan_of(loaded(kmeans | {"mocks.skies": 5, "mocks.realizations": 3}))
    assert plan.selecting_mocks == [5, 6, 7]
    of_fields, of_patches = (Wildcards(method=name) for name in ("fields", "kmeans"))
    assert plan.patch_choices(of_fields) == {}
    assert plan.patch_choices(of_patches) == {"cap": plan.configurations("kmeans", "cap")}
    assert len(plan.configurations("kmeans", "cap")) == 2
    selection = "results/seen/observed/kmeans/selection.csv"
    assert plan.cleaning_files(of_patches) == plan.priors(of_patches) | {"selection": selection}
    assert plan.cleaning_files(of_fields) == plan.priors(of_fields)


@pytest.mark.parametrize("page", ["README.md", "docs/observed-analysis.md"])
def test_configurations_of_the_pages_are_such(page, tmp_path):
    text = (ROOT / page).read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    config = yaml.safe_load(shown)
    footprint = tmp_path / "footprint.fits"
    hp.write_map(footprint, np.ones(12), dtype=np.float32)
    config["regions"]["sky_cuts"]["north"]["mask"]["file"] = str(footprint)
    config["instrument"] = "tests/seven_bands.yaml"
    plan = plan_of(load_settings(config, page, with_data=False))
    assert plan.is_observed and plan.field_methods == ["fields"]
    assert "splits" in plan.observed_maps


def test_figures_of_the_other_kind_of_run_are_refused():
    plan = plan_of(loaded({"figures.drawn": ["regions", "selection", "influence"]}))
    (line,) = figure_problems(plan)
    assert line.startswith("figures.drawn: selection is not of observed maps; remove it (known are")
    assert not figure_problems(plan_of(loaded()))
    simulated = with_changes(tiny(), {"figures.drawn": ["influence"]})
    (line,) = figure_problems(plan_of(load_settings(simulated, SOURCE, with_data=False)))
    assert line.startswith("figures.drawn: influence is not of simulated maps; remove it")


def test_every_method_has_figures_of_its_own():
    plan = plan_of(loaded())
    for name in ("cleaned_maps", "bandpowers", "null_tests", "influence"):
        files = figure_files(plan, name)
        assert files == [
            f"results/seen/figures/{name}/{method}.{suffix}"
            for method in ("fields", "uniform")
            for suffix in ("pdf", "png")
        ]
