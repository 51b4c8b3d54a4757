"""Strangers' maps, which the reader is tested with, are what they are said to be."""

from types import SimpleNamespace

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits
from strangers import Stranger, in_unit, read_qu, rotated

from patchsep.files.maps import write_maps
from patchsep.instrument.units import rj_per_cmb
from patchsep.sky.harmonics import gaussian_qu

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)


@pytest.fixture(scope="module")
def smooth():
    """Q, U without small scales."""
    ell = np.arange(3 * NSIDE)
    power = np.where((ell > 1) & (ell < 13), 1.0, 0.0)
    return gaussian_qu(power, power, NSIDE, np.random.default_rng(1))


def test_units_are_those_of_planck_s_law(smooth):
    np.testing.assert_allclose(in_unit(smooth, "K_CMB", 100.0), smooth * 1e-6)
    np.testing.assert_allclose(
        in_unit(smooth, "mK_RJ", 100.0), smooth * 1e-3 * rj_per_cmb(100.0), rtol=1e-6
    )
    # Planck 2013 IX (arXiv:1303.5070), Table 6: MJy/sr per K_CMB of a narrow band at 143 GHz,
    # of dB/dT, 2 h² ν⁴ eˣ / (k T² c² (eˣ - 1)²).
    x = 6.62607015e-34 * 143e9 / (1.380649e-23 * 2.7255)
    slope = 2 * 1.380649e-23 * (143e9 / 299792458) ** 2 * x**2 * np.exp(x) / np.expm1(x) ** 2
    np.testing.assert_allclose(in_unit(smooth, "MJy/sr", 143.0), smooth * 1e-6 * slope / 1e-20)


@pytest.mark.parametrize("coordinates", ["C", "E"])
def test_rotated_maps_are_the_sky_in_other_coordinates_angle_and_all(smooth, coordinates):
    found = rotated(smooth, coordinates, 2 * NSIDE)
    # At pixels: where they are in Galactic coordinates, and how the poles' directions differ.
    fine = np.array(hp.alm2map(hp.map2alm([0 * smooth[0], *smooth], iter=5), 256))
    turn = hp.Rotator(coord=["G", coordinates])
    expected = hp.ud_grade(turn.rotate_map_pixel(fine), 2 * NSIDE)[1:]
    assert np.std(found - expected) < 0.02 * np.std(expected)
    # Without the angle they would not be.
    unturned = turn.rotate_map_pixel(fine[1])
    assert np.std(found[0] - hp.ud_grade(unturned, 2 * NSIDE)) > 0.3 * np.std(expected)


def test_a_strangers_files_have_the_exported_maps(tmp_path, smooth):
    bands = SimpleNamespace(labels=["100GHZ"], frequency=[100.0])
    for part in ("", "_split_1", "_split_2"):
        columns = dict(zip("QU", smooth, strict=True))
        write_maps(tmp_path / f"100GHZ{part}.fits", columns, "uK_CMB", "test")
    np.testing.assert_array_equal(read_qu(tmp_path / "100GHZ.fits"), smooth)
    seen = np.arange(N_PIXELS) % 5 > 0
    section = Stranger(partial=True).write_all(tmp_path, tmp_path, bands, seen)
    for path in (section["maps"], *section["splits"]):
        with fits.open(path.format(band="100GHZ")) as file:
            table = file[1]
            assert table.header["ORDERING"] == "NESTED" and table.header["POLCCONV"] == "IAU"
            assert table.header["TUNIT3"] == "K_CMB" and len(table.data) == seen.sum()
            assert not np.any(table.data["TEMPERATURE"])
            pixels = hp.nest2ring(NSIDE, table.data["PIXEL"])
            np.testing.assert_array_equal(np.sort(pixels), np.flatnonzero(seen))
            q, u = (table.data[name].astype(float) for name in section["columns"])
        np.testing.assert_allclose([q * 1e6, -u * 1e6], smooth[:, pixels], rtol=1e-6, atol=1e-6)


def test_a_silent_stranger_says_in_the_configuration_what_headers_do_not(tmp_path, smooth):
    stranger = Stranger(silent=True, nested=False, coordinates="C", columns=("Q", "U"))
    stranger.write(tmp_path / "map.fits", smooth, 100.0)
    header = fits.getheader(tmp_path / "map.fits", 1)
    assert not {"TUNIT1", "COORDSYS", "POLCCONV"} & set(header)
    bands = SimpleNamespace(labels=[], frequency=[])
    section = stranger.write_all(tmp_path, tmp_path, bands)
    said = [section[key] for key in ("unit", "coordinates", "polarization_convention")]
    assert said == ["K_CMB", "celestial", "IAU"]
