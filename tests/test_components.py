"""Kinds of components, beside formulae that are written out again; and how one is added."""

import re

import jax
import numpy as np
import pytest
import yaml
from astropy.modeling.physical_models import BlackBody
from refusals import SOURCE, config_with, problems_of
from workflows import ROOT

from patchsep.instrument.bandpass import Transmission, bandpasses
from patchsep.instrument.noise import WhiteNoise
from patchsep.running.settings import load_settings
from patchsep.separation.fit import separate
from patchsep.sky.spectral_model import SPECTRA, component, spectral_model

FREQUENCIES = np.array([21.0, 40, 90, 150, 230, 353])
FIELDS = {"methods": {"fields": {"strategy": "fields"}}, "figures.drawn": []}


def black_body(nu, beta, temperature):
    import pysm3.units as u

    brightness = BlackBody(temperature * u.K)(nu * u.GHz).value
    return nu ** (beta - 2.0) * brightness


FORMULAE = {
    "modified_black_body": (black_body, [1.6, 19.0]),
    "power_law": (lambda nu, beta: nu**beta, [-3.1]),
    "curved_power_law": (
        lambda nu, beta, c: np.exp(beta * np.log(nu / 20) + c * np.log(nu / 20) ** 2),
        [-3.1, -0.07],
    ),
    "spinning_dust": (
        lambda nu, peak, width: nu**-2.0 * np.exp(-(np.log(nu / peak) ** 2) / (2 * width**2)),
        [23.0, 0.5],
    ),
    "free_free": (lambda nu, beta: nu**beta, [-2.13]),
}


@pytest.mark.parametrize("kind", FORMULAE)
def test_brightness_is_that_of_the_formula(kind):
    formula, values = FORMULAE[kind]
    one = component("known", kind)
    expected = formula(FREQUENCIES, *values) / formula(one.reference, *values)
    np.testing.assert_allclose(one.brightness(FREQUENCIES, *values), expected, rtol=1e-9)


def test_every_kind_has_a_formula_or_a_table():
    assert set(SPECTRA) == {*FORMULAE, "tabulated"}


def test_a_table_is_linear_in_logarithms():
    nu = np.geomspace(10, 1000, 7)
    one = component("known", "tabulated", 90.0, table=[nu, 5 * nu**-2.5])
    np.testing.assert_allclose(one.brightness(FREQUENCIES), (FREQUENCIES / 90) ** -2.5)


@pytest.mark.parametrize("kind", FORMULAE)
def test_derivatives_are_differences(kind):
    """Of columns within wide bands, by every parameter and pair of them."""
    values = np.array(FORMULAE[kind][1])
    one = component("known", kind)
    hats = [Transmission.top_hat(centre, 0.3) for centre in FREQUENCIES]
    bands = bandpasses(FREQUENCIES, hats, 3)
    with jax.enable_x64(True):
        constants = one.constants(bands.nodes, bands.weights)
        found = jax.tree.map(np.asarray, one.spectra(*values)(constants))
    step = 1e-4 * np.array([parameter.reach for parameter in one.parameters])

    def column(shift):
        with jax.enable_x64(True):
            return np.asarray(one.column(constants, *(values + shift)))

    unit = np.diag(step)
    np.testing.assert_allclose(found.value, column(0), rtol=1e-12)
    for k, first in enumerate(found.first):
        expected = (column(unit[k]) - column(-unit[k])) / (2 * step[k])
        np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-8 * np.abs(expected).max())
    scale = np.abs(found.value)
    for (k, m), second in found.second.items():
        far, signs = 10 * unit, (1, -1)
        corners = sum(i * j * column(i * far[k] + j * far[m]) for i in signs for j in signs)
        corners /= 400 * step[k] * step[m]
        reach = one.parameters[k].reach * one.parameters[m].reach
        np.testing.assert_allclose(
            second * reach / scale, corners * reach / scale, rtol=2e-4, atol=2e-4
        )


def test_what_is_fixed_is_no_parameter():
    free = component("dust", "modified_black_body")
    fixed = component("dust", "modified_black_body", fixed={"beta_dust": 1.6})
    assert [one.name for one in fixed.parameters] == ["temp_dust"]
    np.testing.assert_allclose(
        fixed.brightness(FREQUENCIES, 19.0), free.brightness(FREQUENCIES, 1.6, 19.0)
    )
    with jax.enable_x64(True):
        constants = free.constants(FREQUENCIES[:, None], np.ones((6, 1)))
        one, both = fixed.spectra(19.0)(constants), free.spectra(1.6, 19.0)(constants)
    np.testing.assert_allclose(one.first[0], both.first[1])
    np.testing.assert_allclose(one.second[0, 0], both.second[1, 1])
    with pytest.raises(ValueError, match="has no beta, but beta_dust, temp_dust"):
        component("dust", "modified_black_body", fixed={"beta": 1.6})


# Configurations


