"""The plan of a run: skies, sets, shards, and the files that rules need."""

from itertools import chain
from types import SimpleNamespace

import pytest
from workflows import ROOT, tiny, with_changes

from patchsep.running.plan import Plan
from patchsep.running.settings import load_settings
from patchsep.running.shards import configuration_shard

BINS = {ring: {"beta_dust": 4, "temp_dust": 2, "beta_synch": 2} for ring in ("hi", "mid", "low")}


@pytest.fixture
def plan_of(monkeypatch):
    """Plans of the tiny configuration with changes."""
    monkeypatch.chdir(ROOT)
    return lambda changes=None: Plan(load_settings(with_changes(tiny(), changes or {}), "tiny"))


class Wildcards(SimpleNamespace):
    """Wildcards of a rule, which Snakemake gives as attributes and by `get`."""

    def get(self, name, default):
        return getattr(self, name, default)


def test_the_training_sky_has_the_runs_folder_and_test_skies_their_own(plan_of):
    plan = plan_of()
    assert plan.sets == {"training": [""], "unseen": ["test/unseen/sky_0/", "test/unseen/sky_1/"]}
    training, first, second = plan.skies.values()
    assert (training.cmb_seed, training.noise_seed, training.patch_seed) == (2, 3, None)
    assert (first.cmb_seed, first.noise_seed, first.patch_seed) == (12, 22, 32)
    assert (second.cmb_seed, second.noise_seed, second.patch_seed) == (13, 23, 33)
    assert (training.realizations, first.realizations) == (4, 2)


def test_skies_of_a_test_set_share_its_foregrounds_or_those_of_training(plan_of):
    assert plan_of().galaxy_of("test/unseen/sky_1/") == "test/unseen/"
    settings = tiny()
    del settings["test_sets"]["unseen"]["foregrounds"]
    shared = plan_of({"test_sets": settings["test_sets"]})
    assert shared.galaxy_of("test/unseen/sky_1/") == shared.galaxy_of("") == ""


def test_patches_have_the_seed_of_the_sky_or_on_the_training_sky_of_the_method(plan_of):
    plan = plan_of()
    assert plan.patch_seed(Wildcards(method="kmeans", region="hi")) == 4
    assert plan.patch_seed(Wildcards(method="kmeans", sky="")) == 4
    assert plan.patch_seed(Wildcards(method="kmeans", sky="test/unseen/sky_1/")) == 33


def test_there_are_mock_skies_only_where_selection_needs_them(plan_of):
    assert plan_of().mocks == []
    by_mocks = plan_of({"selection.criteria": ["mocks"], "mocks": {"skies": 3, "seed": 50}})
    assert by_mocks.mocks == [f"mocks/sky_{n}/" for n in range(3)]
    assert [sky.noise_seed for sky in by_mocks.gridded.values()] == [3, 50, 51, 52]
    assert plan_of({"likelihood.foreground_residual": ["marginalised"]}).mocks
    later = plan_of({"likelihood.foreground_residual": ["neglected", "marginalised"]})
    assert later.mocks == [] and later.mocks_everywhere


def test_expected_residuals_of_a_mock_sky_are_those_of_the_others(plan_of):
    plan = plan_of({"likelihood.foreground_residual": ["marginalised"], "mocks.skies": 3})
    files = plan.mock_spectra(Wildcards(sky="mocks/sky_1/", method="kmeans", region="hi"))
    assert files == [
        f"results/tiny/mocks/sky_{n}/residuals/kmeans/hi_spectra.parquet" for n in (0, 2)
    ]
    # No choice, no need.
    assert plan.mock_spectra(Wildcards(sky="", method="uniform", region="hi")) == []


def test_shards_have_all_configurations_and_realisations_once(plan_of):
    values = {"beta_dust": list(range(4, 24)), "temp_dust": 2, "beta_synch": 2}
    plan = plan_of({"fit.configuration_shards": 3, "methods.kmeans.patches.hi": values})
    shards = plan.shards("", "kmeans", "hi")
    assert len(shards) == len(set(shards)) == 2 * 3
    numbers = {shard.rsplit("-", 1)[1] for shard in shards}
    found = [
        name
        for number in numbers
        for name in plan.shard_configurations(Wildcards(method="kmeans", region="hi", shard=number))
    ]
    assert sorted(found) == sorted(plan.configurations("kmeans", "hi"))
    realizations = plan.realization_shards("")
    assert [*chain.from_iterable(realizations.values())] == [0, 1, 2, 3]
    # One configuration is in one shard: the others have nothing to do.
    assert len(plan.shards("", "uniform", "hi")) == 2


