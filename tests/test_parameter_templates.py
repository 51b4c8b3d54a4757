"""Templates: what smoothing and errors do to a map, on maps for which it is known."""

import healpy as hp
import numpy as np
import pytest

from patchsep.files.foreign_maps import read_parameter_map
from patchsep.sky.parameter_templates import prepare_template, prepare_templates
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

NSIDE = 32
N_PIXELS = hp.nside2npix(NSIDE)


def template(values, smoothing=0.0, error=0.0, coherence=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return prepare_template(values, NSIDE, smoothing, error, coherence, rng)


def test_a_template_without_smoothing_and_error_is_the_map():
    values = np.random.default_rng(1).normal(20, 1, N_PIXELS)
    np.testing.assert_array_equal(template(values), values)


def test_a_finer_map_is_averaged():
    values = np.random.default_rng(1).normal(20, 1, hp.nside2npix(2 * NSIDE))
    coarse = np.empty(N_PIXELS)
    coarse[hp.nest2ring(NSIDE, np.arange(N_PIXELS))] = (
        hp.reorder(values, r2n=True).reshape(N_PIXELS, 4).mean(axis=1)
    )
    np.testing.assert_allclose(template(values), coarse)


def test_smoothing_damps_a_multipole_by_the_beam():
    ell, fwhm = 12, 10.0
    alm = np.zeros(hp.Alm.getsize(3 * NSIDE - 1), dtype=complex)
    alm[hp.Alm.getidx(3 * NSIDE - 1, ell, 3)] = 1.0
    values = hp.alm2map(alm, NSIDE)
    sigma = np.radians(fwhm) / np.sqrt(8 * np.log(2))
    expected = np.exp(-ell * (ell + 1) * sigma**2 / 2) * values
    np.testing.assert_allclose(template(values, smoothing=fwhm), expected, atol=2e-3)


def test_an_error_has_the_rms_and_the_coherence_asked_for():
    fwhm = 20.0
    error = template(np.full(N_PIXELS, 20.0), error=0.5, coherence=fwhm) - 20
    assert error.std() == pytest.approx(0.5)
    # White noise under a beam of width s correlates as exp(-θ²/4s²): one half at this distance.
    sigma = np.radians(fwhm) / np.sqrt(8 * np.log(2))
    distance = 2 * sigma * np.sqrt(np.log(2))
    theta, phi = hp.pix2ang(NSIDE, np.arange(N_PIXELS))
    away = hp.get_interp_val(error, np.clip(theta + distance, 0, np.pi), phi)
    kept = theta < np.pi - distance
    correlation = np.corrcoef(error[kept], away[kept])[0, 1]
    assert correlation == pytest.approx(0.5, abs=0.12)


def prepared(maps, errors, seed):
    return prepare_templates(maps, NSIDE, 0.0, errors, 3.0, seed, DUST_AND_SYNCHROTRON)


def test_every_parameter_and_every_seed_has_an_error_of_its_own():
    maps = {"temp_dust": np.zeros(N_PIXELS), "beta_synch": np.zeros(N_PIXELS)}
    errors = {"temp_dust": 1.0, "beta_synch": 1.0}
    drawn = [values for seed in (1, 2) for values in prepared(maps, errors, seed).values()]
    correlation = np.corrcoef(drawn) - np.eye(4)
    assert np.abs(correlation).max() < 0.2
    # Whatever other maps there are.
    alone = prepared({"beta_synch": maps["beta_synch"]}, errors, 1)
    np.testing.assert_array_equal(alone["beta_synch"], drawn[1])


def test_where_a_map_is_not_known_it_has_its_mean():
    values = np.full(N_PIXELS, 20.0)
    values[:100] = np.nan
    np.testing.assert_array_equal(template(values), 20.0)


def test_a_map_that_is_not_known_anywhere_is_no_template():
    with pytest.raises(ValueError, match="no value anywhere"):
        template(np.full(N_PIXELS, np.nan))


def test_what_is_not_known_is_left_out_of_the_mean_of_a_coarser_pixel():
    fine = np.repeat(np.linspace(19, 21, N_PIXELS), 4)
    fine[::4] = np.nan
    coarse = template(hp.reorder(fine, n2r=True))
    np.testing.assert_allclose(coarse, hp.reorder(np.linspace(19, 21, N_PIXELS), n2r=True))


@pytest.mark.parametrize("nest", [False, True])
def test_a_map_is_read_in_either_order_by_the_name_of_its_column(tmp_path, nest):
    path = tmp_path / "map.fits"
    values = np.arange(12.0)
    values[3] = hp.UNSEEN
    names = ["BETA_DUST", "TEMP_DUST"]
    hp.write_map(path, [0 * values, values], nest=nest, column_names=names, dtype=float)
    found = read_parameter_map(path, "temp_dust")
    order = hp.ring2nest(1, np.arange(12)) if nest else np.arange(12)
    expected = np.where(values == hp.UNSEEN, np.nan, values)[order]
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="name one of them BETA_SYNCH"):
        read_parameter_map(path, "beta_synch")


def test_the_only_column_may_have_any_name(tmp_path):
    hp.write_map(tmp_path / "map.fits", np.arange(12.0), dtype=float)
    np.testing.assert_array_equal(
        read_parameter_map(tmp_path / "map.fits", "temp_dust"), np.arange(12)
    )
