"""Embedded skies of growing complexity: what each has, and what is refused."""

import numpy as np
import pysm3
import pysm3.units as u
import pytest
from refusals import problems_of

from patchsep.running.data_checks import unknown_parameters
from patchsep.sky.complexity import MEAN_CURVATURE, Complexity
from patchsep.sky.embedded import (
    DUST_FREQUENCY,
    SPINNING_FREQUENCY,
    SPINNING_PER_DUST,
    SYNCH_FREQUENCY,
    embedded_sky,
    layer_places,
)
from patchsep.sky.foregrounds import foreground_sky
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON, spectral_model

NSIDE = 16
CURVED = spectral_model(
    {"dust": {"spectrum": "modified_black_body"}, "synch": {"spectrum": "curved_power_law"}}
)


def qu(sky, frequency):
    return sky.get_emission(frequency * u.GHz)[1:].to_value(u.uK_RJ)


def dust_of(complexity, nside=NSIDE):
    sky = embedded_sky(nside, 1, complexity)
    return [one for one in sky.components if isinstance(one, pysm3.ModifiedBlackBody)]


def test_complexity_one_is_the_sky_as_published():
    one = foreground_sky("embedded", NSIDE, 1, complexity=1)
    for frequency in (40, 140, 402):
        np.testing.assert_array_equal(qu(one, frequency), qu(embedded_sky(NSIDE, 1), frequency))


def test_complexity_zero_has_the_same_spectra_everywhere():
    sky = foreground_sky("embedded", NSIDE, 1, complexity=0)
    dust, synch = sky.components
    for values in (dust.mbb_index, dust.mbb_temperature, synch.pl_index):
        assert np.ptp(values.value) == 0


def test_what_is_given_goes_before_the_number():
    assert Complexity.of(2, curvature=0.0).curvature == 0
    assert Complexity.of(2).curvature == MEAN_CURVATURE
    assert Complexity.of(3).curvature == 2 * MEAN_CURVATURE
    assert Complexity.of(0.5) == Complexity(scatter=0.5)


def test_layers_have_the_power_of_one(nside=64):
    """Power of a sum of independent layers; one sky's scatter of it is some 20 %."""
    power = [
        np.mean(np.square(qu(embedded_sky(nside, seed, Complexity(layers=n)), 353)))
        for n in (1, 6)
        for seed in range(8)
    ]
    one, six = np.reshape(power, (2, 8)).mean(axis=1)
    assert six == pytest.approx(one, rel=0.25)


def test_layers_differ_as_much_as_stated():
    layers = dust_of(Complexity(layers=6, layer_scatter=2.0), nside=32)
    one = dust_of(Complexity(layers=6, layer_scatter=0.0), nside=32)
    parameters = DUST_AND_SYNCHROTRON.parameters[:2]
    for parameter in parameters:
        departure = np.array(
            [
                getattr(a, parameter.pysm).value - getattr(b, parameter.pysm).value
                for a, b in zip(layers, one, strict=True)
            ]
        )
        assert departure.std() == pytest.approx(2 * parameter.scatter, rel=0.02)
        between = departure.mean(axis=1).std()
        assert between == pytest.approx(2 * parameter.scatter / np.sqrt(2), rel=0.02)


def test_bands_decorrelate_where_layers_differ():
    """Of one modified black body with the same spectrum everywhere, they are the same map."""

    def lost(scatter):
        complexity = Complexity(scatter=0.0, layers=6, layer_scatter=scatter)
        layers = dust_of(complexity)
        low, high = (sum(qu(layer, nu) for layer in layers) for nu in (100.0, 353.0))
        norms = np.sqrt(np.sum(low**2) * np.sum(high**2))
        return 1 - np.sum(low * high) / norms

    assert lost(0.0) < 1e-10
    assert 1e-5 < lost(1.0) < lost(2.0) < lost(4.0) < 0.1
    # Where departures are small it is of second order in them.
    assert lost(0.2) / lost(0.1) == pytest.approx(4, rel=0.05)


def test_layers_have_evenly_spaced_means():
    assert layer_places(1) == [0]
    np.testing.assert_allclose(layer_places(2), [-1, 1])
    for n in (2, 3, 6):
        assert layer_places(n).mean() == pytest.approx(0)
        assert layer_places(n).std() == pytest.approx(1)


def test_curvature_bends_the_synchrotron_from_its_reference_on():
    straight = embedded_sky(NSIDE, 1).components[-1]
    curved = embedded_sky(NSIDE, 1, Complexity(curvature=-0.052)).components[-1]
    assert curved.spectral_curvature.value.mean() == pytest.approx(-0.052)
    np.testing.assert_allclose(qu(curved, SYNCH_FREQUENCY), qu(straight, SYNCH_FREQUENCY))
    logs = np.log(100 / SYNCH_FREQUENCY)
    expected = np.exp(curved.spectral_curvature.value * logs**2)
    np.testing.assert_allclose(qu(curved, 100.0) / qu(straight, 100.0), [expected] * 2, rtol=1e-6)


def test_spinning_dust_has_its_polarized_fraction():
    """Of an intensity that is so much of dust's, which is polarized at 5 %."""
    sky = embedded_sky(NSIDE, 1, Complexity(spinning_dust=0.02))
    dust, _, spinning = sky.components
    ratio = qu(spinning, SPINNING_FREQUENCY) / qu(dust, DUST_FREQUENCY)
    np.testing.assert_allclose(ratio, 0.02 * SPINNING_PER_DUST / 0.05)
    # A peak near 30 GHz of flux, and little beyond 100 GHz.
    assert np.std(qu(spinning, 100.0)) < 0.02 * np.std(qu(spinning, 23.0))


def test_true_maps_are_known_where_there_is_one():
    def unknown(model=DUST_AND_SYNCHROTRON, **complexity):
        return list(unknown_parameters({"model": "embedded", "seed": 1, **complexity}, model))

    assert unknown() == unknown(complexity=0.5) == []
    assert unknown(layers=2) == ["beta_dust", "temp_dust"]
    assert unknown(CURVED) == ["curvature_synch"]
    assert unknown(CURVED, curvature=-0.05) == []


def test_a_true_map_of_layers_is_refused():
    (line,) = problems_of(
        {"foregrounds.complexity": 2, "methods.fields.maps": {"temp_dust": "true"}}
    )
    assert "methods.fields.maps.temp_dust: foregrounds.model has no one true map" in line


def test_presets_of_pysm_are_as_complex_as_they_are():
    (line,) = problems_of({"foregrounds": {"model": ["d1", "s1"], "complexity": 2}})
    assert "foregrounds.complexity: only of the embedded sky" in line


BANDS = {"cmb_seeds": [31], "noise_seeds": [32], "patch_seeds": [33], "realizations": 1}


@pytest.mark.parametrize(
    "changes, key",
    [
        (
            {"test_sets.built": BANDS | {"miscalibration": {"gain": {"141GHZ": 0.01}}}},
            "test_sets.built.miscalibration.gain.141GHZ",
        ),
        (
            {"methods.fields.nuisance": {"centre": {"LFT": 1.0}}},
            "methods.fields.nuisance.centre.LFT",
        ),
    ],
)
def test_errors_of_bands_that_there_are_not_are_refused(changes, key):
    (line,) = problems_of(changes)
    assert f"{key}: there is no such band; known are 40GHZ, " in line


def test_nuisance_parameters_are_of_fields():
    (line,) = problems_of({"methods.kmeans.nuisance": {"gain": 0.01}})
    assert "methods.kmeans.nuisance: only for fields" in line
