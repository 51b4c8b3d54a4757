"""Residuals: spectra as healpy measures them, and a residual that vanishes where it must."""

import healpy as hp
import numpy as np
import pytest

from patchsep.fit import separate
from patchsep.grid import fit_configurations
from patchsep.noise import FOREGROUNDS_ONLY
from patchsep.patches import partition
from patchsep.residuals import (
    cmb_variance,
    combine_metrics,
    configuration_metrics,
    masked_bb,
    recover,
    residual_spectra,
)
from patchsep.sky import RegionSky

NSIDE = 16
ELL = np.arange(2, 2 * NSIDE + 2)
N_PIXELS = hp.nside2npix(NSIDE)


@pytest.fixture(scope="module")
def pixels():
    """The 30 % of the sky in the north."""
    return np.arange(int(0.3 * N_PIXELS))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def healpy_bb(qu, pixels):
    """healpy's BB spectrum of the masked sky over f_sky, from the quadrupole."""
    sky = np.zeros((3, N_PIXELS))
    sky[1:, pixels] = qu
    return hp.anafast(sky)[2][ELL] / (len(pixels) / N_PIXELS)


def test_masked_spectrum_is_healpys_over_the_sky_fraction(pixels, rng):
    qu = rng.standard_normal((2, len(pixels)))
    np.testing.assert_allclose(masked_bb(qu, pixels, NSIDE), healpy_bb(qu, pixels), rtol=1e-8)


def test_residuals_are_split_into_total_statistical_and_systematic(pixels, rng):
    true, systematic, *noise = rng.standard_normal((5, 2, len(pixels)))
    recovered = true + systematic + np.array(noise)
    table = residual_spectra(recovered, true, systematic, pixels, NSIDE)
    for realization, rows in table.groupby("realization"):
        np.testing.assert_array_equal(rows["ell"], ELL)
        for column, residual in (
            ("total", systematic + noise[realization]),
            ("statistical", noise[realization]),
            ("systematic", systematic),
        ):
            np.testing.assert_allclose(rows[column], healpy_bb(residual, pixels), rtol=1e-8)


def test_a_residual_without_noise_is_all_systematic(pixels, rng):
    true, systematic = rng.standard_normal((2, 2, len(pixels)))
    table = residual_spectra((true + systematic)[None], true, systematic, pixels, NSIDE)
    np.testing.assert_allclose(table["total"], table["systematic"], rtol=1e-10)
    assert table["statistical"].max() < 1e-20 * table["systematic"].min()


def test_variance_is_that_of_q_plus_that_of_u_averaged_over_realizations():
    first = [[1, -1, 1, -1], [2, -2, 2, -2]]  # 1 + 4
    second = [[7, 7, 7, 7], [3, 1, 3, 1]]  # 0 + 1
    assert cmb_variance(np.array([first, second])) == pytest.approx(3)


# A whole region, from its data to its residuals


@pytest.fixture(scope="module")
def sky(dense):
    """Foregrounds of one spectrum everywhere, a CMB, and LiteBIRD's noise."""
    pixels = np.arange(100)
    amplitude = np.array([0, 10, 100])[:, None, None]
    maps = amplitude * np.random.default_rng(1).standard_normal((3, 2, len(pixels)))
    spectrum = np.repeat([[1.6], [19.0], [-3.1]], len(pixels), axis=1)
    return RegionSky(
        region="hi",
        nside=NSIDE,
        pixels=pixels,
        frequencies=dense.frequency,
        sigma=dense.sigma,
        foregrounds=dense.sky(spectrum, maps),
        cmb=np.random.default_rng(2).standard_normal((2, len(pixels))),
        noise_seed=3,
    )


SETTINGS = {
    "bounds": {"beta_dust": (0.5, 3.0), "temp_dust": (10.0, 40.0), "beta_synch": (-7.0, -0.5)},
    "start": {"beta_dust": 1.54, "temp_dust": 20.0, "beta_synch": -3.0},
    "tolerance": 1e-3,
}
VALUES = {"beta_dust": [0, 16], "temp_dust": [0], "beta_synch": [0]}
REALIZATIONS = [FOREGROUNDS_ONLY, 0, 1]


@pytest.fixture(scope="module")
def partitions(sky):
    return partition("multiresolution", NSIDE, sky.pixels, VALUES, seed=0)


@pytest.fixture(scope="module")
def fits(sky, partitions):
    return fit_configurations(["0-0-0", "16-0-0"], partitions, sky, REALIZATIONS, **SETTINGS)


def test_one_patch_leaves_no_systematic_residual_where_the_spectrum_is_one(sky, partitions, fits):
    """Next to the statistical residual, which no patches can avoid."""
    systematic, noisy = recover(fits, "0-0-0", partitions, sky, [FOREGROUNDS_ONLY, 0])
    statistical = noisy - sky.cmb - systematic
    assert systematic.std() < 1e-3 * statistical.std()


def test_cmb_is_recovered_from_stored_parameters_as_it_was_in_the_fit(sky, partitions, fits):
    patches = dict.fromkeys(VALUES, partitions[0]) | {"beta_dust": partitions[16]}
    data = np.stack([sky.observe(realization) for realization in REALIZATIONS])
    expected = separate(data, sky.sigma, sky.frequencies, patches, **SETTINGS).cmb
    found = recover(fits, "16-0-0", partitions, sky, REALIZATIONS)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_metrics_count_patches_and_leave_the_foregrounds_fit_out_of_the_noisy_ones(
    sky, partitions, fits
):
    unconverged = fits.assign(converged=fits["realization"] == 0)
    recovered = recover(fits, "16-0-0", partitions, sky, [0, 1])
    metrics = configuration_metrics(unconverged, "16-0-0", partitions, recovered, sky)
    assert metrics["n_patches_beta_dust"] == 100
    assert metrics["n_patches_temp_dust"] == metrics["n_patches_beta_synch"] == 1
    assert metrics["n_realizations"] == 2
    assert metrics["n_unconverged"] == 1
    assert metrics["n_unconverged_systematic"] == 1
    assert metrics["f_sky"] == pytest.approx(100 / N_PIXELS)


def test_metrics_of_regions_add_up(sky, partitions, fits):
    recovered = recover(fits, "16-0-0", partitions, sky, [0, 1])
    one = configuration_metrics(fits, "16-0-0", partitions, recovered, sky)
    both = combine_metrics([one, one], np.concatenate([recovered, recovered], axis=-1))
    assert both["configuration"] == "16-0-0 + 16-0-0"
    assert both["n_patches_beta_dust"] == 200
    assert both["n_realizations"] == 2
    assert both["f_sky"] == pytest.approx(2 * one["f_sky"])
    assert both["n_at_bounds"] == 2 * one["n_at_bounds"]
    assert both["variance"] == pytest.approx(one["variance"])
