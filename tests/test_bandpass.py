"""Bandpasses, against PySM's own integration."""

import numpy as np
import pysm3
import pysm3.units as u
import pytest
from workflows import ROOT

from patchsep.instrument.bandpass import (
    FITTED_NODES,
    SIMULATED_NODES,
    Bandpasses,
    Transmission,
    bandpasses,
)
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.units import rj_per_cmb
from patchsep.sky.foregrounds import polarization
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON, component

NSIDE, N_PIXELS = 2, 48
# Of the bands of dust and synchrotron, GHz.
CENTRES = [30.0, 90.0, 220.0, 402.0]
SPREAD = {"beta": (1.2, 1.9), "temp": (12.0, 30.0), "index": (-3.6, -2.5), "curve": (-0.1, 0.1)}
VALUES = {name: np.linspace(*ends, N_PIXELS) for name, ends in SPREAD.items()}


def sky_of(name):
    """One component of PySM with much scatter of its spectral parameters."""
    ones = {f"map_{stokes}": np.ones(N_PIXELS) << u.uK_RJ for stokes in "IQU"}
    reference = {"freq_ref_I": 100 * u.GHz, "freq_ref_P": 100 * u.GHz}
    if name == "dust":
        own = {
            "map_mbb_index": VALUES["beta"],
            "map_mbb_temperature": VALUES["temp"],
            "unit_mbb_temperature": u.K,
        }
        made = pysm3.ModifiedBlackBody(**ones, **reference, **own, nside=NSIDE)
    elif name == "power law":
        made = pysm3.PowerLaw(**ones, **reference, map_pl_index=VALUES["index"], nside=NSIDE)
    else:
        made = pysm3.CurvedPowerLaw(
            **ones,
            **reference,
            map_pl_index=VALUES["index"],
            spectral_curvature=VALUES["curve"],
            freq_curve=100 * u.GHz,
            nside=NSIDE,
        )
    return pysm3.Sky(nside=NSIDE, component_objects=[made])


def of_pysm(sky, frequency, response):
    """Q, U in µK_CMB that PySM integrates over a response in its power units."""
    emission = sky.get_emission(frequency * u.GHz, response)[1:]
    return emission.value * pysm3.utils.bandpass_unit_conversion(
        frequency * u.GHz, response, u.uK_CMB
    ).to_value(u.uK_CMB / u.uK_RJ)


@pytest.mark.parametrize("centre", CENTRES)
# Far from where it bends the curved power law is as steep as -3.9 here.
@pytest.mark.parametrize(
    ("name", "error"), [("dust", 1e-6), ("power law", 1e-6), ("curved power law", 1.5e-6)]
)
def test_a_wide_band_has_what_pysm_integrates(name, error, centre):
    """A top hat of 30 %, of PySM with 2001 points, whose own error is some 1e-8."""
    sky = sky_of(name)
    frequency = centre * np.linspace(0.85, 1.15, 2001)
    expected = of_pysm(sky, frequency, np.ones(2001))
    hat = Transmission.top_hat(centre, 0.3)
    for n_nodes, within in ((FITTED_NODES, error), (SIMULATED_NODES, 1e-7)):
        band = bandpasses([centre], [hat], n_nodes)
        found = polarization(sky, band.nodes, band.weights)[0]
        np.testing.assert_allclose(found, expected, rtol=within)


@pytest.mark.parametrize("name", ["dust", "power law"])
def test_a_measured_band_has_what_pysm_integrates(name):
    """A response with two humps and a tilt."""
    sky, frequency = sky_of(name), np.linspace(120.0, 175.0, 301)
    response = np.exp(-(((frequency - 140) / 8) ** 2)) + 0.5 * np.exp(
        -(((frequency - 158) / 5) ** 2)
    )
    response *= frequency / 150
    band = bandpasses([145.0], [Transmission.tabulated(frequency, response)], FITTED_NODES)
    found = polarization(sky, band.nodes, band.weights)[0]
    np.testing.assert_allclose(found, of_pysm(sky, frequency, response), rtol=1e-6)


def test_what_responds_to_brightness_temperature_weighs_by_the_square_of_frequency():
    frequency = np.linspace(80.0, 110.0, 61)
    response = 1 + 0.3 * np.sin(frequency)
    rules = [
        Transmission.tabulated(frequency, given, convention).rule(FITTED_NODES)
        for given, convention in ((response, "rj"), (response / frequency**2, "intensity"))
    ]
    np.testing.assert_allclose(*rules, rtol=1e-12)


