"""Noise that is not alike in Q and U: its files, its draws, fields and score tests."""

from dataclasses import replace

import healpy as hp
import jax
import numpy as np
import pytest
from refusals import problems_of
from scipy.linalg import block_diag

from patchsep.fields.basis import Basis, Variation
from patchsep.fields.fit import maximize, recover_cmb, whitened
from patchsep.fields.moments import moment_names, moment_scores
from patchsep.fields.prior import field_spectrum
from patchsep.fields.samples import posterior_samples
from patchsep.fields.systematics import Departures, systematic_scores
from patchsep.instrument.bandpass import Bandpasses
from patchsep.instrument.instrument import band_labels, named_files, read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.instrument.noise_maps import bands_that_see
from patchsep.observation.bands import Bands, whiten
from patchsep.separation.fit import misfit, parameter_maps, separate
from patchsep.separation.likelihood import expand
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL

pytestmark = pytest.mark.usefixtures("repository", "double_precision")

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
N_BANDS = 15
METHODS = {"fields": {"strategy": "fields"}}
# Variances of Q and of U, none alike, and a pixel that only one of them sees.
VARIANCES = np.random.default_rng(0).uniform(1.0, 5.0, (2, N_PIXELS))
VARIANCES[1, 7] = hp.UNSEEN


@pytest.fixture
def described(tmp_path, instrument):
    """LiteBIRD's description with a map of Q's and one of U's variance of its last band."""

    def write(q=VARIANCES[0], u=VARIANCES[1], **changes):
        for name, values in (("q.fits", q), ("u.fits", u)):
            hp.write_map(tmp_path / name, values, dtype=np.float64, overwrite=True)
        known = {"variance": (N_BANDS - 1) * [None] + [["q.fits", "u.fits"]]}
        return instrument(**known | changes)

    return write


# Files


def test_a_pair_of_files_is_the_variance_of_q_and_of_u(described, tmp_path, litebird):
    path = described()
    sigma = WhiteNoise.of(read_instrument(path), NSIDE).sigma
    seen = np.arange(N_PIXELS) != 7
    np.testing.assert_allclose(sigma[-1][:, seen] ** 2, VARIANCES[:, seen])
    uniform = WhiteNoise.of(litebird, NSIDE).sigma
    np.testing.assert_allclose(sigma[:-1], uniform[:-1, None, None] * np.ones((2, N_PIXELS)))
    files = [str(tmp_path / name) for name in ("q.fits", "u.fits")]
    assert named_files([path], "hits", "variance") == files


def test_what_only_one_of_q_and_u_sees_is_not_seen(described):
    instrument = read_instrument(described())
    sigma = WhiteNoise.of(instrument, NSIDE).sigma
    assert np.all(np.isinf(sigma[-1, :, 7])) and np.isinf(sigma).sum() == 2
    expected = np.where(np.arange(N_PIXELS) == 7, N_BANDS - 1, N_BANDS)
    np.testing.assert_array_equal(bands_that_see(instrument, NSIDE), expected)


def test_bands_may_have_hits_or_one_variance_beside_a_pair(described, tmp_path, litebird):
    hits = np.random.default_rng(1).uniform(1.0, 4.0, N_PIXELS)
    hp.write_map(tmp_path / "hits.fits", hits, dtype=np.float64)
    variance = ["q.fits", *(N_BANDS - 2) * [None], ["q.fits", "u.fits"]]
    path = described(hits="hits.fits", variance=variance)
    sigma = WhiteNoise.of(read_instrument(path), NSIDE).sigma
    np.testing.assert_allclose(sigma[0] ** 2, VARIANCES[[0, 0]])
    expected = WhiteNoise.of(litebird, NSIDE).sigma[1] * np.sqrt(hits.mean() / hits)
    np.testing.assert_allclose(sigma[1], [expected, expected])


