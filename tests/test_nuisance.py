"""Gain, centre and angle of bands as nuisance parameters: recovered within their errors."""

import numpy as np
import pytest
from bright_pixels import MODEL, N_PIXELS, PARAMETERS, sky_of, wide

from patchsep.fields.nuisance import fit_nuisance, nuisance_table, priors_of
from patchsep.files.maps import read_response, write_polarization
from patchsep.instrument.bandpass import Bandpasses
from patchsep.instrument.miscalibration import OF_BANDS, Miscalibration
from patchsep.instrument.noise import WhiteNoise

N_DRAWS = 24
SIGMA = {"gain": 0.01, "centre": 1.0, "angle": 0.5}


@pytest.fixture(scope="module")
def bands(litebird):
    return wide(litebird)


@pytest.fixture(scope="module")
def noise(dense):
    return WhiteNoise(dense.sigma)


def seen(built, bands):
    return built.response @ sky_of(built.shift(bands))


def fit(data, bands, noise, priors):
    return fit_nuisance(data, PARAMETERS, bands, noise, MODEL, priors)


def test_errors_drawn_from_their_priors_are_within_their_errors(bands, noise):
    """45 of them, of 24 draws: pulls of zero mean and unit variance."""
    rng, pulls, shrunk = np.random.default_rng(7), [], []
    priors = priors_of(SIGMA, bands.labels)
    for number in range(N_DRAWS):
        drawn = {
            kind: dict(zip(bands.labels, sigma * rng.standard_normal(len(bands)), strict=True))
            for kind, sigma in SIGMA.items()
        }
        built = Miscalibration.of(bands.labels, **drawn)
        data = seen(built, bands) + noise.draw(N_PIXELS, 5, number, "")
        found = fit(data, bands, noise, priors)
        error = np.sqrt(np.diag(found.covariance))
        truth = [drawn[kind][label] for kind, label in priors]
        pulls.append((found.value - truth) / error)
        shrunk.append(error / found.prior)
    correlation = found.covariance / np.outer(error, error)
    scatter = np.sqrt(2 * np.mean(correlation**2) / N_DRAWS)
    assert np.mean(np.square(pulls)) == pytest.approx(1, abs=3 * scatter)
    assert np.abs(np.mean(pulls, axis=0)).max() < 4 / np.sqrt(N_DRAWS)
    assert np.max(shrunk) <= 1 and np.median(shrunk) < 0.5


@pytest.mark.parametrize("kind", OF_BANDS)
def test_one_band_alone_may_have_an_error(bands, noise, kind):
    size = SIGMA[kind]
    built = Miscalibration.of(bands.labels, **{kind: {"140GHZ": size}})
    data = seen(built, bands) + noise.draw(N_PIXELS, 5, 0, "")
    found = fit(data, bands, noise, priors_of({kind: {"140GHZ": size}}, bands.labels))
    (row,) = nuisance_table(found).to_dict("records")
    assert (row["nuisance"], row["band"], row["prior"]) == (kind, "140GHZ", size)
    assert row["error"] < 0.3 * size and abs(row["value"] - size) < 4 * row["error"]
    # What is corrected is as described, but for what the error leaves.
    corrected = found.miscalibration.correct(data - noise.draw(N_PIXELS, 5, 0, ""))
    expected = sky_of(found.miscalibration.shift(bands))
    before = np.abs(seen(built, bands) - sky_of(bands)).max()
    assert np.abs(corrected - expected).max() < 0.5 * before


def test_what_no_data_tell_keeps_its_prior(bands, noise):
    """All gains together are the amplitude of the sky."""
    priors = priors_of({"gain": 0.01}, bands.labels)
    found = fit(sky_of(bands), bands, noise, priors)
    common = np.ones(len(bands)) / len(bands)
    assert common @ found.covariance @ common == pytest.approx(0.01**2 / len(bands), rel=1e-3)


def test_draws_have_the_covariance(bands, noise):
    priors = priors_of({"gain": 0.01}, bands.labels)
    found = fit(sky_of(bands), bands, noise, priors)
    rng = np.random.default_rng(3)
    gains = np.array([found.draw(rng).gain for _ in range(2000)])
    scatter = gains.std(axis=0) / np.sqrt(np.diag(found.covariance))
    np.testing.assert_allclose(scatter, 1, atol=4 / np.sqrt(4000))


def test_a_miscalibration_is_what_it_says(litebird):
    bands = Bandpasses.narrow(litebird.frequency)
    built = Miscalibration.of(
        bands.labels, gain={"140GHZ": 0.02}, centre={"40GHZ": 1.5}, angle={"40GHZ": 45.0}
    )
    assert built.shift(bands).nodes[0, 0] == pytest.approx(41.5)
    np.testing.assert_allclose(built.response[8], 1.02 * np.eye(2))
    # U of a map whose angle is larger by 45 degrees was Q.
    np.testing.assert_allclose(built.response[0] @ [1, 0], [0, 1], atol=1e-12)
    data = np.random.default_rng(0).standard_normal((len(bands), 2, 7))
    np.testing.assert_allclose(built.correct(built.response @ data), data)


def test_an_unknown_band_is_refused(litebird):
    with pytest.raises(ValueError, match="there is no such band; known are 40GHZ"):
        Miscalibration.of(litebird.labels, gain={"141GHZ": 0.01})


def test_what_bands_make_of_q_and_u_is_kept_beside_their_maps(litebird, tmp_path):
    built = Miscalibration.of(litebird.labels, gain={"140GHZ": 0.01}, angle={"402GHZ": 0.3})
    maps = np.zeros((len(litebird.labels), 2, 12))
    for name, response in (("described", None), ("built", built.response)):
        write_polarization(tmp_path / f"{name}.fits", maps, litebird.labels, name, response)
    assert read_response(tmp_path / "described.fits") is None
    np.testing.assert_array_equal(read_response(tmp_path / "built.fits"), built.response)
