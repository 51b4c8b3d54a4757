"""Rehearsals: skies like an observed one, of which only the observations are looked at."""

from dataclasses import replace

import numpy as np
import pytest

from patchsep.inference.fit_foreground_model import study
from patchsep.inference.foreground_model import ForegroundModel, shrinkage_prior
from patchsep.inference.mocks import behind, emission, rehearse
from patchsep.separation.fit import BOUNDS, START, separate
from patchsep.separation.patches import kmeans
from patchsep.sky.parameter_fields import PARAMETER_FIELDS, parameter_fields
from patchsep.sky.spectral_model import PARAMETERS

NSIDE, PIXELS = 16, np.arange(400, 1000)
SETTINGS = {"bounds": BOUNDS, "start": START, "max_iterations": 200, "tolerance": 1e-3}
MEANS = np.array([[1.6], [19.0], [-3.1]])


@pytest.fixture(scope="module")
def rehearsed(dense):
    def rehearsed(model, number, seed, bounds=BOUNDS, **options):
        return rehearse(model, PIXELS, NSIDE, dense.frequency, number, seed, bounds, **options)

    return rehearsed


@pytest.fixture(scope="module")
def sky(few_pixels):
    return few_pixels(PIXELS, scatter=1.0)


@pytest.fixture(scope="module")
def model(sky):
    return study(sky, 0, 5, **SETTINGS)


def without_scatter(model):
    return model._replace(wide=np.zeros_like(model.wide), narrow=np.zeros_like(model.narrow))


@pytest.mark.parametrize("scatter", [0.0, 0.5, 1.5])
def test_the_scatter_of_the_parameters_is_found(few_pixels, scatter):
    """Skies of few pixels have more or less of it than the average sky."""
    found = study(few_pixels(PIXELS, scatter=scatter), 0, 5, **SETTINGS).scatter
    np.testing.assert_allclose(found, scatter, rtol=0.25, atol=0.1)


@pytest.mark.parametrize("brightness, wide", [(1.0, 0.5), (0.3, 0.0)])
def test_beta_dust_of_every_pixel_and_a_scatter_of_the_others_are_told_apart(
    few_pixels, brightness, wide
):
    """As in PySM's d2; also where patches gain less by beta_dust than its scatter promises."""
    sky = few_pixels(
        PIXELS, scatter=np.array([wide, 0.5, 0.5]), pixel_noise=0.2, brightness=brightness
    )
    model = study(sky, 0, 5, **SETTINGS)
    assert np.all(model.scatter[0] > 1)
    assert np.all(model.narrow[0] > 5 * model.wide[0])
    np.testing.assert_allclose(model.wide[1:], 0.5, rtol=0.4)


@pytest.mark.parametrize("pixel_noise", [0.0, 0.1])
def test_patches_leave_of_rehearsals_what_they_leave_of_the_sky(few_pixels, rehearsed, pixel_noise):
    """Also where beta_dust varies most on scales that patches do not resolve."""
    sky = few_pixels(PIXELS, scatter=0.5, pixel_noise=pixel_noise)
    model = study(sky, 0, 5, **SETTINGS)
    skies = np.stack([sky.foregrounds, *(rehearsed(model, number, 5) for number in range(4))])
    patches = {name: kmeans(NSIDE, PIXELS, n, 1) for name, n in zip(PARAMETERS, (100, 20, 20))}
    left = separate(skies, sky.sigma, sky.frequencies, patches, **SETTINGS).cmb.var(axis=(1, 2))
    assert 0.5 < left[1:].mean() / left[0] < 2


def test_noise_is_not_taken_for_a_scatter_of_faint_foregrounds(few_pixels):
    """As in high latitudes of PySM's d0, where noise hides temp_dust.

    Noise alone gains what a scatter of beta_dust of 0.5 would.
    """
    sky = few_pixels(PIXELS, brightness=0.1)
    found = [study(sky, realization, 5, **SETTINGS) for realization in range(4)]
    for part in ("wide", "narrow"):
        assert np.all(np.mean([getattr(model, part) for model in found], axis=0) < 0.3)


def test_a_region_may_have_fewer_pixels_than_there_are_patches(few_pixels):
    model = study(few_pixels(PIXELS[:40], scatter=0.5), 0, 5, **SETTINGS)
    assert np.all(np.isfinite(model.scatter))


def test_a_rehearsal_looks_like_the_observed_sky(sky, model, rehearsed):
    """Recovered with noise, but much brighter than that."""
    foregrounds = [rehearsed(model, number, 5) for number in range(2)]
    for one in foregrounds:
        for band, observed in zip(one, sky.foregrounds, strict=True):
            assert np.corrcoef(band.ravel(), observed.ravel())[0, 1] > 0.9
    assert not np.array_equal(*foregrounds)


def test_nothing_but_observations_is_looked_at(sky, model, rehearsed):
    """The same data with the foregrounds' power counted as CMB give the same rehearsal."""
    shift = np.random.default_rng(1).standard_normal(sky.cmb.shape)
    other = replace(sky, foregrounds=sky.foregrounds + shift, cmb=sky.cmb - shift)
    one = rehearsed(model, 0, 5)
    another = rehearsed(study(other, 0, 5, **SETTINGS), 0, 5)
    # As far as fits converge; the shift is of 1 µK.
    np.testing.assert_allclose(one, another, atol=1e-4)