@pytest.mark.parametrize("changed", [0.0, -1.0])
def test_a_variance_that_no_noise_has_is_refused_with_its_file(described, changed):
    wrong = np.where(np.arange(N_PIXELS) < 3, changed, VARIANCES[0])
    changes = {"instrument": described(u=wrong), "nside": NSIDE, "methods": METHODS}
    (line,) = problems_of(changes)
    assert "instrument: variance: " in line
    assert "u.fits: variance is not above 0 in 3 of 3072 pixels" in line
    assert "mark pixels that are not observed as UNSEEN" in line


def test_a_map_that_is_too_coarse_is_refused_with_its_file(described):
    path = described(u=np.ones(hp.nside2npix(8)))
    (line,) = problems_of({"instrument": path, "nside": NSIDE, "methods": METHODS})
    assert "instrument: variance: " in line
    assert "u.fits has nside 8, and the run 16; use nside 8 or less, or a finer map" in line


@pytest.mark.parametrize("files", [["q.fits"], ["q.fits", "u.fits", "q.fits"], ["q.fits", None]])
def test_other_than_two_files_of_a_band_are_refused(described, files):
    path = described(variance=[*(N_BANDS - 1) * [None], files])
    (line,) = problems_of({"instrument": path, "nside": NSIDE, "methods": METHODS})
    assert f"variance.{N_BANDS - 1}: " in line
    assert "Needed is a file, a list of two, of Q and of U, or null." in line


# Draws


def test_noise_has_the_rms_of_its_stokes_parameter():
    rng = np.random.default_rng(2)
    noise = WhiteNoise(rng.uniform(0.5, 3.0, (4, 2, 500)))
    drawn = np.stack([noise.draw(500, 1, number, "hi") for number in range(200)])
    ratio = drawn.std(axis=0) / noise.sigma
    assert np.mean(ratio) == pytest.approx(1, abs=5e-3)
    assert np.all(np.abs(ratio - 1) < 5 / np.sqrt(2 * 200))


def test_random_numbers_are_those_of_any_noise(dense):
    """Bit for bit: what is drawn of noise that is alike has not changed."""
    rng = np.random.default_rng([1, 2, *b"hi"])
    drawn = dense.sigma[:, None, None] * rng.standard_normal((N_BANDS, 2, 50))
    both = np.broadcast_to(dense.sigma[:, None, None], (N_BANDS, 2, 50))
    for sigma in (dense.sigma, both[:, 0], both):
        np.testing.assert_array_equal(WhiteNoise(sigma).draw(50, 1, 2, "hi"), drawn)


def test_two_maps_that_are_equal_are_one(bright_sky):
    """The same answer, and at no more cost."""
    hits = np.random.default_rng(3).uniform(0.5, 2.0, 64)
    one = WhiteNoise(bright_sky.noise.sigma[:, None] * hits**-0.5)
    two = WhiteNoise(np.stack([one.sigma, one.sigma], axis=1))
    data = bright_sky.data[None] + one.draw(64, 0, 0, "")
    np.testing.assert_array_equal(two.draw(64, 0, 0, ""), one.draw(64, 0, 0, ""))
    fits = [
        separate(data, noise, bright_sky.bandpasses, bright_sky.patches) for noise in (one, two)
    ]
    assert not Bands.of(bright_sky.bandpasses, two, MODEL).is_by_pixel
    np.testing.assert_array_equal(fits[0].cmb, fits[1].cmb)
    maps = parameter_maps(fits[0].parameters, bright_sky.patches)
    np.testing.assert_allclose(misfit(maps, data, two, bright_sky.bandpasses, MODEL), fits[0].nll)


def test_sigma_of_another_shape_is_refused(bright_sky):
    noise = WhiteNoise(np.ones((N_BANDS, 3, 64)))
    with pytest.raises(ValueError, match=r"sigma has shape \(15, 3, 64\)"):
        separate(bright_sky.data[None], noise, bright_sky.bandpasses, bright_sky.patches)


# Fields and score tests

SKY_PIXELS = 192


