"""Noise that is not white: its spectrum, its draws, and the level that the likelihood takes."""

import healpy as hp
import numpy as np
import pytest

from patchsep.instrument.beam import Beam, Resolution, common_window
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import cmb_weights
from patchsep.observation.correlated_noise import FOREGROUND_SLOPE, noise_of
from patchsep.observation.region_sky import RegionSky
from patchsep.sky.cmb import simulate_cmb
from patchsep.sky.harmonics import gaussian_qu, synthesize
from patchsep.sky.regions import COMBINED
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.spectra.estimator import ESTIMATORS, Estimator

NSIDE, LMAX = 32, 95
RESOLUTION = Resolution(150.0, high_pass=8)
BEAMS = [120.0, 90.0, 60.0, 30.0, 10.0]
INSTRUMENT = {
    "frequency": [30.0, 44.0, 100.0, 143.0, 353.0],
    "depth_p": [60.0, 40.0, 10.0, 12.0, 100.0],
    "beam": BEAMS,
    "ell_knee": [0.0, 10.0, 20.0, 30.0, 15.0],
    "knee_slope": [0.0, -1.0, -2.0, -1.5, -1.0],
}
OCTAVES = [(2, 4), (4, 8), (8, 16), (16, 32), (32, 60)]
EVERYWHERE = np.arange(hp.nside2npix(NSIDE))
# Of a parameter, below and above where models start.
STEPS = (-1e-4, 1e-4)


def power(qu, lmax=LMAX):
    """Mean of EE and BB (lmax + 1,) of Q, U of the whole sky, by healpy."""
    alm = hp.map2alm_spin(qu, 2, lmax)
    return (hp.alm2cl(alm[0]) + hp.alm2cl(alm[1])) / 2


def level_and_noise(instrument, resolution=RESOLUTION):
    return noise_of(instrument, NSIDE, resolution, DUST_AND_SYNCHROTRON)


def within_scatter(found, expected, n_maps):
    """Compare mean spectra of maps of E and B with what is expected, octave by octave."""
    for low, high in OCTAVES:
        modes = 2 * np.arange(low, high) + 1
        ratio = np.average(found[low:high] / expected[low:high], weights=modes)
        # Two fields, each of 2ℓ + 1 modes; and what a spectrum that healpy measures is off.
        assert ratio == pytest.approx(1, abs=4 / np.sqrt(n_maps * modes.sum()) + 0.005), low


def sky_of(bands, region, pixels, cmb, noise_seed):
    """A region without foregrounds."""
    noise, correlated = level_and_noise(bands)
    return RegionSky(
        region=region,
        nside=NSIDE,
        pixels=pixels,
        bandpasses=bands.bandpasses(1),
        noise=noise,
        foregrounds=np.zeros((5, 2, len(pixels))),
        cmb=cmb,
        noise_seed=noise_seed,
        correlated_noise=correlated,
    )


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """An instrument with beams and knees."""
    import yaml

    path = tmp_path_factory.mktemp("instrument") / "bands.yaml"
    path.write_text(yaml.safe_dump({"name": "B", "source": "none", **INSTRUMENT}))
    return read_instrument(path)


def test_noise_has_the_spectrum_of_white_noise_with_knees_at_the_common_resolution(bands):
    _, noise = level_and_noise(bands)
    n_maps = 20
    drawn = [noise.draw(1, number, "") for number in range(n_maps)]
    ell = np.arange(1.0, LMAX + 1)
    for band in range(5):
        white = np.radians(INSTRUMENT["depth_p"][band] / 60) ** 2
        knee, slope = INSTRUMENT["ell_knee"][band], INSTRUMENT["knee_slope"][band]
        expected = white * (1 + ((ell / knee) ** slope if knee else 0.0))
        # Beams as formulae have them.
        widths = np.radians(np.array([RESOLUTION.fwhm, BEAMS[band]]) / 60) / np.sqrt(8 * np.log(2))
        expected *= np.exp(-ell * (ell + 1) * (widths[0] ** 2 - widths[1] ** 2))
        expected *= (1 - 0.5 ** (ell * (ell + 1) / 72)) ** 2
        expected = np.concatenate([[0], expected])
        np.testing.assert_allclose(noise.spectrum()[band, 2:], expected[2:])
        within_scatter(np.mean([power(one[band]) for one in drawn], axis=0), expected, n_maps)


