"""BB estimators: what each leaks of E, and that each finds the B that is there."""

import healpy as hp
import numpy as np
import pandas as pd
import pytest

from patchsep.sky.harmonics import gaussian_qu
from patchsep.spectra.apodization import apodize
from patchsep.spectra.estimator import ESTIMATORS, FEWEST_MODES, Estimator, ell_max

NSIDE = 32
LMAX = 3 * NSIDE - 1
N_SKIES = 60
LATITUDE = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)[1]
PIXELS = np.flatnonzero(np.abs(LATITUDE) > 25)


def estimator(name, bin_width=4):
    return Estimator.of(PIXELS, NSIDE, name, 12.0, bin_width)


@pytest.fixture(scope="module")
def cmb(spectra):
    """Lensed scalars, and tensors of r = 0.01."""
    sky = spectra[: LMAX + 1]
    return sky["ee_scalar"].to_numpy(), (sky["bb_lensing"] + 0.01 * sky["bb_tensor"]).to_numpy()


@pytest.fixture(scope="module")
def measured(cmb):
    """Spectra of skies with E alone and of skies with B alone, by estimator."""
    nothing = 0 * cmb[0]

    def skies(ee, bb):
        rng = np.random.default_rng(1)
        maps = [gaussian_qu(ee, bb, NSIDE, rng) for _ in range(N_SKIES)]
        return {
            name: np.array([one.spectrum(one.modes(qu)) for qu in maps])
            for name, one in ((name, estimator(name)) for name in ESTIMATORS)
        }

    return {"E": skies(cmb[0], nothing), "B": skies(nothing, cmb[1])}


# Weights


def test_weights_rise_from_zero_at_the_edge_to_one():
    mask = np.abs(LATITUDE) > 25
    weights = apodize(mask, 12.0)
    assert not weights[~mask].any()
    np.testing.assert_array_equal(weights[np.abs(LATITUDE) > 25 + 12 + 2], 1)
    edge = np.abs(LATITUDE) < 25 + 2
    assert weights[edge].max() < 0.1

    def expected(latitude):
        theta = np.radians(np.clip(latitude - 25, 0, 12.0))
        x = np.sqrt((1 - np.cos(theta)) / (1 - np.cos(np.radians(12.0))))
        return x - np.sin(2 * np.pi * x) / (2 * np.pi)

    # Pixels have diameters of up to 2.6 degrees, and the edge follows them.
    latitude = np.abs(LATITUDE)[mask]
    assert np.all(weights[mask] >= expected(latitude - 2))
    assert np.all(weights[mask] <= expected(latitude + 2))
    assert np.mean(weights[mask] - expected(latitude)) == pytest.approx(0, abs=0.02)


def test_without_a_width_weights_are_the_mask():
    mask = np.abs(LATITUDE) > 25
    np.testing.assert_array_equal(apodize(mask, 0.0), mask)


@pytest.mark.parametrize("apodization", [10.0, 12.0])
def test_e_modes_of_the_reionization_bump_stay_below_lensing(cmb, apodization):
    """Weights that begin with a step at the edge leak some twenty times as much as is lensed."""
    one = Estimator.of(PIXELS, NSIDE, "pure", apodization, 6)
    rng = np.random.default_rng(2)
    masked = ~np.isin(np.arange(len(LATITUDE)), PIXELS)
    leaked = []
    for _ in range(10):
        qu = gaussian_qu(cmb[0], 0 * cmb[0], NSIDE, rng)
        qu[:, masked] = 0
        leaked.append(one.spectrum(one.modes(qu)))
    assert np.all(np.abs(np.mean(leaked, axis=0))[:3] < 0.1 * one.expected(cmb[1])[:3])


def test_pixels_that_are_masked_change_no_spectrum(cmb):
    one = estimator("pure")
    qu = gaussian_qu(*cmb, NSIDE, np.random.default_rng(3))
    masked = np.where(np.isin(np.arange(qu.shape[1]), PIXELS), qu, np.nan)
    np.testing.assert_array_equal(one.modes(masked), one.modes(qu))


