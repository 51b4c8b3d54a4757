"""Mock skies: like an observed one, of which only the observations are looked at."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from workflows import ROOT

from patchsep.observation.foreground_model import ForegroundModel
from patchsep.separation.fit import separate
from patchsep.separation.patches import kmeans
from patchsep.skies.fit_foreground_model import fit_foreground_model
from patchsep.skies.mocks import draw_true_parameter, emission, mock_foregrounds
from patchsep.sky.parameter_fields import parameter_deviations
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

NSIDE, PIXELS = 16, np.arange(400, 1000)
SETTINGS = {"max_iterations": 200, "tolerance": 1e-3}
MODEL = DUST_AND_SYNCHROTRON
MEANS = np.array([[1.6], [19.0], [-3.1]])


@pytest.fixture(scope="module")
def mocked(dense):
    """Makes the foregrounds of a mock sky."""

    def mocked(fitted, number, seed, model=MODEL, **options):
        where = PIXELS, NSIDE, dense.frequency
        return mock_foregrounds(fitted, *where, number, seed, model, **options)

    return mocked


@pytest.fixture(scope="module")
def sky(few_pixels):
    return few_pixels(PIXELS, scatter=1.0)


@pytest.fixture(scope="module")
def fitted(sky):
    return fit_foreground_model(sky, 0, 5, MODEL, **SETTINGS)


def scatter_of(fitted):
    """On all scales; wide ones have half of its square."""
    return np.sqrt((fitted.wide**2 + fitted.narrow**2) / 2)


def without_scatter(fitted):
    nothing = np.zeros_like(fitted.wide)
    return replace(fitted, wide=nothing, narrow=nothing)


@pytest.mark.parametrize("scatter", [0.0, 0.5, 1.5])
def test_the_scatter_of_the_parameters_is_found(few_pixels, scatter):
    """Skies of few pixels have more or less of it than the average sky."""
    found = fit_foreground_model(few_pixels(PIXELS, scatter=scatter), 0, 5, MODEL, **SETTINGS)
    np.testing.assert_allclose(scatter_of(found), scatter, rtol=0.25, atol=0.1)


@pytest.mark.parametrize("brightness, wide", [(1.0, 0.5), (0.3, 0.0)])
def test_beta_dust_of_every_pixel_and_a_scatter_of_the_others_are_told_apart(
    few_pixels, brightness, wide
):
    """As in PySM's d2; also where patches gain less by beta_dust than its scatter would do."""
    sky = few_pixels(
        PIXELS, scatter=np.array([wide, 0.5, 0.5]), pixel_noise=0.2, brightness=brightness
    )
    fitted = fit_foreground_model(sky, 0, 5, MODEL, **SETTINGS)
    assert np.all(scatter_of(fitted)[0] > 1)
    assert np.all(fitted.narrow[0] > 5 * fitted.wide[0])
    np.testing.assert_allclose(fitted.wide[1:], 0.5, rtol=0.4)


@pytest.mark.parametrize("pixel_noise", [0.0, 0.1])
def test_patches_leave_of_mock_skies_what_they_leave_of_the_sky(few_pixels, mocked, pixel_noise):
    """Also where beta_dust varies most on scales that patches do not resolve."""
    sky = few_pixels(PIXELS, scatter=0.5, pixel_noise=pixel_noise)
    fitted = fit_foreground_model(sky, 0, 5, MODEL, **SETTINGS)
    skies = np.stack([sky.foregrounds, *(mocked(fitted, number, 5) for number in range(4))])
    patches = {name: kmeans(NSIDE, PIXELS, n, 1) for name, n in zip(MODEL.names, (100, 20, 20))}
    left = separate(skies, sky.noise, sky.bandpasses, patches, MODEL, **SETTINGS).cmb.var(
        axis=(1, 2)
    )
    assert 0.5 < left[1:].mean() / left[0] < 2


