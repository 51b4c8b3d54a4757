"""Spectral parameters that are fitted on larger pixels than maps have."""

from dataclasses import replace

import healpy as hp
import numpy as np
import pytest

from patchsep.fields.evidence import MeasuredFields
from patchsep.fields.fit import fit_fields, recover_cmb, whitened
from patchsep.fields.prior import expected_prior, variance_of
from patchsep.fields.samples import posterior_samples
from patchsep.instrument.bandpass import Bandpasses
from patchsep.instrument.larger_pixels import LargerPixels
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.observation.region_sky import RegionSky
from patchsep.separation.likelihood import expand
from patchsep.skies.field_skies import mock_parameters_of_fields
from patchsep.skies.whole_sky import WholeSky, measure_sky, priors_of
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = DUST_AND_SYNCHROTRON
NSIDE, SMALLER = 32, 8
MEANS = np.array([[1.54], [20.0], [-3.0]])


def halves_of_the_sky(rng):
    """Pixels of two regions, one after the other and neither in order, that share larger ones."""
    north = np.flatnonzero(np.arange(hp.nside2npix(NSIDE)) < 5000)
    return np.concatenate([rng.permutation(north[3000:]), north[:2900]])


def test_means_are_those_of_healpy_and_of_pixels_that_there_are():
    rng = np.random.default_rng(1)
    pixels = halves_of_the_sky(rng)
    sky = np.full((2, 3, hp.nside2npix(NSIDE)), hp.UNSEEN)
    sky[..., pixels] = rng.standard_normal((2, 3, len(pixels)))
    larger = LargerPixels(pixels, NSIDE, SMALLER)
    expected = np.array([hp.ud_grade(one, SMALLER) for one in sky.reshape(6, -1)])
    np.testing.assert_array_equal(larger.pixels, np.flatnonzero(expected[0] != hp.UNSEEN))
    found = larger.mean(sky[..., pixels])
    np.testing.assert_allclose(found.reshape(6, -1), expected[:, larger.pixels], atol=1e-12)
    values = rng.standard_normal((3, len(larger.pixels)))
    everywhere = np.zeros((3, hp.nside2npix(SMALLER)))
    everywhere[:, larger.pixels] = values
    expected = np.array([hp.ud_grade(one, NSIDE)[pixels] for one in everywhere])
    np.testing.assert_array_equal(larger.spread(values), expected)
    assert larger.spread(-3.0) == -3.0


@pytest.mark.parametrize("shape", ["bands", "pixels", "stokes"])
def test_the_noise_is_that_of_the_means_of_draws(shape):
    rng = np.random.default_rng(2)
    pixels = halves_of_the_sky(rng)
    size = {"bands": (2,), "pixels": (2, len(pixels)), "stokes": (2, 2, len(pixels))}[shape]
    noise = WhiteNoise(0.5 + rng.random(size))
    larger = LargerPixels(pixels, NSIDE, SMALLER)
    draws = [larger.mean(noise.draw(len(pixels), 1, number, "")) for number in range(400)]
    of_means = larger.noise(noise)
    ratio = np.sqrt(np.mean(np.square(draws), axis=0)) / of_means.by_pixel
    # Of 1,280 values that have a scatter of 3.5 %.
    assert np.mean(ratio) == pytest.approx(1, abs=4e-3)
    assert np.std(ratio) == pytest.approx(np.sqrt(1 / 800), rel=0.15)


def test_a_band_that_misses_a_pixel_does_not_see_the_larger_one():
    pixels = np.arange(hp.nside2npix(NSIDE))
    sigma = np.ones((2, len(pixels)))
    sigma[1, 700] = np.inf
    larger = LargerPixels(pixels, NSIDE, SMALLER)
    unseen = ~np.isfinite(larger.noise(WhiteNoise(sigma)).sigma)
    assert np.argwhere(unseen).tolist() == [[1, larger._cells[1][700]]]