def test_e_modes_do_not_leak_from_the_kinks_of_weights(cmb):
    """Weights of cells of 7 degrees, of which half have three times the noise of the others."""
    rng = np.random.default_rng(5)
    cells = rng.choice([1.0, 1 / 9], hp.nside2npix(8))
    weights = cells[hp.ang2pix(8, *hp.pix2ang(NSIDE, PIXELS))]
    one = Estimator.of(PIXELS, NSIDE, "pure", 40.0, 6, pixel_weights=weights)
    qu = gaussian_qu(cmb[0], 0 * cmb[0], NSIDE, rng)
    assert np.all(np.abs(one.spectrum(one.modes(qu)))[:3] < 0.1 * one.expected(cmb[1])[:3])
    edge = apodize(np.isin(np.arange(len(LATITUDE)), PIXELS), 40.0)
    inside = (one.weights / np.where(edge > 0, edge, 1.0))[edge > 0]
    assert inside.min() > 1 / 9 and inside.max() < 1


# Bins


@pytest.mark.parametrize("name", ESTIMATORS)
def test_bins_cover_every_multipole_from_the_quadrupole_once(name):
    one = estimator(name)
    assert not one.bins[:, :2].any()
    np.testing.assert_array_equal((one.bins[:, 2:] > 0).sum(axis=0), 1)
    np.testing.assert_allclose(one.bins.sum(axis=1), 1)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_windows_are_averages_of_flat_spectra_and_lie_where_their_bins_are(name):
    one = estimator(name)
    np.testing.assert_allclose(one.windows.sum(axis=1), 1)
    ell = np.arange(one.windows.shape[1])
    weight = np.abs(one.windows)
    centre = weight @ ell / weight.sum(axis=1)
    # On 60 % of the sky multipoles are coupled to few others, but to the first ones.
    np.testing.assert_allclose(centre[3:], one.ell[3:], atol=2)


def test_pure_spectra_of_a_small_sky_have_most_of_its_modes(cmb):
    """Single multipoles of a tenth of the sky cannot be told apart, bins of ten can."""
    nside = 64
    pixels = hp.query_disc(nside, hp.ang2vec(0.5, 0), np.arccos(0.8))
    one = Estimator.of(pixels, nside, "pure", 6.0, 12)
    bb = np.full(3 * nside, 1e-6)
    modes = one.n_modes(bb, 60, 0)
    assert np.all(modes[2:] > 0.4 * one.most_modes[2:])


def test_the_published_estimator_is_the_masked_spectrum_over_f_sky(cmb):
    one = estimator("pseudo")
    qu = gaussian_qu(*cmb, NSIDE, np.random.default_rng(0))
    masked = np.where(np.isin(np.arange(qu.shape[1]), PIXELS), qu, 0)
    spectrum = hp.anafast([np.zeros_like(qu[0]), *masked], lmax=3 * NSIDE - 1)[2]
    expected = spectrum[2 : ell_max(NSIDE) + 1] / (len(PIXELS) / qu.shape[1])
    np.testing.assert_allclose(one.spectrum(one.modes(qu)), expected, rtol=1e-10)
    np.testing.assert_allclose(one.ell, np.arange(2, ell_max(NSIDE) + 1))
    expected = len(PIXELS) / qu.shape[1] * (2 * one.ell + 1)
    np.testing.assert_allclose(one.n_modes(cmb[1], 0, 0), expected)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_whole_sky_needs_no_correction(name, cmb):
    """Every estimator is then healpy's, averaged over bins."""
    one = Estimator.of(np.arange(hp.nside2npix(NSIDE)), NSIDE, name, 10.0, 4)
    # The derivatives of weights that are one everywhere are 1e-3, the error of their analysis.
    ee, accuracy = (0 * cmb[0], 5e-3) if name == "pure" else (cmb[0], 1e-4)
    qu = gaussian_qu(ee, cmb[1], NSIDE, np.random.default_rng(0))
    expected = one.bins @ hp.anafast([0 * qu[0], *qu])[2][: one.bins.shape[1]]
    np.testing.assert_allclose(one.spectrum(one.modes(qu)), expected, rtol=accuracy)


# E and B


@pytest.mark.parametrize("name", ["decoupled", "pure"])
def test_known_b_is_found_without_bias(measured, cmb, name):
    spectra = measured["B"][name]
    expected = estimator(name).expected(cmb[1])
    pulls = (spectra.mean(axis=0) - expected) / spectra.std(axis=0, ddof=1) * np.sqrt(N_SKIES)
    assert np.abs(pulls).max() < 4
    assert np.mean(pulls**2) < 2.5


def test_e_alone_leaves_no_b_on_average_when_decoupled(measured):
    spectra = measured["E"]["decoupled"]
    pulls = spectra.mean(axis=0) / spectra.std(axis=0, ddof=1) * np.sqrt(N_SKIES)
    # At high multipoles pixels leak, below the B that is there.
    assert np.abs(pulls[:6]).max() < 4
    assert np.abs(spectra.mean(axis=0)[6:]).max() < 0.2 * measured["B"]["decoupled"].mean()


