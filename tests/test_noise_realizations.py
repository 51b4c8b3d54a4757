"""Noise realisations in files: what is drawn of them, what runs again, and what is refused."""

import healpy as hp
import numpy as np
import pytest
from refusals import SOURCE, problems_of

from patchsep.files.fingerprints import sampled_content
from patchsep.files.foreign_maps import UnusableMap
from patchsep.instrument.beam import Beam, Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.instrument.noise_maps import read_noise_realization
from patchsep.observation.correlated_noise import noise_of
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("repository")

NSIDE, N_FILES, N_BANDS = 8, 12, 15
N_PIXELS = hp.nside2npix(NSIDE)
METHODS = {"methods": {"fields": {"strategy": "fields"}}, "figures.drawn": []}
PATTERNS = ["first_*.fits", "second_*.fits"] + (N_BANDS - 2) * [None]


@pytest.fixture
def files(tmp_path):
    """Two bands of noise that is correlated between them: maps (n_files, 2, 2, n_pixels)."""
    rng = np.random.default_rng(2)
    common = rng.standard_normal((N_FILES, 1, 2, N_PIXELS))
    maps = 3 * common + rng.standard_normal((N_FILES, 2, 2, N_PIXELS))
    for number, of_bands in enumerate(maps):
        for name, qu in zip(("first", "second"), of_bands, strict=True):
            path = tmp_path / f"{name}_{number:03}.fits"
            hp.write_map(path, qu, column_names=["Q_STOKES", "U_STOKES"], coord="G", dtype=float)
    return maps


def drawn(path, resolution=None):
    return noise_of(read_instrument(path), NSIDE, resolution, DUST_AND_SYNCHROTRON)[1]


def test_a_realization_is_made_of_two_files_the_same_ones_of_all_bands(files, instrument):
    noise = drawn(instrument(noise_files=PATTERNS))
    seen = set()
    for number in range(20):
        found = noise.draw(1, number, "")[:2].reshape(2, -1)
        of_files = files.reshape(N_FILES, 2, -1)
        weights = np.linalg.lstsq(of_files.reshape(N_FILES, -1).T, found.ravel(), rcond=None)[0]
        used = np.flatnonzero(np.abs(weights) > 1e-9)
        assert len(used) == 2 and np.sum(weights**2) == pytest.approx(1)
        seen.add(tuple(np.round(weights, 6)))
    assert len(seen) == 20


def test_bands_without_files_are_simulated(files, instrument, litebird):
    noise = drawn(instrument(noise_files=PATTERNS))
    found = np.stack([noise.draw(1, number, "") for number in range(10)])[:, 2:]
    expected = WhiteNoise.of(litebird, NSIDE).sigma[2:]
    np.testing.assert_allclose(found.std(axis=(0, 2, 3)) / expected, 1, rtol=0.05)


def test_realizations_have_the_covariance_of_the_files(files, instrument):
    noise = drawn(instrument(noise_files=PATTERNS))
    found = np.stack([noise.draw(1, number, "")[:2] for number in range(200)])
    covariance = np.einsum("nasp,nbsp->ab", found, found) / found[:, 0].size
    np.testing.assert_allclose(covariance, [[10, 9], [9, 10]], rtol=0.1)


def test_files_are_brought_to_the_resolution(files, instrument):
    path = instrument(noise_files=PATTERNS, beam=[300.0] * N_BANDS)
    resolution = Resolution(600.0, high_pass=3)
    raw, common = drawn(path).draw(1, 2, ""), drawn(path, resolution).draw(1, 2, "")
    lmax = 3 * NSIDE - 1
    factor = resolution.window(lmax) / Beam(300.0).window(lmax)
    ell = slice(4, 2 * NSIDE)
    for band in range(2):
        alms = (hp.map2alm_spin(one[band], 2, lmax)[0] for one in (common, raw))
        found, before = (hp.alm2cl(alm)[ell] for alm in alms)
        np.testing.assert_allclose(found.sum(), np.sum(before * factor[ell] ** 2), rtol=0.05)


def test_a_finer_map_is_averaged_and_unseen_pixels_have_no_noise(tmp_path):
    fine = np.random.default_rng(0).standard_normal((2, 4 * N_PIXELS))
    fine[:, :8] = hp.UNSEEN
    path = tmp_path / "noise.fits"
    hp.write_map(path, fine, nest=True, column_names=["QQ", "U"], dtype=float)
    expected = hp.ud_grade(fine, NSIDE, order_in="NESTED", order_out="RING")
    expected = np.where(hp.mask_bad(expected), 0, expected)
    np.testing.assert_allclose(read_noise_realization(path, NSIDE), expected)


def test_realizations_that_change_are_noticed(files, tmp_path):
    path = tmp_path / "first_003.fits"
    before = sampled_content(path)
    assert before == sampled_content(path) != sampled_content(tmp_path / "first_004.fits")
    hp.write_map(path, 2 * files[3, 0], column_names=["Q", "U"], dtype=float, overwrite=True)
    assert sampled_content(path) != before


# Refused


def test_too_few_realizations_are_refused(files, instrument):
    path = instrument(noise_files=["first_00?.fits", "frist_*.fits"] + (N_BANDS - 2) * [None])
    (line,) = problems_of({"instrument": path, "nside": NSIDE} | METHODS)
    assert line.startswith(f"{SOURCE}: instrument: {path}: noise_files.1: 0 files match frist_*")
    assert line.endswith("needed are 10 or more, of which realisations are made")


def test_realizations_that_are_coarser_than_the_run_are_refused(files, instrument):
    path = instrument(noise_files=PATTERNS)
    lines = problems_of({"instrument": path, "nside": 2 * NSIDE} | METHODS)
    assert all("has nside 8, and the run 16; use nside 8 or less" in line for line in lines)
    assert lines[0].startswith(f"{SOURCE}: instrument: noise_files: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"column_names": ["A", "B"]}, "needed is one whose name begins with Q, and one with U"),
        ({"column_names": ["Q", "U"], "coord": "C"}, "COORDSYS"),
    ],
)
def test_realizations_that_are_not_q_and_u_in_galactic_coordinates_are_refused(
    tmp_path, options, said
):
    path = tmp_path / "noise.fits"
    hp.write_map(path, np.ones((2, N_PIXELS)), dtype=float, **options)
    with pytest.raises(UnusableMap) as error:
        read_noise_realization(path, NSIDE)
    assert said in str(error.value) or "celestial" in str(error.value)


def test_one_pattern_per_band_is_needed(instrument):
    path = instrument(noise_files=["first_*.fits"])
    (line,) = problems_of({"instrument": path})
    assert line == f"{path}: noise_files: 1 values for 15 bands in frequency; give one per band"