@pytest.mark.parametrize("bandwidth", [0.0, 1e-6])
def test_a_narrow_band_is_its_centre(bandwidth):
    hats = [Transmission.top_hat(centre, bandwidth) for centre in CENTRES]
    wide, narrow = bandpasses(CENTRES, hats, FITTED_NODES), Bandpasses.narrow(CENTRES)
    assert wide.nodes.shape[1] == (FITTED_NODES if bandwidth else 1)
    for one, values in zip(
        DUST_AND_SYNCHROTRON.components,
        DUST_AND_SYNCHROTRON.of_component([1.6, 19.0, -3.1]),
        strict=True,
    ):
        for place, centre in enumerate(CENTRES):
            found, expected = (
                one.in_band(bands.nodes[place], bands.weights[place], *values)
                for bands in (wide, narrow)
            )
            assert found == pytest.approx(expected, rel=1e-9)
            assert expected == pytest.approx(one.sed(centre, *values))


def test_narrow_and_wide_bands_may_be_side_by_side():
    hats = [Transmission.top_hat(40.0, 0.0), Transmission.top_hat(100.0, 0.3)]
    bands = bandpasses([40.0, 100.0], hats, FITTED_NODES)
    assert list(bands.nodes[0]) == FITTED_NODES * [40.0]
    np.testing.assert_allclose(bands.weights[0], [1 / rj_per_cmb(40.0), 0, 0])
    assert np.all(bands.weights[1] > 0)


def test_the_cmb_is_the_same_in_all_bands():
    """Its spectrum, given as a table, is 1 µK_CMB in every band."""
    frequency = np.geomspace(10, 1000, 20001)
    cmb = component("known", "tabulated", 100.0, table=[frequency, rj_per_cmb(frequency)])
    hats = [Transmission.top_hat(centre, 0.3) for centre in CENTRES]
    bands = bandpasses(CENTRES, hats, SIMULATED_NODES)
    found = [cmb.in_band(*band) for band in zip(bands.nodes, bands.weights, strict=True)]
    np.testing.assert_allclose(found, 1 / rj_per_cmb(100.0), rtol=1e-6)


# Files


@pytest.fixture
def described(tmp_path, instrument):
    """LiteBIRD with the bandpass of one band in a file."""

    def write(table):
        (tmp_path / "band.txt").write_text(table)
        files = [None, None, None, "band.txt", *11 * [None]]
        return instrument(bandpass_files=files, bandpass_response="intensity", bandwidth=0.2)

    return write


def test_files_of_bandpasses_are_read_beside_widths(described):
    instrument = read_instrument(described("# GHz, any unit\n60 0\n65 1\n72 0.8\n75 0\n"))
    assert instrument.transmissions[3].extent == (65.0, 72.0)
    assert instrument.transmissions[4].extent == pytest.approx((78 * 0.9, 78 * 1.1), rel=1e-3)


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("60 1\n70 -0.1\n80 1\n", "its transmission is negative somewhere"),
        ("60 0\n70 0\n80 0\n", "its transmission is not finite, or has no positive integral"),
        ("60 1\n70 nan\n80 1\n", "its transmission is not finite, or has no positive integral"),
        ("60 1\n60 1\n", "its frequencies must be two or more, and increase"),
        ("60\n70\n", "columns"),
        ("60 GHz\n", "could not convert"),
        ("60e9 1\n80e9 1\n", "transmits from 6e+10 to 8e+10 GHz, and the band is at 68"),
        ("130 1\n150 1\n", "transmits from 130 to 150 GHz, and the band is at 68"),
    ],
)
def test_a_bandpass_that_cannot_be_used_is_named(described, table, wrong):
    path = described(table)
    with pytest.raises(ValueError, match="bandpass_files") as error:
        read_instrument(path)
    assert str(error.value).startswith(f"{path}: bandpass_files.3: band.txt")
    assert wrong in str(error.value)


def test_several_instruments_are_one_with_bands_of_all():
    paths = [ROOT / f"config/instruments/{name}.yaml" for name in ("litebird_arrays", "planck")]
    both = read_instrument(paths)
    assert both.name == "LiteBIRD + Planck"
    assert len(both.labels) == len(set(both.labels)) == 22 + 7 == len(both.bandpasses(3))
    assert both.labels[0] == "LITEBIRD_LFT_40" and both.labels[-1] == "PLANCK_353GHZ"
    assert both.depth_p[-1] == 438.6
