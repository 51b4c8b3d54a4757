"""The file of cleaned maps: every column is what it says, and headers tell unit and beam."""

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits

from patchsep.files.maps import read_maps, read_resolution, write_maps
from patchsep.skies.cleaned_sky import cleaned_maps
from patchsep.sky.spectral_model import spectral_model

NSIDE = 4
PIXELS = np.array([3, 50, 51, 190])
MODEL = spectral_model(
    {
        "dust": {"spectrum": "modified_black_body", "reference": 353.0},
        "synch": {"spectrum": "power_law", "reference": 22.8},
    }
)
COLUMNS = {
    "CMB_Q": "uK_CMB",
    "CMB_U": "uK_CMB",
    "DUST_Q": "uK_RJ",
    "DUST_U": "uK_RJ",
    "SYNCH_Q": "uK_RJ",
    "SYNCH_U": "uK_RJ",
    "BETA_DUST": "",
    "TEMP_DUST": "K",
    "BETA_SYNCH": "",
    "ERROR_CMB_Q": "uK_CMB",
    "ERROR_CMB_U": "uK_CMB",
    "ERROR_BETA_DUST": "",
    "ERROR_TEMP_DUST": "K",
    "ERROR_BETA_SYNCH": "",
    "MASK": "",
}


@pytest.fixture
def arrays():
    """Of other numbers everywhere, in the order of the columns."""
    numbers = np.arange(14.0 * len(PIXELS)).reshape(14, len(PIXELS)) + 1
    cmb, dust, synch, parameters, cmb_error, parameter_errors = np.split(numbers, [2, 4, 6, 9, 11])
    components = {"synch": synch, "dust": dust}
    return numbers, (cmb, components, parameters, cmb_error, parameter_errors)


@pytest.fixture
def path(arrays, tmp_path):
    path = tmp_path / "cleaned.fits"
    resolution = {"fwhm": 80.0, "high_pass": 30.0}
    write_maps(path, **cleaned_maps(*arrays[1], PIXELS, NSIDE, MODEL, resolution))
    return path


def test_columns_have_what_they_are_named_for_and_are_masked_elsewhere(path, arrays):
    numbers, _ = arrays
    maps = read_maps(path)
    assert list(maps) == list(COLUMNS)
    mask = maps.pop("MASK")
    assert np.array_equal(np.flatnonzero(mask), PIXELS)
    assert set(mask) == {0, 1}
    for expected, values in zip(numbers, maps.values(), strict=True):
        assert np.array_equal(values[PIXELS], expected)
        assert np.isnan(values[mask == 0]).all()


def test_the_header_tells_units_reference_frequencies_and_the_beam(path):
    header = fits.getheader(path, 1)
    numbers = {header[f"TTYPE{n}"]: n for n in range(1, 1 + len(COLUMNS))}
    for name, unit in COLUMNS.items():
        assert header.get(f"TUNIT{numbers[name]}", "") == unit
    frequencies = {name: header.get(f"RFREQ{number}") for name, number in numbers.items()}
    told = {name: float(value) for name, value in frequencies.items() if value is not None}
    assert told == {"DUST_Q": 353.0, "DUST_U": 353.0, "SYNCH_Q": 22.8, "SYNCH_U": 22.8}
    assert "DUST_Q, DUST_U: uK_RJ at 353 GHz" in list(header["COMMENT"])
    assert read_resolution(path) == {"fwhm": 80.0, "high_pass": 30.0}
    assert header["POLCCONV"] == "COSMO"


def test_healpy_reads_the_file_as_any(path, arrays):
    q, u = hp.read_map(path, field=(0, 1), dtype=None)
    assert np.array_equal(np.stack([q, u])[:, PIXELS], arrays[1][0])
    assert np.all(q[np.setdiff1d(np.arange(len(q)), PIXELS)] == hp.UNSEEN)