def test_pure_b_modes_have_no_e(measured):
    """Neither on average nor in their scatter; both are many times B in the masked spectrum."""
    leaked, own = measured["E"], measured["B"]
    assert np.all(leaked["pure"].mean(axis=0) < 0.15 * own["pure"].mean(axis=0))
    assert np.all(leaked["pure"].std(axis=0) < 0.15 * own["pure"].std(axis=0))
    low = slice(0, 6)
    assert np.all(leaked["pseudo"].mean(axis=0)[low] > 10 * own["pseudo"].mean(axis=0)[low])
    # A smooth edge leaks less: of the sixth bin as much as 1.96 times the scatter.
    low = slice(0, 5)
    assert np.all(leaked["decoupled"].std(axis=0)[low] > 2 * own["decoupled"].std(axis=0)[low])


def test_modes_are_those_that_the_scatter_of_other_skies_stands_for(measured, cmb):
    one = estimator("pure")
    counted = one.n_modes(cmb[1], 200, 7)
    spectra = measured["B"]["pure"]
    seen = 2 * spectra.mean(axis=0) ** 2 / spectra.var(axis=0, ddof=1)
    # A variance from 60 skies is known to 18 %, from 200 to 10 %.
    assert np.median(seen / counted) == pytest.approx(1, abs=0.15)
    assert np.all(np.abs(np.log(seen / counted)) < 1)
    # There are never more than on as much sky, nor there than on all of it.
    assert np.all(counted < 1.2 * one.most_modes)
    whole = (one.bins > 0) @ (2 * np.arange(one.bins.shape[1]) + 1)
    np.testing.assert_allclose(one.most_modes, one.effective_sky * whole)


def test_binned_theory_is_as_the_estimator_would_measure_it(spectra, cmb):
    one = estimator("pure")
    theory = spectra[: LMAX + 1]
    other = theory.assign(bb_tensor=2 * theory["bb_tensor"])
    binned = one.binned_theory(theory, other, 10, 0)
    assert isinstance(binned, pd.DataFrame)
    np.testing.assert_allclose(binned["sky_bb_tensor"], 2 * binned["bb_tensor"])
    r = 0.01
    expected = one.expected(cmb[1])
    np.testing.assert_allclose(binned["bb_lensing"] + r * binned["bb_tensor"], expected)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_bins_of_few_modes_are_left_out_but_by_the_published_estimator(name):
    """Published spectra begin at ell = 2, of which a ring of 20 % of the sky has one mode."""
    assert list(estimator(name).used(np.array([0.98, 5.1]))) == [name == "pseudo", True]


# Edges of several widths


STEPS = [[2, 50.0], [14, 10.0]]


def test_bins_of_a_step_are_those_of_an_estimator_with_its_edge(cmb):
    stepped = Estimator.of(PIXELS, NSIDE, "pure", STEPS, 6)
    qu = gaussian_qu(*cmb, NSIDE, np.random.default_rng(4))
    spectrum = stepped.spectrum(stepped.modes(qu))
    for width, own in ((50.0, slice(0, 2)), (10.0, slice(2, None))):
        one = Estimator.of(PIXELS, NSIDE, "pure", width, 6)
        np.testing.assert_array_equal(spectrum[own], one.spectrum(one.modes(qu))[own])
        np.testing.assert_array_equal(stepped.windows[own], one.windows[own])
        np.testing.assert_array_equal(stepped.most_modes[own], one.most_modes[own])
    # Higher bins are the most.
    assert stepped.effective_sky == one.effective_sky


def test_the_reionization_bump_has_modes_behind_a_wide_edge_only(cmb):
    bb = cmb[1]
    narrow, stepped = (
        Estimator.of(PIXELS, NSIDE, "pure", width, 6).n_modes(bb, 60, 0) for width in (10.0, STEPS)
    )
    assert narrow[0] < FEWEST_MODES < stepped[0]
    # Of the same skies.
    np.testing.assert_array_equal(stepped[2:], narrow[2:])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([[4, 10]], "the first pair is of multipole 4; begin with 2"),
        ([[2, 40], [2, 10]], "multipole 2 comes after 2; let multipoles of the pairs increase"),
        ([[2, 400]], "400 degrees are too wide; take 90 at most"),
    ],
)
def test_edges_that_cannot_be_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        Estimator.of(PIXELS, NSIDE, "pure", steps, 6)