def unlike(dense, seed, low, high):
    rng = np.random.default_rng(seed)
    return WhiteNoise(dense.sigma[:, None, None] * rng.uniform(low, high, (N_BANDS, 2, SKY_PIXELS)))


def test_fields_and_the_cmb_are_within_their_errors(dense):
    """Pulls of five skies, by samples of the posterior."""
    noise = unlike(dense, 4, 0.3, 3.0)
    bands = Bands.of(dense.frequency, noise, MODEL)
    assert bands.is_by_stokes
    powers = [field_spectrum(4, scatter, -2.0)[:8] for scatter in (0.05, 1.5, 0.1)]
    variations = (
        # beta_dust has in every pixel something of its own beside the field.
        Variation(1.54, offset=0.1, power=powers[0], remainder=0.02),
        Variation(20.0, offset=1.0, power=powers[1]),
        Variation(-3.0, offset=0.1, power=powers[2]),
    )
    basis = Basis(variations, np.arange(SKY_PIXELS), 4)
    amplitude = np.array([1.0, 30.0, 300.0])[:, None, None]
    pulls, pulls_of_cmb = [], []
    for number in range(5):
        rng = np.random.default_rng([5, number])
        parameters = basis.means() + basis.maps(rng.standard_normal(basis.size))
        parameters[0] += 0.02 * rng.standard_normal(SKY_PIXELS)
        maps = amplitude * rng.standard_normal((3, 2, SKY_PIXELS))
        data = dense.sky(parameters, maps) + noise.draw(SKY_PIXELS, 6, number, "")
        found = maximize(whitened(data, bands), bands, basis)
        assert found.gradient < 1e-3
        samples, of_cmb, converged = posterior_samples(
            data, basis, noise, bands, found, 20, seed=number
        )
        assert converged.all()
        pulls.append((found.at.parameters - parameters) / samples.std(axis=0, ddof=1))
        cmb = np.stack(recover_cmb(found.at.parameters, data, bands).cmb)
        pulls_of_cmb.append((cmb - maps[0]) / of_cmb.std(axis=0, ddof=1))
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(pulls), axis=(0, 2))), 1, atol=0.25)
    np.testing.assert_allclose(np.std(pulls_of_cmb, axis=(0, 2)), 1, atol=0.15)


def dense_scores(dense, values, data, sigma):
    """Scores and information in one pixel, Q before U: of gains, angles and a second moment.

    Parameters
    ----------
    values : array (3,)
    data, sigma : arrays (n_bands, 2), µK_CMB
    """
    level, white = sigma.T.ravel(), data.T.ravel() / sigma.T.ravel()

    def both(columns):
        return block_diag(columns, columns) / level[:, None]

    columns = both(dense.mixing(*values))
    maps = np.linalg.lstsq(columns, white)[0]
    steps = np.diag([1e-4, 1e-2, 1e-4])

    def sky(*moves):
        return both(dense.mixing(*values + sum(moves, np.zeros(3)))) @ maps

    slopes = [(sky(step) - sky(-step)) / (2 * step.max()) for step in steps]
    bend = (sky(10 * steps[0]) - 2 * sky() + sky(-10 * steps[0])) / 1e-6
    modelled = (columns @ maps * level).reshape(2, N_BANDS)
    turned = 2 * np.radians([-modelled[1], modelled[0]])
    band_by_band = np.tile(np.eye(N_BANDS), 2).T
    changes = np.column_stack(
        [
            band_by_band * (modelled.ravel() / level)[:, None],
            band_by_band * (turned.ravel() / level)[:, None],
            bend / 2,
        ]
    )
    basis = np.linalg.qr(np.column_stack([columns, *slopes]))[0]
    left = changes - basis @ (basis.T @ changes)
    return left.T @ (white - columns @ maps), np.sum(left**2, axis=0)