def test_simulated_bands_have_the_skys_spectrum_with_beams_and_that_of_noise(bands, spectra):
    theory, n_skies = spectra.iloc[: LMAX + 1], 8
    found = []
    for seed in range(n_skies):
        cmb = simulate_cmb(theory, 0.0, NSIDE, seed, RESOLUTION.window(LMAX))
        sky = sky_of(bands, COMBINED, EVERYWHERE, cmb, 100 + seed)
        found.append([power(one) for one in sky.observe(0)])
    window, noise = RESOLUTION.window(LMAX), sky.correlated_noise
    cmb = (theory["ee_scalar"] + theory["bb_lensing"]).to_numpy() / 2
    for band, measured in enumerate(np.mean(found, axis=0)):
        expected = window**2 * cmb + noise.spectrum()[band]
        # E has nearly all of the power of the CMB, so that modes are half as many.
        within_scatter(measured, expected, n_skies / 2)


def test_the_recovered_cmb_has_the_common_beam(bands, spectra):
    theory = spectra.iloc[: LMAX + 1]
    noise, correlated = level_and_noise(bands)
    weights = cmb_weights(bands.bandpasses(1), noise, DUST_AND_SYNCHROTRON)
    assert weights.sum() == pytest.approx(1)
    cross, own = np.zeros((2, LMAX + 1))
    for seed in range(10):
        seen = simulate_cmb(theory, 0.0, NSIDE, seed, RESOLUTION.window(LMAX))
        recovered = np.sum(weights * (seen + correlated.draw(1, seed, "")), axis=0)
        true = hp.map2alm_spin(simulate_cmb(theory, 0.0, NSIDE, seed), 2, LMAX)[0]
        cross += hp.alm2cl(true, hp.map2alm_spin(recovered, 2, LMAX)[0])
        own += hp.alm2cl(true)
    modes = 2 * np.arange(LMAX + 1) + 1
    for low, high in OCTAVES:
        inside = slice(low, high)
        expected = np.average(RESOLUTION.window(LMAX)[inside], weights=(modes * own)[inside])
        found = np.average(cross[inside] / own[inside], weights=(modes * own)[inside])
        assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_spectra_of_maps_with_a_beam_are_those_of_the_sky(name, spectra):
    _, latitude = hp.pix2ang(NSIDE, EVERYWHERE, lonlat=True)
    pixels = np.flatnonzero(np.abs(latitude) > 30)
    resolution = {"fwhm": RESOLUTION.fwhm, "high_pass": RESOLUTION.high_pass}
    settings = dict(estimator=name, apodization=10.0, bin_width=8)
    estimator = Estimator.of(pixels, NSIDE, **settings, resolution=resolution)
    sharp = Estimator.of(pixels, NSIDE, **settings)
    bb = np.where(np.arange(LMAX + 1) > 1, 1e-4, 0.0)
    measured = []
    for one in (estimator, sharp):
        rng = np.random.default_rng(5)
        skies = [one.draw_sky(0 * bb, bb, rng) for _ in range(30)]
        measured.append(np.mean([one.spectrum(one.modes(qu)) for qu in skies], axis=0))
    used = estimator.used(np.full(len(estimator.bins), 1e3)) & (estimator.ell < 2 * NSIDE - 8)
    # The filter leaves too little of the first bin.
    assert used.sum() > 0.4 * len(sharp.bins) and not used[0]
    # The published estimator does not undo couplings of multipoles, where the filter is steep.
    used &= (name != "pseudo") | (estimator.ell > 2 * RESOLUTION.high_pass)
    assert (measured[0] / measured[1])[used] == pytest.approx(1, abs=0.05)


