"""Foregrounds: PySM's presets as published, and the embedded sky as described."""

import healpy as hp
import numpy as np
import pandas as pd
import pysm3
import pysm3.units as u
import pytest
from astropy.utils.data import conf

from patchsep.instrument.bandpass import Bandpasses
from patchsep.sky.embedded import DUST_SPECTRUM, SYNCH_SPECTRUM, embedded_sky
from patchsep.sky.foregrounds import (
    MissingTemplate,
    foreground_sky,
    set_parameters,
    simulate_foregrounds,
    true_parameters,
)
from patchsep.sky.presets import EMISSIONS, emits, owns
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL

BANDS = [30.0, 100.0, 353.0]
# PySM's files with the parameters of d1 and s1.
TEMPLATES = {"beta_dust": "dust_beta", "temp_dust": "dust_temp", "beta_synch": "synch_beta"}


@pytest.fixture(scope="module")
def bands():
    return Bandpasses.narrow(BANDS)


def in_cmb(emission, frequency):
    """Q, U in µK_CMB of what PySM emits."""
    return emission[1:].to_value(u.uK_CMB, equivalencies=u.cmb_equivalencies(frequency * u.GHz))


def gal060(shared):
    """Planck's mask that keeps 60 % of the sky, nside 64."""
    return np.load(shared / "sky/masks/gal_masks_nside64.npz")["GAL060"] > 0


# PySM presets


@pytest.fixture(scope="module")
def templates(shared):
    """PySM's template files, which PySM then reads too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
        yield shared / "sky/pysm/pysm_2"


@pytest.fixture(scope="module")
def presets(templates, bands):
    return {
        name: simulate_foregrounds([name], bands.nodes, bands.weights, 64, MODEL)
        for name in ("d1", "s1")
    }


@pytest.mark.parametrize("preset", ["d1", "s1"])
def test_presets_are_the_pysm_2_reference_maps(presets, shared, preset):
    reference = np.load(shared / "sky/reference/pysm2_check_subset.npz")
    for band, frequency in zip(presets[preset].polarization, BANDS, strict=True):
        in_rj = (band[:, reference["pix"]] * u.uK_CMB).to_value(
            u.uK_RJ, equivalencies=u.cmb_equivalencies(frequency * u.GHz)
        )
        np.testing.assert_allclose(in_rj, reference[f"{preset}_{frequency:.0f}"][1:], rtol=1e-5)


def test_dust_intensity_is_the_pysm_2_reference_map(presets, shared):
    reference = np.load(shared / "sky/reference/pysm2_check_subset.npz")
    intensity = presets["d1"].dust_intensity[reference["pix"]]
    np.testing.assert_allclose(intensity, reference["d1_353"][0], rtol=1e-5)


@pytest.mark.parametrize("nside", [64, 32])
def test_true_parameters_of_d1s1_are_its_templates(templates, nside):
    sky = pysm3.Sky(nside=nside, preset_strings=["d1", "s1"])
    found = true_parameters(sky, MODEL)
    for parameter, file in TEMPLATES.items():
        template = hp.read_map(templates / f"{file}.fits", dtype=float)
        expected = hp.ud_grade(template, nside)
        np.testing.assert_allclose(found[parameter], expected, rtol=1e-6)


def test_true_parameters_of_d0s0_are_constant(templates):
    found = true_parameters(pysm3.Sky(nside=16, preset_strings=["d0", "s0"]), MODEL)
    for parameter, value in {"beta_dust": 1.54, "temp_dust": 20, "beta_synch": -3}.items():
        np.testing.assert_allclose(found[parameter], np.full(hp.nside2npix(16), value))


def test_parameters_that_a_model_does_not_have_are_nan(presets):
    assert np.isnan(presets["d1"].parameters["beta_synch"]).all()
    assert np.isnan(presets["s1"].parameters["beta_dust"]).all()


# The embedded sky


@pytest.fixture(scope="module")
def embedded():
    return embedded_sky(32, seed=0)


@pytest.mark.parametrize("frequency", [27.0, 95.0, 270.0, 402.0])
def test_sky_scales_between_bands_as_the_fitted_model_does(embedded, frequency):
    """PySM's emission in a band is its emission at the reference frequency times the SED."""
    parameters = true_parameters(embedded, MODEL)
    dust, synch = embedded.components
    dust_reference, synch_reference = (
        component.get_emission(reference * u.GHz)[1:].to_value(u.uK_RJ)
        for component, reference in ((dust, 160), (synch, 20))
    )
    scaling = MODEL.components[0].sed(frequency, parameters["beta_dust"], parameters["temp_dust"])
    band = frequency * u.GHz
    np.testing.assert_allclose(
        dust_reference * scaling, in_cmb(dust.get_emission(band), frequency), rtol=1e-9
    )
    scaling = MODEL.components[1].sed(frequency, parameters["beta_synch"])
    np.testing.assert_allclose(
        synch_reference * scaling, in_cmb(synch.get_emission(band), frequency), rtol=1e-9
    )