def test_names_of_parameters_follow_from_those_of_components():
    components = {
        "dust": {"spectrum": "modified_black_body"},
        "cold": {"spectrum": "modified_black_body", "fixed": {"beta_cold": 1.7}},
        "synch": {"spectrum": "curved_power_law"},
    }
    changes = FIELDS | {"components": components, "fit": {"start": {"temp_cold": 12.0}}}
    settings = load_settings(config_with(changes), SOURCE)
    names = ["beta_dust", "temp_dust", "temp_cold", "beta_synch", "curvature_synch"]
    assert list(settings["fit"]["bounds"]) == list(settings["fields"]["slope"]) == names
    model = spectral_model(settings["components"], start=settings["fit"]["start"])
    assert [one.start for one in model.parameters] == [1.54, 20.0, 12.0, -3.0, 0.0]
    labels = [one.label for one in model.parameters]
    assert labels[2] == r"$T_\mathrm{cold}$ [K]"


DUST, SYNCH = {"spectrum": "modified_black_body"}, {"spectrum": "power_law"}


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ({}, "components: {} does not fit here."),
        ({"dust": {}}, "components.dust.spectrum: missing; add this key"),
        ({"dust": {"spectrum": "mbb"}}, "components.dust.spectrum: 'mbb' is unknown; known are"),
        ({"cmb": DUST}, "Names are of small letters and digits, and not cmb."),
        ({"Dust": DUST}, "Names are of small letters and digits, and not cmb."),
        ({"dust": DUST | {"fixd": {}}}, "components.dust.fixd: unknown key; did you mean fixed?"),
        (
            {"dust": DUST | {"fixed": {"beta": 1.5}}},
            "components.dust.fixed: modified_black_body has no beta, but beta_dust, temp_dust",
        ),
        ({"dust": DUST | {"fixed": {"beta_dust": "x"}}}, "needed is a number"),
        ({"dust": DUST | {"file": "x.txt"}}, "components.dust.file: only tabulated"),
        ({"dust": {"spectrum": "tabulated"}}, "name the file of its table"),
        (
            {"dust": DUST, "dusttwo": DUST, "synch": SYNCH},
            "components.dusttwo: dust has the same spectrum in the bands of",
        ),
        (
            {"dust": DUST | {"fixed": {"beta_dust": 1.5, "temp_dust": 20}}},
            "components: nothing is left to fit; let a parameter be free",
        ),
    ],
)
def test_components_that_cannot_be_are_refused(components, said):
    (line,) = problems_of(FIELDS | {"components": components})
    assert said in line


def instrument_at(folder, *frequencies) -> str:
    """The path of the description of an instrument with bands of one depth."""
    ones = [1.0] * len(frequencies)
    content = {"frequency": list(frequencies), "depth_p": ones, "beam": ones}
    path = folder / "instrument.yaml"
    path.write_text(yaml.safe_dump({"name": "test", "source": "none"} | content))
    return str(path)


def test_a_parameter_that_no_band_constrains_is_named(tmp_path):
    """Below 30 GHz dust is a power law whatever its temperature."""
    low = instrument_at(tmp_path, 1.0, 1.2, 1.5, 2.0, 2.5)
    (line,) = problems_of(FIELDS | {"instrument": low})
    assert "components.dust: no band of" in line and "constrains temp_dust; fix it with" in line


def test_more_components_than_bands_can_tell_are_refused(tmp_path):
    three = instrument_at(tmp_path, 30.0, 100.0, 300.0)
    (line,) = problems_of(FIELDS | {"instrument": three})
    assert "has 3 bands for 3 components with the CMB; 4 or more can constrain" in line


# The page


def test_a_component_is_added_as_the_page_says(monkeypatch):
    """Its parameters are found again in a bright region, in wide bands."""
    page = (ROOT / "docs/adding.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from functools.*?)```", page, flags=re.DOTALL)
    monkeypatch.setattr("patchsep.sky.spectral_model.SPECTRA", dict(SPECTRA))
    # The page's own import is of that dictionary.
    exec(code, {})
    model = spectral_model({"dust": DUST, "cut": {"spectrum": "cut_power_law"}})
    assert model.names == ("beta_dust", "temp_dust", "beta_cut", "cut_cut")
    truth, rng = np.array([1.6, 19.0, -2.9, 400.0]), np.random.default_rng(0)
    frequencies = np.array([20.0, 30, 45, 70, 100, 150, 220, 300])
    hats = [Transmission.top_hat(centre, 0.2) for centre in frequencies]
    bands = bandpasses(frequencies, hats, 3)
    maps = np.array([1000.0, 1e5])[:, None, None] * rng.standard_normal((2, 2, 40))
    data = sum(
        one.in_bands(bands, *own)[:, None, None] * amplitude
        for one, own, amplitude in zip(model.components, model.of_component(truth), maps)
    )
    patches = dict.fromkeys(model.names, np.zeros(40, int))
    noise = WhiteNoise(np.ones(8))
    fits = separate(data[None], noise, bands, patches, model)
    found = [fits.parameters[name][0, 0] for name in model.names]
    assert fits.converged.all()
    np.testing.assert_allclose(found, truth, rtol=1e-4)