def test_fits_are_counted(plan_of):
    # K-means in three regions, with two configurations in one; four realisations, and the
    # foregrounds alone in each of two shards. The other method has nothing to choose.
    assert plan_of().n_fits == 4 * (4 + 2)
    linear = {"fit.propagation": "linear", "selection.criteria": ["oracle"]}
    assert plan_of(linear).n_fits == 4 * 2
    assert plan_of({"selection.criteria": ["cross_validation"]}).n_fits == 2 * 4 * 6
    assert plan_of({"methods.kmeans.n_draws": 3}).n_fits == 3 * 4 * 6
    mocks = plan_of({"selection.criteria": ["mocks"], "mocks": {"skies": 2, "realizations": 2}})
    assert mocks.n_fits == 4 * 6 + 2 * 2 * 3
    assert len(mocks.planned_shards) == 3 * 2 + 2


@pytest.mark.parametrize(
    ("method", "on_training", "on_test"),
    [
        ({"strategy": "true_parameters"}, "spectral_parameters",
         "test/unseen/maps/spectral_parameters"),
        ({"strategy": "recovered_parameters", "recovered_by": "kmeans"}, "recovered_kmeans",
         "test/unseen/sky_0/maps/recovered_kmeans"),
        ({"strategy": "template", "maps": {"temp_dust": "true"}}, "templates_m",
         "test/unseen/sky_0/maps/templates_m"),
    ],
)  # fmt: skip
def test_maps_that_patches_follow_are_those_of_the_sky(plan_of, method, on_training, on_test):
    plan = plan_of({"methods.m": method | {"patches": BINS}})
    training = plan.templates(Wildcards(method="m", region="hi"))
    assert training == {"templates": f"results/tiny/maps/{on_training}.fits"}
    test = plan.templates(Wildcards(method="m", sky="test/unseen/sky_0/"))
    assert test == {"templates": f"results/tiny/{on_test}.fits"}
    assert plan.templates(Wildcards(method="kmeans", region="hi")) == {}


def test_errors_are_added_to_templates_that_are_the_true_maps(plan_of, tmp_path):
    (tmp_path / "map.fits").touch()
    maps = {"temp_dust": "true", "beta_synch": str(tmp_path / "map.fits")}
    errors = {"temp_dust": 0.5, "beta_synch": 0.01}
    method = {"strategy": "template", "maps": maps, "errors": errors, "patches": BINS}
    plan = plan_of({"methods.m": method, "likelihood.foreground_residual": ["marginalised"]})
    options = plan.template_options(Wildcards(method="m", sky=""))
    assert options["errors"] == {"temp_dust": 0.5}
    # Mock skies are to have all of them.
    assert plan.mock_options(Wildcards(method="m", sky=""))["errors"] == errors


def test_mock_skies_are_like_the_sky_that_is_cleaned(plan_of):
    test_sky = Wildcards(method="uniform", sky="test/unseen/sky_0/")
    assert plan_of({"selection.criteria": ["mocks"]}).foreground_model(test_sky) == {}
    plan = plan_of({"likelihood.foreground_residual": ["marginalised"]})
    assert plan.foreground_model(test_sky) == {
        "foreground_model": "results/tiny/test/unseen/sky_0/maps/foreground_model.fits"
    }


FIELDS = {"strategy": "fields"}
TEMPLATED = FIELDS | {"maps": {"temp_dust": "true"}, "errors": {"temp_dust": 0.5}}


def test_methods_of_fields_have_no_grid_and_no_shards(plan_of):
    without = plan_of()
    plan = plan_of({"methods.fields": FIELDS, "selection.criteria": ["mocks"]})
    assert plan.field_methods == ["fields"]
    assert plan.patch_methods == ["kmeans", "uniform"]
    for region in ("hi", "combined"):
        assert plan.configurations("fields", region) == ["fields"]
        assert not plan.has_choice("fields", region)
    assert not [shard for shard in plan.planned_shards if "fields/" in shard]
    assert plan_of({"methods.fields": FIELDS}).n_fits == without.n_fits
    assert plan.contested_estimates(Wildcards(method="fields")) == []
    assert plan.mock_estimates(Wildcards(sky="", method="fields", region="hi")) == []
    assert [name for name, method in plan.estimated if method == "fields"] == ["training", "unseen"]
    # Without any other method nothing is fitted to a grid.
    alone = plan_of({"methods": {"fields": FIELDS}})
    assert (alone.n_fits, alone.planned_shards, alone.patch_methods) == (0, [], [])


