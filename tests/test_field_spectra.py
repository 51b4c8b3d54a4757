"""Spectra of fields, measured on one observation: right within errors that are errors."""

import healpy as hp
import numpy as np
import pytest
from scipy.stats import chi2

from patchsep.fields.basis import Basis
from patchsep.fields.evidence import N_VECTORS, measure_fields
from patchsep.fields.fit import curvature_of
from patchsep.fields.prior import (
    Freedom,
    error_spectrum,
    expected_prior,
    field_spectrum,
    octaves,
    variance_of,
)
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.skies.mocks import emission
from patchsep.sky.parameter_fields import gaussian_field
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

MODEL = DUST_AND_SYNCHROTRON
NSIDE = 8
# All that a map of this resolution has.
LMAX = 3 * NSIDE - 1
# Of maps that vary enough for every parameter to be told.
LITERATURE = {
    one.name: {
        "mean": one.mean,
        "mean_error": one.mean_error,
        "slope": one.slope,
        "scatter": scatter,
    }
    for one, scatter in zip(MODEL.parameters, (0.03, 1.5, 0.1), strict=True)
}
# That of the configuration, and one that keeps the spectra where they are.
FREE, HELD = Freedom(3.0, 0.5, 0.7), Freedom(1e-4, 1e-4, 1e-4)
# Octaves of which the data tell, by effective modes.
FEWEST_MODES = 3
# Of pulls that are right this part is refused, on each side.
REFUSED = 1e-4


class Sky:
    """All but a band along the equator, of bright amplitudes that are the same everywhere."""

    def __init__(self, instrument, brightness=1.0):
        self.noise = WhiteNoise.of(instrument, NSIDE)
        self.frequencies = instrument.frequency
        self.bands = Bands.of(instrument.frequency, self.noise, MODEL)
        pixels = np.arange(hp.nside2npix(NSIDE))
        self.pixels = pixels[np.abs(hp.pix2ang(NSIDE, pixels, lonlat=True)[1]) > 15]
        qu = np.array([1.0, -1.0])[:, None] * np.ones(len(self.pixels))
        self.amplitudes = {"dust": brightness * 3 * qu, "synch": brightness * 20 * qu}

    def priors(self, kinds=("field",) * 3, **changes):
        return [
            expected_prior(kind, NSIDE, LITERATURE[name], LMAX, **changes)
            for kind, name in zip(kinds, MODEL.names, strict=True)
        ]

    def parameters(self, seed):
        rng = np.random.default_rng([seed, 0])
        return np.stack(
            [
                prior.draw(
                    prior.mean + 0.3 * prior.offset * rng.standard_normal(), self.pixels, NSIDE, rng
                )
                for prior in self.priors()
            ]
        )

    def measure(self, parameters, seed, priors, freedom):
        cmb = np.random.default_rng([seed, 1]).standard_normal((2, len(self.pixels)))
        data = emission(self.frequencies, parameters, self.amplitudes, MODEL) + cmb
        data += self.noise.draw(len(self.pixels), seed, 0, "sky")
        return measure_fields(
            data, priors, self.pixels, NSIDE, self.bands, freedom, remainder=10.0, seed=seed
        )


@pytest.fixture(scope="module")
def sky(litebird):
    return Sky(litebird)


def told(measured, truth):
    """Octaves of which the data tell, with the mean of the true power in each."""
    rows = measured.spectra.copy()
    by_name = dict(zip(MODEL.names, truth, strict=True))
    rows["truth"] = [
        mean_power(by_name[row.parameter].expected, row.ell_min, row.ell_max)
        for row in rows.itertuples()
    ]
    return rows[rows["effective_modes"] > FEWEST_MODES]


def mean_power(power, first, last):
    ell = np.arange(first, last + 1)
    return np.average(power[ell], weights=2 * ell + 1)


def within_quantiles(value, n):
    """Whether a sum of n squares is one of unit Gaussians."""
    lower, upper = chi2.ppf([REFUSED, 1 - REFUSED], n)
    return lower < value < upper