@pytest.mark.parametrize("nside", [16, 32])
def test_embedded_sky_is_fixed_by_its_seed(bands, nside):
    first, again, other = (
        simulate_foregrounds("embedded", bands.nodes, bands.weights, nside, MODEL, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.polarization, again.polarization)
    np.testing.assert_array_equal(first.dust_intensity, again.dust_intensity)
    for band, other_band in zip(first.polarization, other.polarization, strict=True):
        assert abs(np.corrcoef(band.ravel(), other_band.ravel())[0, 1]) < 0.5
    for name, values in first.parameters.items():
        np.testing.assert_array_equal(values, again.parameters[name])
        assert np.corrcoef(values, other.parameters[name])[0, 1] < 0.9


@pytest.mark.parametrize("parameter", MODEL.parameters, ids=MODEL.names)
def test_embedded_parameters_have_the_stated_mean_and_scatter(embedded, parameter):
    values = true_parameters(embedded, MODEL)[parameter.name]
    assert values.mean() == pytest.approx(parameter.mean)
    assert values.std() == pytest.approx(parameter.scatter)


@pytest.mark.parametrize("parameter", MODEL.parameters, ids=MODEL.names)
def test_stated_scatter_is_that_of_d1s1_in_plancks_region(shared, templates, parameter):
    values = hp.read_map(templates / f"{TEMPLATES[parameter.name]}.fits", dtype=float)[
        gal060(shared)
    ]
    assert values.std() == pytest.approx(parameter.scatter, rel=0.02)


@pytest.mark.parametrize("parameter", MODEL.parameters, ids=MODEL.names)
def test_stated_mean_is_that_of_d1s1_in_plancks_region(shared, templates, parameter):
    values = hp.read_map(templates / f"{TEMPLATES[parameter.name]}.fits", dtype=float)[
        gal060(shared)
    ]
    assert values.mean() == pytest.approx(parameter.mean, rel=0.01)


def test_embedded_sky_is_brighter_towards_the_plane(embedded):
    latitude = np.abs(hp.pix2ang(32, np.arange(hp.nside2npix(32)), lonlat=True)[1])
    zones = [latitude > 50, (latitude > 20) & (latitude <= 50), latitude <= 20]
    for component, frequency in zip(embedded.components, (353, 23), strict=True):
        q_and_u = component.get_emission(frequency * u.GHz)[1:].value
        rms = [np.sqrt(np.mean(q_and_u[:, zone] ** 2)) for zone in zones]
        assert rms[0] < rms[1] < rms[2]


N_SKIES, SPECTRUM_NSIDE = 6, 64
ELL = np.arange(2 * SPECTRUM_NSIDE + 1)
FIT = slice(30, 121)


def power_law(spectrum):
    """D_80 and the exponent of C_ell, from a straight line weighted by the number of modes."""
    line = np.polyfit(np.log(ELL[FIT] / 80), np.log(spectrum[FIT]), 1, w=np.sqrt(2 * ELL[FIT] + 1))
    return np.exp(line[1]) * 80 * 81 / (2 * np.pi), line[0]


def apodized_faint_sky(intensity):
    """The 60 % of the sky with the faintest smoothed dust, with an edge healpy can analyse."""
    smooth = hp.smoothing(intensity, fwhm=np.radians(10))
    kept = (smooth <= np.quantile(smooth, 0.6)).astype(float)
    inner = 2 * hp.smoothing(kept, fwhm=np.radians(20)) - 1
    return kept, np.where(kept > 0, np.clip(inner, 0, 1), 0.0)


def masked_spectra(qu, brightness, kept, weight):
    """EE and BB of Q, U on a weighted sky, per unit mean-square brightness on `kept`."""
    power = np.mean((weight * brightness) ** 2) / np.average(brightness**2, weights=kept)
    return hp.anafast([np.zeros_like(weight), *(weight * qu)], lmax=ELL[-1])[1:3] / power


@pytest.fixture(scope="module")
def measured():
    """Spectra of each component, under the names of the stated ones, as arrays over skies."""
    rows = {"dust": [], "synch": []}
    for seed in range(N_SKIES):
        dust, synch = embedded_sky(SPECTRUM_NSIDE, seed).components
        emission = dust.get_emission(353 * u.GHz)
        intensity = emission[0].value
        kept, weight = apodized_faint_sky(intensity)
        skies = {
            # Dust follows the intensity, synchrotron its square root.
            "dust": (in_cmb(emission, 353), intensity),
            "synch": (synch.get_emission(23 * u.GHz)[1:].value, np.sqrt(intensity)),
        }
        for name, (qu, brightness) in skies.items():
            ee, bb = masked_spectra(qu, brightness, kept, weight)
            (d80_ee, alpha_ee), (d80_bb, alpha_bb) = power_law(ee), power_law(bb)
            rows[name].append(
                dict(d80_ee=d80_ee, alpha_ee=alpha_ee, alpha_bb=alpha_bb, b_to_e=d80_bb / d80_ee)
            )
    return {name: pd.DataFrame(table) for name, table in rows.items()}


@pytest.mark.parametrize("quantity", ["d80_ee", "alpha_ee", "alpha_bb", "b_to_e"])
@pytest.mark.parametrize("component, stated", [("dust", DUST_SPECTRUM), ("synch", SYNCH_SPECTRUM)])
def test_embedded_spectra_are_as_stated_within_the_scatter_of_a_sky(
    measured, component, stated, quantity
):
    values = measured[component][quantity]
    assert abs(values.mean() - stated[quantity]) < 3 * values.std()


@pytest.mark.parametrize("preset, stated", [("d1", DUST_SPECTRUM), ("s1", SYNCH_SPECTRUM)])
def test_stated_amplitudes_are_those_of_d1s1_in_plancks_region(shared, templates, preset, stated):
    kept = gal060(shared)
    frequency = {"d1": 353, "s1": 23}[preset]
    emission = pysm3.Sky(nside=64, preset_strings=[preset]).get_emission(frequency * u.GHz)
    # As stated, dust is in µK_CMB and synchrotron in µK_RJ.
    qu = in_cmb(emission, frequency) if preset == "d1" else emission[1:].value
    ee = hp.anafast([np.zeros(kept.size), *(kept * qu)], lmax=ELL[-1])[1] / kept.mean()
    assert power_law(ee)[0] == pytest.approx(stated["d80_ee"], rel=0.02)


def test_parameters_of_a_sky_can_be_replaced():
    sky = foreground_sky("embedded", 8, 1)
    rng = np.random.default_rng(0)
    n_pixels = hp.nside2npix(8)
    parameters = {"beta_dust": 1.5 + 0.1 * rng.standard_normal(n_pixels)}
    before = true_parameters(sky, MODEL)
    set_parameters(sky, parameters, MODEL)
    after = true_parameters(sky, MODEL)
    np.testing.assert_array_equal(after["beta_dust"], parameters["beta_dust"])
    np.testing.assert_array_equal(after["temp_dust"], before["temp_dust"])


def test_parameters_that_several_components_have_are_not_replaced():
    sky = foreground_sky("embedded", 8, 1)
    sky.components.append(sky.components[0])
    with pytest.raises(ValueError, match="2 components of this sky have a beta_dust"):
        set_parameters(sky, {"beta_dust": np.ones(hp.nside2npix(8))}, MODEL)


@pytest.mark.parametrize("preset", ["d0", "d1", "d2", "d3", "d6", "s0", "s1", "s2", "s3", "f1"])
def test_what_a_preset_is_follows_from_pysms_classes(shared, monkeypatch, preset):
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
    sky = foreground_sky([preset], 16)
    assert {one.pysm for one in MODEL.parameters if owns(preset, one.pysm)} == {
        one.pysm for one in MODEL.parameters if hasattr(sky.components[0], one.pysm)
    }
    has_polarization = sky.get_emission(100 * u.GHz)[1:].value.any()
    assert any(emits(preset, emission) for emission in EMISSIONS) == has_polarization


def test_a_download_that_fails_is_told_with_preset_file_and_mend(tmp_path, monkeypatch):
    monkeypatch.setenv("PYSM_LOCAL_DATA", str(tmp_path))
    monkeypatch.setattr(conf, "allow_internet", False)
    with pytest.raises(MissingTemplate) as error:
        foreground_sky(["s6", "co1"], 16)
    (line,) = str(error.value).splitlines()
    assert line.startswith("foregrounds.model: s6 needs synch/raw/synch_largescale_template")
    assert "https://portal.nersc.gov/project/cmb/pysm-data/synch/raw/synch_largescale" in line
    assert line.endswith("into the folder that PYSM_LOCAL_DATA names")
