"""Instruments: what config/instruments/ holds, and the noise of a pixel."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from jsonschema import validate

from patchsep.files.maps import read_polarization, write_polarization
from patchsep.instrument.bandpass import band_labels
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.running.schema import read_schema
from patchsep.separation.fit import separate
from patchsep.skies.mocks import emission
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

FILES = sorted((Path(__file__).parents[1] / "config/instruments").glob("*.yaml"))
every_instrument = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_instruments():
    assert FILES


@every_instrument
def test_instrument_file_passes_the_schema(path):
    validate(yaml.safe_load(path.read_text()), read_schema("instrument"))


@every_instrument
def test_instrument_has_one_value_per_band_in_order_of_frequency(path):
    instrument = read_instrument(path)
    assert len(instrument.frequency) == len(instrument.depth_p) == len(instrument.beams)
    assert np.all(np.diff(instrument.frequency) >= 0)


@every_instrument
def test_instrument_says_where_its_numbers_come_from(path):
    assert read_instrument(path).source.strip()


def test_bands_of_one_frequency_have_names_of_their_own():
    """LiteBIRD's own list of 22 arrays has several at 68, 78, 100 … GHz."""
    names = band_labels(np.array([78.0, 100.0, 100.0, 100.00001, 100.5, 1e3, 1000.00001]))
    assert names == [
        "78GHZ", "100GHZ_1", "100GHZ_2", "100GHZ_3", "100P5GHZ", "1000GHZ_1", "1000GHZ_2",
    ]  # fmt: skip


@pytest.mark.parametrize("nearly", [0.0, 1e-6])
def test_maps_of_bands_of_one_frequency_are_all_in_a_file(tmp_path, nearly):
    instrument = instrument_of(tmp_path, [40, 100, 100 + nearly, 140], [1.0, 2.0, 3.0, 4.0])
    maps = np.random.default_rng(0).standard_normal((4, 2, 12))
    write_polarization(tmp_path / "maps.fits", maps, instrument.labels, "")
    np.testing.assert_array_equal(read_polarization(tmp_path / "maps.fits"), maps)


@pytest.mark.parametrize("nearly", [0.0, 1e-9])
def test_two_bands_of_one_frequency_are_one_of_their_joint_depth(tmp_path, litebird, nearly):
    """Through the instrument's file, files of maps and the fit: a band twice, √2 times as noisy."""
    place = int(np.flatnonzero(litebird.frequency == 100)[0])
    twice = np.sort([*range(len(litebird.frequency)), place])
    frequency, depth = litebird.frequency[twice], litebird.depth_p[twice]
    frequency[place + 1] += nearly
    depth[[place, place + 1]] *= np.sqrt(2)
    split = instrument_of(tmp_path, frequency, depth)
    rng = np.random.default_rng(1)
    nside, model = 4, DUST_AND_SYNCHROTRON
    n_pixels = 12 * nside**2
    noise = WhiteNoise.of(litebird, nside)
    amplitude = {"dust": 10.0, "synch": 100.0}
    maps = {name: one * rng.standard_normal((2, n_pixels)) for name, one in amplitude.items()}
    parameters = np.tile([[1.6], [19.0], [-3.1]], n_pixels)
    sky = emission(litebird.frequency, parameters, maps, model)
    joint = sky + noise.draw(n_pixels, 0, 0, "")
    # Their difference is nothing that a sky could do.
    apart = joint[twice]
    difference = rng.standard_normal((2, n_pixels))
    apart[place] += difference
    apart[place + 1] -= difference
    write_polarization(tmp_path / "maps.fits", apart, split.labels, "")
    patches = {name: np.zeros(n_pixels, dtype=int) for name in model.names}
    one, two = (
        separate(data[None], WhiteNoise.of(which, nside), which.frequency, patches)
        for data, which in (
            (joint, litebird),
            (read_polarization(tmp_path / "maps.fits"), split),
        )
    )
    assert one.converged.all() and two.converged.all()
    for name in model.names:
        np.testing.assert_allclose(two.parameters[name], one.parameters[name], rtol=1e-6)
        np.testing.assert_allclose(two.errors[name], one.errors[name], rtol=1e-6)
    np.testing.assert_allclose(two.cmb, one.cmb, atol=1e-6)


def instrument_of(folder, frequency, depth):
    """An instrument that was written to a file and read."""
    content = {"name": "test", "source": "test", "frequency": list(map(float, frequency))}
    content |= {"depth_p": list(map(float, depth)), "beam": [30.0] * len(depth)}
    validate(content, read_schema("instrument"))
    (folder / "instrument.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return read_instrument(folder / "instrument.yaml")


@pytest.mark.parametrize("nside", [16, 64])
@every_instrument
def test_noise_of_a_pixel_has_the_white_spectrum_of_the_map_depth(path, nside):
    """White noise has C_ell = sigma² × pixel area = depth², with depth in µK radian.

    With hits that is so on average of 1 / C_ell over the pixels that have any.
    """
    instrument = read_instrument(path)
    pixel_area = 4 * np.pi / (12 * nside**2)
    depth = instrument.depth_p * np.pi / (180 * 60)
    sigma = WhiteNoise.of(instrument, nside).sigma
    weight = 1 / (sigma.reshape(len(sigma), -1) ** 2 * pixel_area)
    found = [one[one > 0].mean() for one in weight]
    np.testing.assert_allclose(found, depth**-2, rtol=1e-12)