def test_powers_scatter_about_the_true_ones_by_their_errors(sky):
    """One step from the true spectra, which the prior holds to: no skewness of estimates yet."""
    truth = sky.priors()
    pulls = []
    for seed in range(8):
        rows = told(sky.measure(sky.parameters(seed), seed, truth, HELD), truth)
        assert set(rows["parameter"]) == set(MODEL.names)
        pulls.append((rows["power"] - rows["truth"]) / rows["error"])
    pulls = np.concatenate(pulls)
    assert len(pulls) > 60
    assert within_quantiles(np.sum(pulls**2), len(pulls))
    assert within_quantiles(np.sum(pulls) ** 2 / len(pulls), 1)


def test_effective_modes_are_those_of_dense_algebra(litebird):
    """Of octaves of which the data tell little, too, to the scatter of the random vectors."""
    faint = Sky(litebird, brightness=0.05)
    measured = faint.measure(faint.parameters(10), 10, faint.priors(), HELD)
    basis = Basis(tuple(p.variation() for p in measured.priors), faint.pixels, NSIDE)
    times = curvature_of(basis, np.asarray(measured.maximum.at.curvature)[1])
    told = np.eye(basis.size) - np.linalg.inv(np.stack([times(one) for one in np.eye(basis.size)]))
    octave = np.concatenate(
        [np.where(part.ell > 0, octaves(LMAX)[part.ell], -1) for part in basis.parts]
    )
    vectors = np.random.default_rng(10).choice([-1.0, 1.0], size=(N_VECTORS, basis.size))
    parameter = np.repeat(MODEL.names, [part.size for part in basis.parts])
    for row in measured.spectra.itertuples():
        inside = (parameter == row.parameter) & (octave == octaves(LMAX)[row.ell_min])
        own = told[np.ix_(inside, inside)]
        assert row.modes == inside.sum()
        # Of signs vᵢ the variance of Σ vᵢ Kᵢⱼ vⱼ, i in the octave.
        variance = np.sum(told[inside] ** 2) + np.sum(own**2) - 2 * np.sum(np.diag(own) ** 2)
        scatter = np.sqrt(variance / N_VECTORS)
        assert abs(row.effective_modes - np.trace(own)) < 4 * scatter, row
        # And of these very vectors: linear systems are solved well enough.
        same = np.mean(np.sum((vectors * (vectors @ told))[:, inside], axis=1))
        assert row.effective_modes == pytest.approx(max(same, 0), rel=0.05, abs=0.01), row


def test_spectra_are_found_from_afar(sky):
    """From nine times the true power; estimates are skewed, and their logarithms hardly."""
    truth = sky.priors()
    priors = [prior.scaled(3.0) for prior in truth]
    pulls = []
    for seed in (20, 21):
        measured = sky.measure(sky.parameters(seed), seed, priors, FREE)
        rows = told(measured, truth)
        rows = rows[rows["effective_modes"] > 10]
        pulls.append(np.log(rows["prior"] / rows["truth"]) * rows["prior"] / rows["error"])
        for prior, true in zip(measured.priors, truth, strict=True):
            assert 0.5 < prior.scatter / true.scatter < 2
    pulls = np.concatenate(pulls)
    assert len(pulls) > 15
    assert within_quantiles(np.sum(pulls**2), len(pulls))


def test_parameters_that_are_constant_are_found_to_be(sky):
    constant = np.stack([np.full(len(sky.pixels), one["mean"]) for one in LITERATURE.values()])
    measured = sky.measure(constant, 30, sky.priors(), FREE)
    for name, prior in zip(MODEL.names, measured.priors, strict=True):
        assert prior.scatter < 0.25 * LITERATURE[name]["scatter"], name


def test_a_template_that_is_wrong_though_said_to_be_exact_is_found_out(sky):
    """A tenth of the published scatter is expected, and what there is is found."""
    flat = np.ones(12 * NSIDE**2)
    priors = [
        expected_prior("field", NSIDE, one, LMAX, one["mean"] * flat, sky.pixels)
        for one in LITERATURE.values()
    ]
    measured = sky.measure(sky.parameters(40), 40, priors, FREE)
    for name, prior, found in zip(MODEL.names, priors, measured.priors, strict=True):
        assert prior.scatter == pytest.approx(0.1 * LITERATURE[name]["scatter"], rel=0.01)
        assert found.scatter > 3 * prior.scatter, name


