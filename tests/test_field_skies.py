"""Skies that are cleaned with fields: measured on one observation, seen region by region."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from patchsep.fields.evidence import measure_fields
from patchsep.fields.nuisance import fit_nuisance, nuisance_table
from patchsep.fields.prior import Freedom, expected_prior
from patchsep.fields.residual_tests import CHI2
from patchsep.fields.systematics import ANY
from patchsep.files.tables import read_table, write_table
from patchsep.instrument.bandpass import band_labels
from patchsep.instrument.miscalibration import Miscalibration
from patchsep.skies.cleaned_sky import measure, recovered_maps
from patchsep.skies.field_skies import (
    clean_with_fields,
    mock_foregrounds_of_fields,
    parameter_summary,
)
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

NSIDE, LMAX = 16, 7
MODEL = DUST_AND_SYNCHROTRON
KINDS = {"beta_dust": "field_and_pixels", "temp_dust": "field", "beta_synch": "field"}
LIMITS = {"tolerance": 1e-2}
FREEDOM = Freedom(amplitude=3.0, slope=0.5, octave=0.7)
PIXELS = {"hi": np.arange(300), "low": np.arange(2700, 2900)}
N_PIXELS = 500
SPECTRA = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}


@pytest.fixture(scope="module")
def sky(few_pixels):
    """Two regions whose spectral parameters vary as published."""
    regions = [few_pixels(pixels, 60, name, scatter=1.0) for name, pixels in PIXELS.items()]
    return WholeSky(regions, MODEL)


@pytest.fixture(scope="module")
def observation(sky):
    return sky.observe([0])[1]


def measured_on(sky, observation, kinds, n_patches=4):
    labels = np.arange(N_PIXELS) % n_patches
    priors = [
        expected_prior(
            kinds[parameter.name],
            NSIDE,
            {
                "mean": parameter.mean,
                "mean_error": 4 * parameter.scatter,
                "scatter": parameter.scatter,
                "slope": parameter.slope,
            },
            LMAX,
            labels=labels if kinds[parameter.name] == "patches" else None,
        )
        for parameter in MODEL.parameters
    ]
    where = sky.pixels, sky.nside, sky.bands
    return measure_fields(observation, priors, *where, FREEDOM, 10.0, seed=0, **LIMITS)


@pytest.fixture(scope="module")
def measured(sky, observation):
    return measured_on(sky, observation, KINDS)


@pytest.fixture(scope="module")
def mocks(sky, measured, observation):
    return mock_foregrounds_of_fields(sky, measured, observation, numbers=range(2), seed=5)


@pytest.fixture(scope="module")
def cleaned(sky, measured, mocks):
    whole, _ = clean_with_fields("fields", sky, measured, range(2), mocks, 7, **LIMITS)
    return list(sky.by_region(whole))


def test_the_whole_sky_is_its_regions_one_after_the_other(sky):
    data = sky.observe([0, 1])
    # Foregrounds alone come first.
    assert data.shape == (3, len(sky.bandpasses), 2, N_PIXELS)
    for region, part in zip(sky.regions, sky.parts().values(), strict=True):
        np.testing.assert_array_equal(sky.pixels[part], region.pixels)
        np.testing.assert_array_equal(data[0][..., part], region.foregrounds)
        np.testing.assert_array_equal(sky.cmb[:, part], region.cmb)


def test_there_is_a_sky_of_every_region_and_one_of_all(cleaned):
    names = [(region, one.configuration) for region, one in cleaned]
    assert names == [("hi", "fields"), ("low", "fields"), ("combined", "fields + fields")]
    hi, low, both = (one for _, one in cleaned)
    for field in ("pixels", "cmb", "systematic", "recovered", "parameters", "mock_residuals"):
        joined = np.concatenate([getattr(hi, field), getattr(low, field)], axis=-1)
        np.testing.assert_array_equal(getattr(both, field), joined)
    # One fit of the whole sky: its counts are those of every region.
    for one in (hi, low):
        pd.testing.assert_frame_equal(one.counts, both.counts)
    assert list(both.counts.index) == [0, 1]
    assert both.counts.filter(like="n_unconverged").eq(0).all(axis=None)
    assert both.recovered.shape == (2, 2, N_PIXELS)
    assert both.mock_residuals.shape == both.mock_noise.shape == (2, 2, N_PIXELS)


def test_the_cmb_is_recovered_within_noise(cleaned, sky):
    both = cleaned[-1][1]
    residual = both.recovered - sky.cmb
    # Noise of a pixel that is seen in all bands, without foregrounds.
    least = np.sum(sky.noise.sigma**-2.0) ** -0.5
    assert least < residual.std() < 10 * least
    assert both.systematic.std() < residual.std()


def test_tables_and_maps_have_no_patches(cleaned):
    region, both = cleaned[-1]
    table = measure(region, both, NSIDE, SPECTRA)
    assert list(table["realization"]) == [0, 1]
    assert not [name for name in table if name.startswith("n_patches")]
    maps, units = recovered_maps(both, NSIDE, MODEL)
    assert len(maps) == len(units)
    assert not [name for name in maps if name.startswith("PATCH")]
    np.testing.assert_array_equal(maps["TEMP_DUST"][both.pixels], both.parameters[1])


def test_without_mock_skies_there_is_nothing_of_them(sky, measured):
    both, _ = clean_with_fields("fields", sky, measured, [0], **LIMITS)
    assert both.mock_residuals.shape == both.mock_noise.shape == (0, 2, N_PIXELS)
    assert list(both.counts["n_unconverged_mocks"]) == [0]


def test_a_fit_that_did_not_converge_is_counted(sky, measured, mocks):
    limits = {"max_iterations": 1, "tolerance": 1e-9}
    both, _ = clean_with_fields("fields", sky, measured, [0], mocks, **limits)
    assert list(both.counts["n_unconverged"]) == [1]
    assert list(both.counts["n_unconverged_systematic"]) == [1]
    assert list(both.counts["n_unconverged_mocks"]) == [4]


def test_mock_skies_are_drawn_with_their_seed_and_are_not_the_same(
    sky, measured, observation, mocks
):
    assert mocks.shape == (2, len(sky.bandpasses), 2, N_PIXELS)
    again = mock_foregrounds_of_fields(sky, measured, observation, numbers=range(2), seed=5)
    np.testing.assert_array_equal(again, mocks)
    # The first sky is the same however many there are.
    one = mock_foregrounds_of_fields(sky, measured, observation, numbers=range(1), seed=5)
    np.testing.assert_array_equal(one[0], mocks[0])
    other = mock_foregrounds_of_fields(sky, measured, observation, numbers=range(1), seed=6)
    assert np.all(other[0].std(axis=(1, 2)) > 0) and np.any(other[0] != mocks[0])
    assert np.any(mocks[0] != mocks[1])


def test_parameters_of_mock_skies_are_within_their_bounds(sky, measured, observation, monkeypatch):
    drawn = []

    def emission(frequencies, parameters, amplitudes, model):
        drawn.append(parameters)
        return np.zeros((len(frequencies), 2, parameters.shape[-1]))

    monkeypatch.setattr("patchsep.skies.field_skies.emission", emission)
    narrow = {"temp_dust": (18.9, 19.1)}
    bounds = MODEL.bounds | narrow
    close = WholeSky(sky.regions, MODEL.with_limits(bounds, MODEL.start | {"temp_dust": 19.0}))
    mock_foregrounds_of_fields(close, measured, observation, numbers=range(3), seed=5)
    for maps in drawn:
        for parameter, values in zip(close.model.parameters, maps, strict=True):
            low, high = parameter.bounds
            assert low <= values.min() < values.max() <= high
    # Both bounds are met.
    temperature = np.stack(drawn)[:, 1]
    assert (temperature.min(), temperature.max()) == narrow["temp_dust"]


def test_mock_skies_vary_as_the_fields_that_were_found(sky, measured, observation, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "patchsep.skies.field_skies.emission",
        lambda frequencies, parameters, *_: drawn.append(parameters) or np.zeros(1),
    )
    mock_foregrounds_of_fields(sky, measured, observation, numbers=range(40), seed=1)
    rms = np.stack(drawn).std(axis=(0, 2))
    for parameter, prior, found in zip(MODEL.parameters, measured.priors, rms, strict=True):
        assert found == pytest.approx(prior.scatter, rel=0.3), parameter.name


def test_the_summary_has_what_is_found_beside_what_was_expected(measured):
    table = parameter_summary(measured, MODEL)
    assert list(table["parameter"]) == list(MODEL.names) == list(KINDS)
    assert list(table["kind"]) == list(KINDS.values())
    np.testing.assert_allclose(table["expected_mean"], [p.mean for p in MODEL.parameters])
    np.testing.assert_allclose(table["expected_scatter"], [p.scatter for p in MODEL.parameters])
    # The true means, over all of the sky, of `few_pixels`.
    errors = 2 * table["expected_scatter"]
    assert (np.abs(table["mean"] - [1.6, 19.0, -3.1]) < errors).all()
    assert (table["scatter"] / table["expected_scatter"]).between(0.2, 5).all()
    assert table["slope"].between(-4, -1).all()
    assert table["effective_modes"].between(1, 3 * (LMAX + 1) ** 2).all()
    assert table["remainder"][0] == pytest.approx(10 * table["scatter"][0])
    assert list(table["remainder"][1:]) == [0, 0]


def test_a_fit_of_fields_leaves_what_is_expected_in_every_band_and_region(sky, measured):
    numbers = range(20)
    _, tests = clean_with_fields("fields", sky, measured, numbers, **LIMITS)
    own = tests[(tests["parameter"] == CHI2) & (tests["with_parameter"] != ANY)]
    assert list(own["region"].unique()) == ["hi", "low", "combined"]
    # All bands, bands, and four octaves below twice nside of each.
    rows = 1 + 5 * len(sky.bandpasses)
    assert len(own) == len(numbers) * 3 * rows
    # Octaves share the noise of their bands.
    bands = own[own["with_parameter"].isin(band_labels(sky.bandpasses.centre))]
    pulls = bands["moment"] / bands["error"]
    for _, of_region in pulls.groupby(bands["region"]):
        assert of_region.mean() == pytest.approx(0, abs=4 / np.sqrt(len(of_region)))
        assert of_region.std() == pytest.approx(1, abs=0.1)
    joint = tests[(tests["parameter"] == CHI2) & (tests["with_parameter"] == ANY)]
    assert np.mean(joint["probability"] < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(joint))


@pytest.mark.parametrize("first", ["patches", "value"])
def test_a_run_may_have_no_fields(sky, observation, tmp_path, first):
    kinds = {"beta_dust": "pixels", "temp_dust": first, "beta_synch": "value"}
    measured = measured_on(sky, observation, kinds)
    summary = parameter_summary(measured, MODEL)
    assert list(summary["kind"]) == list(kinds.values())
    assert summary[["scatter", "slope", "effective_modes"]].isna().all(axis=None)
    write_table(tmp_path / "spectra.csv", measured.spectra)
    spectra = read_table(tmp_path / "spectra.csv")
    assert spectra.empty
    assert {"parameter", "ell_min", "ell_max", "expected", "prior", "power"} <= set(spectra)
    found = np.asarray(measured.maximum.at.parameters)
    assert len(np.unique(found[1].round(9))) == (4 if first == "patches" else 1)
    mocks = mock_foregrounds_of_fields(sky, measured, observation, numbers=range(1), seed=0)
    assert np.isfinite(mocks).all()


def test_errors_of_bands_are_fitted_corrected_and_in_mock_skies(sky, measured):
    """A band whose gain is wrong by 1 %, and another whose angle is by half a degree."""
    labels = sky.bandpasses.labels
    built = Miscalibration.of(labels, gain={"100GHZ": 0.01}, angle={"140GHZ": 0.5}).response
    seen = replace(
        sky,
        regions=[
            replace(one, foregrounds=built @ one.foregrounds, response=built) for one in sky.regions
        ],
    )
    assert np.abs(seen.observe([0])[1] - sky.observe([0])[1]).max() > 0.5
    priors = {("gain", "100GHZ"): 0.02, ("angle", "140GHZ"): 1.0}
    parameters = np.asarray(measured.maximum.at.parameters)
    fitted_to = seen.observe([0])[1], parameters, seen.bandpasses, seen.noise, MODEL, priors
    corrected = replace(seen, nuisance=fit_nuisance(*fitted_to))
    row = nuisance_table(corrected.nuisance).set_index("nuisance")
    pulls = (row["value"] - pd.Series({"gain": 0.01, "angle": 0.5})) / row["error"]
    assert (pulls.abs() < 4).all() and (row["error"] < row["prior"] / 4).all()
    # Foregrounds alone are as they were, but for the errors' own errors.
    left = corrected.observe([])[0] - sky.observe([])[0]
    before = seen.observe([])[0] - sky.observe([])[0]
    assert left.std() < 0.3 * before.std()
    observation = corrected.observe([0])[1]
    sure = replace(corrected.nuisance, covariance=np.zeros((2, 2)))
    alike = [
        mock_foregrounds_of_fields(one, measured, observation, numbers=range(1), seed=5)[0]
        for one in (corrected, replace(corrected, nuisance=sure))
    ]
    draw = corrected.nuisance.draw(np.random.default_rng([5, 0, len(measured.priors)]))
    np.testing.assert_allclose(alike[0], draw.response @ alike[1], rtol=1e-10, atol=1e-10)
    assert np.abs(draw.response[6] - np.eye(2)).max() > 0
    # What is fitted is not tested, and nothing but what it is fitted to.
    _, tests = clean_with_fields("fields", corrected, measured, range(2), **LIMITS)
    assert list(tests["realization"].unique()) == [0]
    rows = list(zip(tests["parameter"], tests["with_parameter"], strict=True))
    assert not set(priors) & set(rows) and ("gain", "140GHZ") in rows