def test_noise_is_not_taken_for_a_scatter_of_faint_foregrounds(few_pixels):
    """As in high latitudes of PySM's d0, where noise hides temp_dust.

    Noise alone gains what a scatter of beta_dust of 0.5 would.
    """
    sky = few_pixels(PIXELS, brightness=0.1)
    found = [
        fit_foreground_model(sky, realization, 5, MODEL, **SETTINGS) for realization in range(4)
    ]
    for part in ("wide", "narrow"):
        assert np.all(np.mean([getattr(fitted, part) for fitted in found], axis=0) < 0.3)


def test_a_region_may_have_fewer_pixels_than_there_are_patches(few_pixels):
    fitted = fit_foreground_model(few_pixels(PIXELS[:40], scatter=0.5), 0, 5, MODEL, **SETTINGS)
    assert np.all(np.isfinite(scatter_of(fitted)))


def test_a_mock_sky_looks_like_the_observed_sky(sky, fitted, mocked):
    """Recovered with noise, but much brighter than that."""
    foregrounds = [mocked(fitted, number, 5) for number in range(2)]
    for one in foregrounds:
        for band, observed in zip(one, sky.foregrounds, strict=True):
            assert np.corrcoef(band.ravel(), observed.ravel())[0, 1] > 0.9
    assert not np.array_equal(*foregrounds)


def test_nothing_but_observations_is_looked_at(sky, fitted, mocked):
    """The same data with the foregrounds' power counted as CMB give the same mock sky."""
    shift = np.random.default_rng(1).standard_normal(sky.cmb.shape)
    other = replace(sky, foregrounds=sky.foregrounds + shift, cmb=sky.cmb - shift)
    one = mocked(fitted, 0, 5)
    another = mocked(fit_foreground_model(other, 0, 5, MODEL, **SETTINGS), 0, 5)
    # As far as fits converge; the shift is of 1 µK.
    np.testing.assert_allclose(one, another, atol=1e-4)


