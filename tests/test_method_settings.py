"""Settings of methods: fields, templates, patches and internal linear combinations."""

from importlib.util import find_spec

import pytest
from refusals import BINS, FIELDS, PARAMETERS, RINGS, SOURCE, TEMPLATE, config_with, problems_of
from workflows import REMOVED

from patchsep.running.settings import load_settings

pytestmark = pytest.mark.usefixtures("repository")


@pytest.mark.parametrize("method", [FIELDS, TEMPLATE], ids=["fields", "template"])
def test_true_stands_for_the_skys_own_map_quoted_or_not(method):
    quoted, plain = (
        load_settings(config_with({"methods.t": method | {"maps": {"temp_dust": true}}}), SOURCE)
        for true in ("true", True)
    )
    assert quoted == plain
    assert plain["methods"]["t"]["maps"] == {"temp_dust": "true"}


@pytest.mark.parametrize("value", [False, 1, None, ["beta.fits"]])
def test_a_template_is_a_path_or_true(value):
    (line,) = problems_of({"methods.t": TEMPLATE | {"maps": {"temp_dust": value}}})
    assert line == (
        f"{SOURCE}: methods.t.maps.temp_dust: {value!r} does not fit here. Needed is the path of "
        "a HEALPix map of the parameter, or true."
    )


@pytest.mark.parametrize("method", [FIELDS | {"maps": {"temp_dust": "true"}}, TEMPLATE])
def test_figures_of_fields_and_templates_need_a_method_of_theirs(method):
    of_temperature = method | {"maps": {"temp_dust": "true"}}
    settings = config_with({"methods.t": of_temperature, "figures": {"drawn": ["template_errors"]}})
    load_settings(settings, SOURCE)
    changes = {"methods.fields": REMOVED, "figures": {"drawn": ["parameter_spectra"]}}
    (line,) = problems_of(changes)
    assert "parameter_spectra needs a method of strategy fields; add one" in line


def test_all_that_is_wrong_with_a_method_of_fields_is_said_at_once():
    method = FIELDS | {
        "patches": BINS,
        "parameters": {"temp_dust": "patches", "beta_synch": "value"},
        "n_patches": {"beta_dust": 3},
        "maps": {"beta_synch": "true"},
    }
    keys = [line.split(": ")[1] for line in problems_of({"methods.f": method})]
    assert keys == [
        f"methods.f.{key}"
        for key in ("patches", "n_patches.temp_dust", "n_patches.beta_dust", "maps.beta_synch")
    ]


def test_a_method_of_fields_needs_nothing_but_its_strategy():
    settings = load_settings(config_with({"methods.f": FIELDS}), SOURCE)
    assert settings["methods"]["f"]["maps"] == {}
    kinds = {"temp_dust": "patches", "beta_synch": "value"}
    full = FIELDS | {"parameters": kinds, "n_patches": {"temp_dust": 5}}
    settings = load_settings(config_with({"methods.f": full}), SOURCE)
    assert settings["methods"]["f"]["parameters"] == kinds
    defaults = settings["fields"]
    assert defaults["mean"]["temp_dust"] == 22.1
    assert (defaults["lmax"], defaults["samples"], defaults["remainder"]) == (31, 0, 10.0)


def test_patches_that_follow_the_observed_sky_have_no_mocks():
    changes = {
        "likelihood.foreground_residual": ["neglected", "marginalised"],
        "methods.t": {"strategy": "true_parameters", "patches": BINS},
    }
    (line,) = problems_of(changes)
    assert "patches of methods.t follow the observed sky" in line


@pytest.fixture
def broom(monkeypatch):
    """BROOM seems to be there, or not."""

    def pretend(is_there):
        def find(name):
            return is_there if name == "broom" else find_spec(name)

        monkeypatch.setattr("patchsep.running.checks.find_spec", find)

    return pretend


def test_an_ilc_needs_broom(broom):
    broom(False)
    (line,) = problems_of({"methods.blind": {"strategy": "mc_nilc"}})
    assert line == (
        f"{SOURCE}: methods.blind.strategy: mc_nilc needs BROOM, which is not installed; run "
        "pip install -r envs/peers.txt, or remove this method"
    )
    broom(True)
    settings = load_settings(config_with({"methods.blind": {"strategy": "mc_nilc"}}), SOURCE)
    assert settings["methods"]["blind"]["strategy"] == "mc_nilc"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patches", BINS),
        ("maps", {"beta_dust": "true"}),
        ("errors", {"beta_dust": 0.1}),
        ("smoothing", 5.0),
        ("coherence", 5.0),
        ("parameters", {"beta_dust": "value"}),
        ("n_patches", {"beta_dust": 4}),
        ("n_draws", 2),
        ("independent_patches", True),
        ("seed", 4),
        ("grid", "axes"),
    ],
)
def test_an_ilc_has_no_other_key(broom, key, value):
    broom(True)
    (line,) = problems_of({"methods.blind": {"strategy": "nilc", key: value}})
    assert line == (
        f"{SOURCE}: methods.blind.{key}: not for nilc, which fits no spectral parameters; "
        "remove this key"
    )


def test_moments_need_a_band_each(broom, instrument):
    broom(True)
    path = instrument(**{key: [40, 60, 100, 140, 200] for key in ("frequency", "depth_p", "beam")})
    methods = {f"methods.{name}": {"strategy": name} for name in ("nilc", "moment_ilc")}
    (line,) = problems_of(methods | {"instrument": path})
    assert line == (
        f"{SOURCE}: methods.moment_ilc.strategy: moment_ilc needs 6 bands or more, and {path} has "
        "5; remove this method, or use another instrument"
    )


def test_no_method_and_no_figure_has_spectral_parameters_of_an_ilc(broom):
    broom(True)
    blind = {"methods.blind": {"strategy": "nilc"}}
    binned = {"strategy": "recovered_parameters", "patches": BINS, "recovered_by": "blind"}
    (line,) = problems_of(blind | {"methods.binned": binned})
    assert "methods.binned.recovered_by: 'blind' is no method that it can follow" in line
    lines = problems_of(
        blind | {"figures.methods": {"parameters": ["blind"], "patches": ["blind", "kmeans"]}}
    )
    assert [line.split(": ", 1)[1] for line in lines] == [
        "figures.methods.parameters: blind has no parameters; remove it",
        "figures.methods.patches: blind has no patches; remove it",
    ]


def test_every_method_has_scans_with_a_list_of_values_per_ring_and_parameter():
    values = {"beta_dust": [500, 1500], "temp_dust": 200, "beta_synch": 50}
    complete = {"beta_dust": [500, 1500], "temp_dust": [200], "beta_synch": [50]}
    config = config_with(
        {"methods.kmeans.patches.hi": values, "methods.kmeans.patches.mid": [values, values]}
    )
    methods = load_settings(config, SOURCE)["methods"]
    assert methods["kmeans"]["patches"]["hi"] == [complete]
    assert methods["kmeans"]["patches"]["mid"] == [complete, complete]
    assert methods["uniform"]["patches"] == {
        ring: [{parameter: [1] for parameter in PARAMETERS}] for ring in RINGS
    }