def test_pixels_that_are_not_larger_are_those_of_the_maps():
    pixels = halves_of_the_sky(np.random.default_rng(3))
    larger, noise = LargerPixels(pixels, NSIDE, NSIDE), WhiteNoise(np.ones(3))
    assert larger.pixels is pixels
    maps = np.ones((3, 2, len(pixels)))
    assert larger.mean(maps) is maps
    assert larger.spread(maps) is maps
    assert larger.noise(noise) is noise


def test_scores_scatter_by_more_than_curvatures_state_where_noise_hides_amplitudes(dense):
    """Why parameters are fitted on larger pixels: noise times noise is in no curvature.

    Of amplitudes s and their noise n, of unit variance in units of σ_s, the score has the variance
    s² + σ_s² where the curvature is s² on average.
    """
    rng = np.random.default_rng(4)
    pixels = np.arange(hp.nside2npix(NSIDE))
    noise = WhiteNoise(dense.sigma)
    maps = np.ones((3, 2, len(pixels))) * np.array([0.0, 0.5, 3.0])[:, None, None]
    clean = dense.sky(np.broadcast_to(MEANS, (3, len(pixels))), maps)

    def excess(larger):
        """(Variance of scores of β_s over the curvature, less 1), by information."""
        bands = Bands.of(dense.frequency, larger.noise(noise), MODEL)
        at = np.broadcast_to(MEANS, (3, len(larger.pixels)))
        found = [
            expand(at, whitened(larger.mean(clean + noise.by_pixel * draw), bands), bands)
            for draw in rng.standard_normal((10, *clean.shape))
        ]
        scores = np.array([one.gradient[2] for one in found])
        # The last of the pairs of parameters is β_s with itself.
        curvature = np.mean([one.hessian[-1] for one in found])
        return np.var(scores) / curvature - 1

    own, means = (excess(LargerPixels(pixels, NSIDE, nside)) for nside in (NSIDE, SMALLER))
    assert own > 0.5
    # There are 16 small pixels in each.
    assert means == pytest.approx(own / 16, abs=0.15)


SCATTER = dict(zip(MODEL.names, (0.03, 1.5, 0.1), strict=True))
LITERATURE = {
    name: {"mean": mean, "mean_error": 0.0, "scatter": SCATTER[name], "slope": -2.0}
    for name, mean in zip(MODEL.names, MEANS[:, 0], strict=True)
}
KINDS = {"beta_dust": "value", "temp_dust": "value", "beta_synch": "field"}
OPTIONS = {
    "freedom": {"amplitude": 10.0, "slope": 0.5, "octave": 0.7},
    "remainder": 10.0,
    "seed": 0,
}


def priors(nside, kinds=KINDS):
    return [expected_prior(kind, nside, LITERATURE[name], 7) for name, kind in kinds.items()]


@pytest.fixture(scope="module")
def faint(dense):
    """A sky whose synchrotron is hidden by the noise of its pixels, and one observation."""
    rng = np.random.default_rng(5)
    pixels = np.arange(hp.nside2npix(NSIDE))
    parameters = np.broadcast_to(MEANS, (3, len(pixels))).copy()
    parameters[2] = priors(NSIDE)[2].draw(MEANS[2, 0], pixels, NSIDE, rng)
    maps = np.array([0.0, 0.5, 3.0])[:, None, None] * np.ones((3, 2, len(pixels)))
    region = RegionSky(
        region="sky",
        nside=NSIDE,
        pixels=pixels,
        bandpasses=Bandpasses.narrow(dense.frequency),
        noise=WhiteNoise(dense.sigma),
        foregrounds=dense.sky(parameters, maps),
        cmb=rng.standard_normal((2, len(pixels))),
        noise_seed=3,
    )
    sky = WholeSky([region], MODEL)
    return sky, sky.observe([0])[1]


def test_spectra_that_noise_would_be_taken_for_are_found_on_larger_pixels(faint):
    sky, observation = faint
    of_nside = {
        nside: measure_sky(sky, observation, priors(nside), OPTIONS, tolerance=1e-2).priors[2]
        for nside in (NSIDE, SMALLER)
    }
    true = np.sqrt(variance_of(priors(NSIDE)[2].power[:8]))
    found = {nside: np.sqrt(variance_of(one.power[:8])) for nside, one in of_nside.items()}
    print({"true": true} | found)
    # Some 60 modes of which the widest count most.
    assert found[SMALLER] == pytest.approx(true, rel=0.4)
    assert found[NSIDE] > 2 * true