def test_the_same_seed_makes_the_same_sky_again(sky, fitted, mocked):
    again = fit_foreground_model(sky, 0, 5, MODEL, **SETTINGS)
    for name, values in fitted.columns().items():
        np.testing.assert_array_equal(values, again.columns()[name])
    one, again, other = (mocked(fitted, 0, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_emission_is_that_of_the_dense_model(dense):
    rng = np.random.default_rng(2)
    parameters = MEANS + np.array([[0.1], [1.0], [0.1]]) * rng.standard_normal((3, 20))
    maps = rng.standard_normal((3, 2, 20))
    maps[0] = 0
    found = emission(dense.frequency, parameters, {"dust": maps[1], "synch": maps[2]}, MODEL)
    np.testing.assert_allclose(found, dense.sky(parameters, maps), rtol=1e-9)


def test_mock_skies_are_in_double_precision_where_nothing_is_fitted():
    """In a process of its own, as the job that draws them is: fits switch it on for themselves."""
    code = (
        "import numpy as np; from patchsep.skies.mocks import emission; "
        "from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as model; "
        "amplitudes = {name: np.ones((2, 1)) for name in model.component_names}; "
        "start = np.array([[one.start] for one in model.parameters]); "
        "print(repr(emission(np.array([100.0]), start, amplitudes, model)[0, 0, 0].item()))"
    )
    run = [sys.executable, "-c", code]
    path = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    printed = subprocess.run(run, env=path, capture_output=True, text=True, check=True).stdout
    start = np.array([[one.start] for one in MODEL.parameters])
    amplitudes = {name: np.ones((2, 1)) for name in MODEL.component_names}
    assert float(printed) == emission(np.array([100.0]), start, amplitudes, MODEL)[0, 0, 0]


def test_parameters_stay_within_the_bounds_of_the_fit(few_pixels, mocked):
    """A mock sky that no fit could follow would tell configurations apart by that."""
    mean = dict(zip(MODEL.names, MEANS[:, 0], strict=True))
    bounds = {name: (value - 1e-4, value + 1e-4) for name, value in mean.items()}
    narrow = MODEL.with_limits(bounds, mean)
    sky = few_pixels(PIXELS, scatter=3.0)
    fitted = fit_foreground_model(sky, 0, 5, narrow, **SETTINGS)
    assert np.all(fitted.narrow[0] > 1)
    foregrounds = mocked(fitted, 0, 5, narrow)
    # Dust outshines synchrotron in the highest bands.
    ratio = foregrounds[-1] / foregrounds[-2]
    bright = np.abs(foregrounds[-2]) > np.median(np.abs(foregrounds[-2]))
    assert ratio[bright].std() < 1e-3 * ratio[bright].mean()


def test_a_model_is_the_same_from_its_columns(fitted):
    maps = {name: np.pad(values, (7, 3)) for name, values in fitted.columns().items()}
    again = ForegroundModel.from_columns(maps, np.arange(7, 7 + len(PIXELS)), MODEL)
    assert again.names == fitted.names
    for name, values in fitted.columns().items():
        np.testing.assert_array_equal(values, again.columns()[name])


def mocked_beta_dust(fitted, dense, known, plain):
    """beta_dust of bright pixels, where dust is bright at the highest frequencies and temp_dust
    the same in both skies. In `plain` beta_dust is the model's."""
    high, low = dense.frequency[[-1, -2]]
    bright = np.abs(fitted.amplitudes["dust"][0]) > np.median(np.abs(fitted.amplitudes["dust"][0]))
    ratio = known[-1, 0] * plain[-2, 0] / (known[-2, 0] * plain[-1, 0])
    return fitted.parameters[0][bright] + np.log(ratio[bright]) / np.log(high / low), bright


def test_known_parameters_follow_their_templates(dense, fitted, mocked):
    fitted = without_scatter(fitted)
    template = 1.6 + 0.2 * np.sin(np.arange(12 * NSIDE**2) / 50)
    known, plain = (
        mocked(fitted, 0, 5, templates={"beta_dust": values})
        for values in (template, np.full(12 * NSIDE**2, fitted.parameters[0, 0]))
    )
    beta, bright = mocked_beta_dust(fitted, dense, known, plain)
    np.testing.assert_allclose(beta, template[PIXELS][bright], atol=5e-3)


@pytest.mark.parametrize("published", [0.0, 0.5, 2.0])
def test_the_sky_that_a_template_may_have_come_from_varies_as_the_true_one(published):
    """And differs from the template by as much as that does, not more nor less."""
    rng = np.random.default_rng(3)
    truth, wrong, error = np.array([[published], [0.7], [0.7]]) * rng.standard_normal((3, 100_000))
    template = 20 + truth + wrong
    found = draw_true_parameter(template, error, 0.7)
    np.testing.assert_allclose(found.std(), published, rtol=0.02, atol=0.05)
    np.testing.assert_allclose((found - template).std(), 0.7, rtol=0.02)
    # What the template knows of the sky is in both.
    np.testing.assert_allclose(np.cov(found, template)[0, 1], published**2, rtol=0.02, atol=0.01)


@pytest.mark.parametrize(
    "smoothing, least, most", [(0.0, 0, 1e-6), (30.0, 0.4, 1), (180.0, 0.9, 1.1)]
)
def test_templates_do_not_know_what_varies_below_their_beam(
    dense, fitted, mocked, smoothing, least, most
):
    """A wider beam hides more of the published scatter, the widest all of it."""
    fitted = replace(
        fitted,
        wide=np.ones_like(fitted.wide),
        narrow=np.ones_like(fitted.narrow),
    )
    template = {"beta_dust": np.full(12 * NSIDE**2, fitted.parameters[0, 0])}
    known, plain = (
        mocked(fitted, 0, 5, templates=template, smoothing=beam) for beam in (smoothing, 0.0)
    )
    beta, bright = mocked_beta_dust(fitted, dense, known, plain)
    published = parameter_deviations(NSIDE, 5, 0, MODEL)[0, PIXELS][bright].std()
    assert least <= beta.std() / published <= most