def test_regions_are_parts_of_one_map_and_streams_are_independent(bands):
    _, correlated = level_and_noise(bands)
    whole = correlated.draw(3, 1, "")
    halves = {}
    for name, pixels in (("north", EVERYWHERE[:5000]), ("south", EVERYWHERE[7000:])):
        sky = sky_of(bands, name, pixels, np.zeros((2, len(pixels))), 3)
        np.testing.assert_array_equal(sky.observe(1), whole[..., pixels])
        halves[name] = sky.halves(1)
        np.testing.assert_allclose(halves[name].mean(axis=0), sky.observe(1), atol=1e-12)
    one, other = halves["south"]
    covariance = np.mean(one * other, axis=-1)
    correlation = covariance / (np.std(one, axis=-1) * np.std(other, axis=-1))
    assert np.abs(correlation).max() < 0.3
    assert np.std(one) == pytest.approx(np.sqrt(2) * np.std(whole[..., 7000:]), rel=0.1)
    for seed, realization, stream in ((4, 1, ""), (3, 2, ""), (3, 1, " x")):
        other = correlated.draw(seed, realization, stream)
        assert np.abs(np.corrcoef(whole[0, 0], other[0, 0])[0, 1]) < 0.1
    assert np.isfinite(whole).all()


def test_a_draw_is_the_same_again(bands):
    first, second = (level_and_noise(bands)[1].draw(1, 2, "") for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_hits_modulate_noise_before_it_is_brought_to_a_resolution(tmp_path, instrument):
    longitude, _ = hp.pix2ang(NSIDE, EVERYWHERE, lonlat=True)
    hits = np.where(longitude < 180, 4.0, 1.0)
    hp.write_map(tmp_path / "hits.fits", hits, column_names=["HITS"], dtype=float)
    noise, correlated = level_and_noise(read_instrument(instrument(**INSTRUMENT, hits="hits.fits")))
    inside = (np.abs(longitude - 90) < 60), (np.abs(longitude - 270) < 60)
    drawn = np.concatenate([correlated.draw(1, k, "") for k in range(5)], axis=1)
    deep, shallow = (drawn[..., one].var(axis=(1, 2)) for one in inside)
    np.testing.assert_allclose(shallow / deep, 4, rtol=0.25)
    ratio = (
        noise.sigma / level_and_noise(read_instrument(instrument(**INSTRUMENT)))[0].sigma[:, None]
    )
    np.testing.assert_allclose(ratio[:, inside[1]] / ratio[:, inside[0]][:, :1], 2)


def test_ratios_of_the_level_are_those_of_the_rms_of_pixels(bands):
    level, correlated = level_and_noise(bands)
    drawn = np.concatenate([correlated.draw(1, k, "") for k in range(10)], axis=1)
    ratio = drawn.std(axis=(1, 2)) / level.sigma
    np.testing.assert_allclose(ratio / ratio[0], 1, rtol=0.05)


def score_weights(bands, sigma):
    """P⊥ ∂A/∂β over the noise rms (n_parameters, n_bands), by differences of spectra."""
    bandpasses, columns, changes = bands.bandpasses(3), [np.ones(len(sigma))], []
    for component in DUST_AND_SYNCHROTRON.components:
        columns.append(component.in_bands(bandpasses, *component.start))
        for k, value in enumerate(component.start):
            moved = [
                [*component.start[:k], value + step, *component.start[k + 1 :]] for step in STEPS
            ]
            below, above = (component.in_bands(bandpasses, *one) for one in moved)
            changes.append((above - below) / np.ptp(STEPS))
    columns, changes = np.array(columns).T / sigma[:, None], np.array(changes).T / sigma[:, None]
    return (changes - columns @ np.linalg.lstsq(columns, changes)[0]).T


def test_scores_have_no_more_variance_than_the_level_says(bands):
    """Of noise times what a spectral parameter changes of a foreground of the published slope."""
    level, correlated = level_and_noise(bands)
    weights = score_weights(bands, level.sigma)
    ell = np.arange(LMAX + 1.0)
    slope = np.where(ell > 1, np.maximum(ell, 1) ** FOREGROUND_SLOPE, 0)
    seen = slope * RESOLUTION.window(LMAX) ** 2
    pulls = []
    for number in range(200):
        foreground = gaussian_qu(seen, seen, NSIDE, np.random.default_rng(number))
        of_bands = np.sum(correlated.draw(1, number, "") * foreground, axis=(1, 2)) / level.sigma
        stated = np.sum(weights**2, axis=1) * np.sum(foreground**2)
        pulls.append(weights @ of_bands / np.sqrt(stated))
    scatter = np.std(pulls, axis=0)
    # One of the parameters has as much.
    assert scatter.max() == pytest.approx(1, abs=4 / np.sqrt(2 * 200))


def test_bands_that_see_a_part_of_the_sky_change_the_level_only_there(tmp_path, instrument):
    hits = np.where(EVERYWHERE < 5000, 1.0, 0.0)
    hp.write_map(tmp_path / "hits.fits", hits, column_names=["HITS"], dtype=float)
    five = {**INSTRUMENT, "ell_knee": [0.0] * 5}
    noisy = {
        name: five[name] + more
        for name, more in (
            ("frequency", [95.0, 150.0]),
            ("depth_p", [5.0, 5.0]),
            ("beam", [30.0, 17.0]),
            ("ell_knee", [50.0, 50.0]),
            ("knee_slope", [-2.5, -3.0]),
        )
    }
    alone, _ = level_and_noise(read_instrument(instrument(**five)))
    files = [None] * 5 + ["hits.fits"] * 2
    both, _ = level_and_noise(read_instrument(instrument(**noisy, hits=files)))
    np.testing.assert_allclose(both.sigma[:5, 5000:], np.tile(alone.sigma[:, None], 7288))
    assert np.all(np.isinf(both.sigma[5:, 5000:]))
    # All bands have one factor.
    inside = both.sigma[:5, :5000] / alone.sigma[:, None]
    np.testing.assert_allclose(inside, inside[0, 0])
    assert inside[0, 0] > 1.05


def test_the_level_of_white_noise_at_its_own_beam_is_its_own(bands, instrument):
    plain = {**INSTRUMENT, "ell_knee": [0.0] * 5, "beam": [150.0] * 5}
    found, _ = level_and_noise(read_instrument(instrument(**plain)), Resolution(150.0))
    np.testing.assert_allclose(found.sigma, WhiteNoise.of(bands, NSIDE).sigma)


def test_white_noise_of_maps_without_beams_is_drawn_as_ever(instrument):
    plain = read_instrument(instrument(**{**INSTRUMENT, "ell_knee": [0.0] * 5}))
    noise, correlated = level_and_noise(plain, None)
    assert correlated is None
    np.testing.assert_array_equal(noise.sigma, WhiteNoise.of(plain, NSIDE).sigma)


def test_a_table_is_as_good_as_a_width(tmp_path, instrument):
    np.savetxt(tmp_path / "beam.txt", np.c_[np.arange(200), Beam(60.0).window(199)])
    given = level_and_noise(read_instrument(instrument(**INSTRUMENT)))[1].factor
    path = instrument(**{**INSTRUMENT, "beam": [120.0, 90.0, "beam.txt", 30.0, 10.0]})
    np.testing.assert_allclose(level_and_noise(read_instrument(path))[1].factor, given)
    assert common_window(None, 3).tolist() == [1, 1, 1, 1]


def test_noise_has_no_multipoles_below_the_quadrupole(bands):
    _, correlated = level_and_noise(bands, None)
    assert np.all(correlated.excess[:, :2] == 0) and np.isfinite(correlated.excess).all()
    alm = np.zeros((2, hp.Alm.getsize(LMAX)), complex)
    alm[0, hp.Alm.getidx(LMAX, 1, 0)] = 1
    assert not synthesize(alm, 2, NSIDE).any()
