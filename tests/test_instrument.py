"""Instruments: what config/instruments/ holds, and the noise of a pixel."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from jsonschema import validate

from patchsep.files.maps import read_polarization, write_polarization
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.running.settings import read_schema

FILES = sorted((Path(__file__).parents[1] / "config/instruments").glob("*.yaml"))
every_instrument = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_instruments():
    assert FILES


@every_instrument
def test_instrument_file_passes_the_schema(path):
    validate(yaml.safe_load(path.read_text()), read_schema("instrument"))


@every_instrument
def test_instrument_has_one_value_per_band_in_increasing_frequency(path):
    instrument = read_instrument(path)
    assert len(instrument.frequency) == len(instrument.depth_p) == len(instrument.beam)
    assert np.all(np.diff(instrument.frequency) > 0)


@every_instrument
def test_instrument_says_where_its_numbers_come_from(path):
    assert read_instrument(path).source.strip()


def test_bands_at_one_frequency_have_maps_of_their_own(tmp_path):
    """As LiteBIRD's two telescopes have; also frequencies that are written alike."""
    content = yaml.safe_load(FILES[0].read_text(encoding="utf-8"))
    bands = {"frequency": [40, 68, 68, 100.0001, 100.0002], "depth_p": [9] * 5, "beam": [9] * 5}
    (tmp_path / "bands.yaml").write_text(yaml.safe_dump(content | bands))
    labels = read_instrument(tmp_path / "bands.yaml").labels
    assert labels == ["40GHZ", "68GHZ_1", "68GHZ_2", "100GHZ_1", "100GHZ_2"]
    maps = np.arange(5.0)[:, None, None] * np.ones((5, 2, 12))
    write_polarization(tmp_path / "maps.fits", maps, labels, "five bands")
    np.testing.assert_array_equal(read_polarization(tmp_path / "maps.fits"), maps)


@pytest.mark.parametrize("nside", [16, 64])
@every_instrument
def test_noise_of_a_pixel_has_the_white_spectrum_of_the_map_depth(path, nside):
    """White noise has C_ell = sigma² × pixel area = depth², with depth in µK radian."""
    instrument = read_instrument(path)
    pixel_area = 4 * np.pi / (12 * nside**2)
    depth = instrument.depth_p * np.pi / (180 * 60)
    np.testing.assert_allclose(
        WhiteNoise.of(instrument, nside).sigma ** 2 * pixel_area, depth**2, rtol=1e-12
    )