def test_the_same_seed_makes_the_same_sky_again(sky, model, rehearsed):
    for one, again in zip(model, study(sky, 0, 5, **SETTINGS), strict=True):
        np.testing.assert_array_equal(one, again)
    one, again, other = (rehearsed(model, 0, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_a_prior_has_the_mean_and_the_scatter_of_the_sky(sky, model):
    names = ["temp_dust", "beta_synch"]
    for name, (mean, scatter) in shrinkage_prior(model, names).items():
        published = PARAMETER_FIELDS[name]["scatter"]
        assert mean == pytest.approx(MEANS[PARAMETERS.index(name), 0], abs=published)
        assert scatter == pytest.approx(published, rel=0.25)
    without = without_scatter(model)
    assert all(scatter > 0 for _, scatter in shrinkage_prior(without, names).values())


def test_emission_is_that_of_the_dense_model(dense):
    rng = np.random.default_rng(2)
    parameters = MEANS + np.array([[0.1], [1.0], [0.1]]) * rng.standard_normal((3, 20))
    maps = rng.standard_normal((3, 2, 20))
    maps[0] = 0
    np.testing.assert_allclose(
        emission(dense.frequency, parameters, *maps[1:]), dense.sky(parameters, maps), rtol=1e-9
    )


def test_parameters_stay_within_the_bounds_of_the_fit(few_pixels, rehearsed):
    """A rehearsal that no fit could follow would judge its configurations by that."""
    mean = dict(zip(BOUNDS, MEANS[:, 0], strict=True))
    bounds = {name: (value - 1e-4, value + 1e-4) for name, value in mean.items()}
    sky = few_pixels(PIXELS, scatter=3.0)
    model = study(sky, 0, 5, **SETTINGS | {"bounds": bounds, "start": mean})
    assert np.all(model.narrow[0] > 1)
    foregrounds = rehearsed(model, 0, 5, bounds)
    # Dust outshines synchrotron in the highest bands.
    ratio = foregrounds[-1] / foregrounds[-2]
    bright = np.abs(foregrounds[-2]) > np.median(np.abs(foregrounds[-2]))
    assert ratio[bright].std() < 1e-3 * ratio[bright].mean()


def test_a_model_is_the_same_from_its_columns(model):
    maps = {name: np.pad(values, (7, 3)) for name, values in model.columns().items()}
    again = ForegroundModel.from_columns(maps, np.arange(7, 7 + len(PIXELS)))
    for one, other in zip(model, again, strict=True):
        np.testing.assert_array_equal(one, other)


def rehearsed_beta_dust(model, dense, known, plain):
    """beta_dust of bright pixels, where dust is bright at the highest frequencies and temp_dust
    the same in both skies. In `plain` beta_dust is the model's."""
    high, low = dense.frequency[[-1, -2]]
    bright = np.abs(model.dust[0]) > np.median(np.abs(model.dust[0]))
    ratio = known[-1, 0] * plain[-2, 0] / (known[-2, 0] * plain[-1, 0])
    return model.parameters[0][bright] + np.log(ratio[bright]) / np.log(high / low), bright


def test_known_parameters_follow_their_templates(dense, model, rehearsed):
    model = without_scatter(model)
    template = 1.6 + 0.2 * np.sin(np.arange(12 * NSIDE**2) / 50)
    known, plain = (
        rehearsed(model, 0, 5, templates={"beta_dust": values})
        for values in (template, np.full(12 * NSIDE**2, model.parameters[0, 0]))
    )
    beta, bright = rehearsed_beta_dust(model, dense, known, plain)
    np.testing.assert_allclose(beta, template[PIXELS][bright], atol=5e-3)


@pytest.mark.parametrize("published", [0.0, 0.5, 2.0])
def test_the_sky_behind_a_template_varies_as_the_true_one(published):
    """And differs from the template by as much as that does, not more nor less."""
    rng = np.random.default_rng(3)
    truth, wrong, error = np.array([[published], [0.7], [0.7]]) * rng.standard_normal((3, 100_000))
    template = 20 + truth + wrong
    found = behind(template, error, 0.7)
    np.testing.assert_allclose(found.std(), published, rtol=0.02, atol=0.05)
    np.testing.assert_allclose((found - template).std(), 0.7, rtol=0.02)
    # What the template knows of the sky is in both.
    np.testing.assert_allclose(np.cov(found, template)[0, 1], published**2, rtol=0.02, atol=0.01)


@pytest.mark.parametrize(
    "smoothing, least, most", [(0.0, 0, 1e-6), (30.0, 0.4, 1), (180.0, 0.9, 1.1)]
)
def test_templates_do_not_know_what_varies_below_their_beam(
    dense, model, rehearsed, smoothing, least, most
):
    """A wider beam hides more of the published scatter, the widest all of it."""
    model = model._replace(wide=np.ones_like(model.wide), narrow=np.ones_like(model.narrow))
    template = {"beta_dust": np.full(12 * NSIDE**2, model.parameters[0, 0])}
    known, plain = (
        rehearsed(model, 0, 5, templates=template, smoothing=beam) for beam in (smoothing, 0.0)
    )
    beta, bright = rehearsed_beta_dust(model, dense, known, plain)
    published = parameter_fields(NSIDE, 5, 0)[0, PIXELS][bright].std()
    assert least <= beta.std() / published <= most