def test_fields_have_templates_of_their_sky_where_they_have_maps(plan_of):
    plan = plan_of({"methods.fields": FIELDS, "methods.templated": TEMPLATED})
    for sky in ("", "test/unseen/sky_0/"):
        assert plan.templates(Wildcards(method="fields", sky=sky)) == {}
        assert plan.templates(Wildcards(method="templated", sky=sky)) == {
            "templates": f"results/tiny/{sky}maps/templates_templated.fits"
        }


def test_the_options_of_fields_are_those_of_the_method_and_of_all(plan_of):
    divided = FIELDS | {"parameters": {"beta_synch": "patches"}, "n_patches": {"beta_synch": 3}}
    plan = plan_of(
        {
            "methods.fields": FIELDS,
            "methods.templated": TEMPLATED,
            "methods.divided": divided,
            "fields.lmax": 15,
        }
    )
    options, templated, other = (
        plan.field_options(Wildcards(method=name)) for name in ("fields", "templated", "divided")
    )
    kinds = {"beta_dust": "field_and_pixels", "temp_dust": "field", "beta_synch": "field"}
    assert options["kinds"] == templated["kinds"] == kinds
    assert (options["lmax"], options["n_patches"], options["errors"]) == (15, {}, {})
    assert templated["errors"] == {"temp_dust": 0.5}
    assert other["kinds"] == kinds | {"beta_synch": "patches"}
    assert other["n_patches"] == {"beta_synch": 3}


def test_mock_skies_of_fields_have_a_number_and_a_seed(plan_of):
    wildcards = Wildcards(method="fields", sky="")
    changes = {"methods.fields": FIELDS, "mocks.skies": 5}
    assert plan_of(changes).mock_options(wildcards) == {}
    plan = plan_of(changes | {"likelihood.foreground_residual": ["marginalised"]})
    assert plan.mock_options(wildcards) == {"skies": 5, "seed": plan.settings["mocks"]["seed"]}


def test_an_ilc_is_measured_without_mock_skies(plan_of, monkeypatch):
    monkeypatch.setattr("patchsep.running.checks.find_spec", lambda name: True)
    plan = plan_of(
        {
            "methods.blind": {"strategy": "nilc"},
            "spectra.pixel_weights": ["inverse_variance", "uniform"],
            "likelihood.foreground_residual": ["marginalised", "neglected"],
        }
    )
    assert plan.ilc_methods == ["blind"]
    assert plan.fitted_methods == plan.patch_methods == ["kmeans", "uniform"]
    assert (
        plan.configurations("blind", "hi") == plan.configurations("blind", "combined") == ["nilc"]
    )
    blind, fitted = Wildcards(method="blind"), Wildcards(method="kmeans")
    assert (plan.pixel_weights(blind), plan.foreground_residual(blind)) == (
        ["uniform"],
        ["neglected"],
    )
    assert plan.pixel_weights(fitted) == ["inverse_variance", "uniform"]
    assert plan.foreground_residual(fitted) == ["marginalised", "neglected"]
    assert ("unseen", "blind") in plan.estimated
    # Nothing of it is in the grid.
    assert not [shard for shard in plan.planned_shards if "blind" in shard]


def test_r_is_estimated_of_the_methods_of_every_set(plan_of):
    plan = plan_of({"test_sets.unseen.methods": ["kmeans"], "test_sets.unseen.r": 0.01})
    assert plan.estimated == [
        ("training", "kmeans"),
        ("training", "uniform"),
        ("unseen", "kmeans"),
    ]
    assert (plan.r_input("training"), plan.r_input("unseen")) == (0.0, 0.01)


def test_bounds_and_starts_of_the_model_are_those_of_the_settings(plan_of):
    model = plan_of({"fit.start": {"temp_dust": 21.0}}).model
    assert model.start == {"beta_dust": 1.54, "temp_dust": 21.0, "beta_synch": -3.0}
    assert model.bounds["beta_dust"] == (0.5, 3.0)


def test_a_configuration_stays_in_its_shard_when_others_come_and_go():
    names = [f"{n}-2-2" for n in range(50)]
    shards = [configuration_shard(names, number, 3) for number in range(3)]
    assert sorted(chain.from_iterable(shards)) == sorted(names)
    few = names[::2]
    for number, shard in enumerate(shards):
        assert configuration_shard(few, number, 3) == [name for name in shard if name in few]