def test_scores_are_those_of_the_dense_likelihood(dense):
    noise = unlike(dense, 7, 0.3, 3.0)
    rng = np.random.default_rng(8)
    parameters = np.array([[1.6], [19.0], [-3.1]]) * rng.uniform(0.97, 1.03, (3, SKY_PIXELS))
    maps = np.array([3.0, 30.0, 300.0])[:, None, None] * rng.standard_normal((3, 2, SKY_PIXELS))
    data = dense.sky(parameters, maps) + noise.draw(SKY_PIXELS, 9, 0, "")
    departures = Departures.of(Bandpasses.narrow(dense.frequency), noise, MODEL)
    score, information = systematic_scores(parameters, data, departures)
    moment, of_moment = moment_scores(parameters, data, Bands.of(dense.frequency, noise, MODEL))
    labels = band_labels(dense.frequency)
    places = [departures.names.index((kind, one)) for kind in ("gain", "angle") for one in labels]
    place = moment_names(MODEL).index(("beta_dust", "beta_dust"))
    for pixel in range(0, SKY_PIXELS, 40):
        own = parameters[:, pixel], data[..., pixel], noise.sigma[..., pixel]
        expected, expected_information = dense_scores(dense, *own)
        found = [*score[pixel, places], moment[pixel, place]]
        scale = np.sqrt(expected_information)
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-3)
        found = [*information[pixel, places], of_moment[pixel, place, place]]
        np.testing.assert_allclose(found, expected_information, rtol=1e-3)


def test_the_whole_sky_has_the_noise_of_its_regions(few_pixels):
    rng = np.random.default_rng(13)
    regions = [
        replace(few_pixels(pixels), noise=WhiteNoise(rng.uniform(0.5, 2.0, (N_BANDS, 2, n))))
        for pixels, n in ((np.arange(5), 5), (np.arange(8, 16), 8))
    ]
    sky = WholeSky(regions, MODEL)
    together = np.concatenate([one.noise.sigma for one in regions], axis=-1)
    np.testing.assert_array_equal(sky.noise.sigma, together)
    np.testing.assert_allclose(sky.bands.sigma, together)


def test_noise_leaves_the_curvature_that_is_expected_as_it_is(dense):
    """Of prediction, which takes that of the foregrounds: the mean over many draws of noise."""
    noise = unlike(dense, 14, 0.3, 3.0).of_pixels(np.arange(3))
    bands = Bands.of(dense.frequency, noise, MODEL)
    parameters = np.tile([[1.6], [19.0], [-3.1]], 3)
    clean = dense.sky(parameters, np.array([0.0, 1.0, 10.0])[:, None, None] * np.ones((3, 2, 3)))
    curvature = jax.jit(jax.vmap(lambda white: expand(parameters, white, bands).hessian))
    draws = np.stack([clean + noise.draw(3, 15, number, "") for number in range(20_000)])
    with_noise = curvature(jax.vmap(whiten, (0, None))(draws, bands))
    without = curvature(whitened(clean, bands)[None])
    for one, many in zip(without, with_noise, strict=True):
        error = np.std(many, axis=0) / np.sqrt(len(many))
        assert np.all(np.abs(np.mean(many, axis=0) - one[0]) < 4.5 * error)


def test_score_tests_know_a_band_that_one_pixel_lacks(dense):
    noise = unlike(dense, 10, 0.5, 2.0)
    noise.sigma[3, :, :20] = np.inf
    rng = np.random.default_rng(11)
    parameters = np.tile([[1.6], [19.0], [-3.1]], SKY_PIXELS)
    maps = np.array([3.0, 30.0, 300.0])[:, None, None] * rng.standard_normal((3, 2, SKY_PIXELS))
    data = dense.sky(parameters, maps) + noise.draw(SKY_PIXELS, 12, 0, "")
    departures = Departures.of(Bandpasses.narrow(dense.frequency), noise, MODEL)
    score, information = systematic_scores(parameters, data, departures)
    assert np.isfinite(score).all()
    of_band = [one[1] == band_labels(dense.frequency)[3] for one in departures.names]
    assert np.all(information[:20, of_band] == 0) and np.all(information[20:, of_band] > 0)