def test_a_useless_template_is_of_no_account_and_a_good_one_is_followed():
    one = LITERATURE["temp_dust"]
    pixels = np.arange(12 * NSIDE**2)
    varies = gaussian_field(NSIDE, np.random.default_rng(8), one["mean"], one["scatter"], -2.3)
    useless, good = (
        expected_prior("field", NSIDE, one, LMAX, varies, pixels, error, 3.0)
        for error in (100 * one["scatter"], 0.01 * one["scatter"])
    )
    assert np.std(useless.mean) < 0.02 * one["scatter"]
    assert useless.scatter == pytest.approx(one["scatter"], rel=0.01)
    assert np.std(good.mean - varies) < 0.05 * one["scatter"]
    assert good.scatter < 0.011 * one["scatter"]


def test_pixels_with_values_of_their_own_tell_how_much_they_scatter(sky):
    kinds = "field_and_pixels", "field", "field"
    priors = sky.priors(kinds)
    measured = sky.measure(sky.parameters(50), 50, priors, FREE)
    found = measured.priors[0]
    assert 0.5 < found.scatter / priors[0].scatter < 2
    assert found.remainder == pytest.approx(10 * found.scatter)
    assert measured.maximum.gradient < 1e-3
    assert set(measured.spectra["parameter"]) == set(MODEL.names)


def test_the_same_observation_tells_the_same_twice(sky):
    first, again = (
        sky.measure(sky.parameters(60), 60, sky.priors(), HELD).spectra for _ in range(2)
    )
    assert first.equals(again)


# What is expected


def test_freedom_is_of_rms_slope_and_octaves():
    n = 6
    freedom = Freedom(amplitude=0.5, slope=0.3, octave=0.2)
    covariance = freedom.covariance(n)
    rng = np.random.default_rng(1)
    first = 2.0 ** np.arange(n)
    # The middle of an octave's multipoles, in logarithms.
    tilt = np.log(np.sqrt(first * (2 * first - 1)) / 10.0)
    amplitude, slope = rng.standard_normal((2, 100_000, 1))
    drawn = 2 * 0.5 * amplitude + 0.3 * slope * tilt + 0.2 * rng.standard_normal((100_000, n))
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03)
    assert np.linalg.eigvalsh(covariance).min() > 0.9 * 0.2**2


def test_octaves_double():
    expected = [0, 0, 1, 1, 2, 2, 2, 2, 3]
    np.testing.assert_array_equal(octaves(8), expected)


@pytest.mark.parametrize("slope", [-2.6, -1.0, 0.0])
def test_a_field_has_the_scatter_and_the_slope_asked_for(slope):
    power = field_spectrum(16, 0.3, slope)
    assert power[0] == 0
    assert np.log(power[40] / power[4]) == pytest.approx(slope * np.log(10))
    assert np.sqrt(variance_of(power)) == pytest.approx(0.3)
    ell = np.arange(48)
    assert np.sum((2 * ell + 1) * power) / (4 * np.pi) == pytest.approx(0.3**2)


def test_an_error_of_a_template_has_the_rms_and_the_coherence_asked_for():
    power = error_spectrum(16, 2.0, coherence=10.0)
    assert power[0] == 0
    assert np.sqrt(variance_of(power)) == pytest.approx(2.0)
    sigma = np.radians(10.0) / np.sqrt(8 * np.log(2))
    ratio = np.exp(-(20 * 21 - 2) * sigma**2)
    assert power[20] / power[1] == pytest.approx(ratio)


def test_maps_are_drawn_with_the_scatter_of_the_prior():
    literature = {"mean": 20.0, "mean_error": 3.0, "scatter": 1.5, "slope": -1.0}
    prior = expected_prior("field", 8, literature, 10).scaled(2.0)
    everywhere = np.arange(hp.nside2npix(8))
    maps = [prior.draw(21.0, everywhere, 8, np.random.default_rng(n)) for n in range(200)]
    assert prior.scatter == pytest.approx(3.0)
    # A map has some 100 modes.
    assert np.std(maps) == pytest.approx(3.0, rel=0.05)
    assert np.mean(maps) == pytest.approx(21.0, abs=1e-3)