def test_a_fit_is_that_of_the_means_and_the_cmb_that_of_the_maps(faint):
    sky, observation = faint
    low, where = priors(SMALLER), (sky.bandpasses, MODEL)
    larger, basis = sky.larger(SMALLER), sky.basis(low)
    found = sky.fit_fields(observation[None], low)
    means = larger.mean(observation)[None]
    of_means = fit_fields(means, basis, larger.noise(sky.noise), *where)
    assert found.converged.all()
    np.testing.assert_array_equal(found.parameters[0], larger.spread(of_means.parameters[0]))
    cmb = recover_cmb(found.parameters[0], observation, sky.bands).cmb
    np.testing.assert_array_equal(found.cmb[0], np.stack(cmb))
    with pytest.raises(ValueError, match="larger pixels are not those of the basis"):
        fit_fields(observation[None], sky.basis(priors(NSIDE)), sky.noise, *where, larger)


def test_samples_scatter_as_those_of_the_means(faint):
    sky, observation = faint
    low = priors(SMALLER)
    means, basis, larger = sky.means(low), sky.basis(low), sky.larger(SMALLER)
    found = means.maximum(observation, basis)
    drawn = posterior_samples(
        observation, basis, sky.noise, sky.bands, found, 60, 1, means, tolerance=1e-2
    )
    of_means = posterior_samples(
        larger.mean(observation),
        basis,
        larger.noise(sky.noise),
        means.bands,
        found,
        60,
        2,
        tolerance=1e-2,
    )
    widths, expected = drawn[0][:, 2].std(axis=0), larger.spread(of_means[0][:, 2].std(axis=0))
    assert np.mean(widths / expected) == pytest.approx(1, abs=0.1)
    assert drawn[1].shape == (60, 2, len(sky.pixels))


def test_mock_skies_vary_within_larger_pixels_and_keep_the_mean_of_templates(faint):
    """What is fitted cannot, and mock skies are to tell what that leaves."""
    sky, observation = faint
    larger = sky.larger(SMALLER)
    low, template = priors(SMALLER), np.linspace(-3.2, -2.8, len(larger.pixels))
    low[2] = replace(low[2], mean=template)
    basis = sky.basis(low)
    maximum = sky.means(low).maximum(observation, basis, tolerance=1e-2)
    measured = MeasuredFields(tuple(low), maximum, None)
    drawn = np.array([mock_parameters_of_fields(sky, measured, number, 7) for number in range(50)])
    assert drawn.shape == (50, 3, len(sky.pixels))
    np.testing.assert_array_equal(drawn[:, :2], np.broadcast_to(drawn[0, :2], drawn[:, :2].shape))
    off = drawn[:, 2] - larger.spread(template)
    within = off - larger.spread(larger.mean(off))
    assert 0.01 < np.std(within) / np.std(off) < 0.5
    assert np.abs(off.mean()) < 0.03
    assert np.std(off) == pytest.approx(SCATTER["beta_synch"], rel=0.2)


def test_templates_are_brought_to_larger_pixels(faint):
    sky, _ = faint
    nothing = {"errors": {"beta_synch": 0.0}, "coherence": 0.0, "n_patches": {}, "lmax": 7}
    by_name = {
        key: {name: LITERATURE[name][key] for name in MODEL.names}
        for key in ("mean", "mean_error", "scatter", "slope")
    }
    options = OPTIONS | nothing | by_name | {"kinds": KINDS, "nside": SMALLER}
    template = -3.0 + 0.1 * np.cos(hp.pix2ang(NSIDE, sky.pixels)[0])
    found = priors_of(sky, {"beta_synch": template}, options, 1)
    assert {one.nside for one in found} == {SMALLER}
    # One that is said to be exact is a hundredth off in power.
    np.testing.assert_allclose(found[2].mean, hp.ud_grade(template, SMALLER), atol=2e-3)
