"""The first look at observed maps: its numbers, its remarks, and the page that has all of it."""

import re
from base64 import b64decode
from dataclasses import replace

import healpy as hp
import numpy as np
import pytest

from patchsep.figures.first_look import ObservedBands, write_first_look
from patchsep.instrument.noise import WhiteNoise

NSIDE = 16
N_PIXELS = 12 * NSIDE**2
NAMES = ["A<1>", "B", "C"]
SEEN = np.arange(N_PIXELS) >= N_PIXELS // 4
DUST = "dust at 353 GHz [µK_RJ]"


@pytest.fixture
def bands():
    """White noise on a sky of ±3 µK in three bands, of which the last has other noise by pixel."""
    rng = np.random.default_rng(4)
    sigma = np.ones((3, N_PIXELS))
    sigma[1] = 2.0
    sigma[2] = np.linspace(0.5, 1.5, N_PIXELS)
    noise = WhiteNoise(sigma)
    sky = 3.0 * np.sign(np.sin(np.arange(N_PIXELS)))
    shape = (2, 3, 2, N_PIXELS)
    splits = sky + np.sqrt(2) * noise.by_pixel * rng.standard_normal(shape)
    splits = np.where(SEEN, splits, np.nan)
    return ObservedBands(
        NAMES, np.array([40.0, 90, 150]), 3 * ["K_CMB"], splits.mean(axis=0), noise, splits, {}
    )


def test_numbers_of_a_band_are_those_of_what_it_observes(bands):
    bands.maps[1, :, 2000] = 300, -400
    table = bands.table().set_index("band")
    assert np.allclose(table["f_sky"], 0.75)
    assert table.loc["A<1>", "rms"] == pytest.approx(np.sqrt(9 + 1), rel=0.05)
    expected = np.sqrt(np.mean(np.linspace(0.5, 1.5, N_PIXELS)[SEEN] ** 2))
    assert np.allclose(table["noise"], [1, 2, expected])
    assert np.allclose(table["difference"], 1, atol=0.03)
    assert table.loc["B", "largest"] == pytest.approx(500)
    at = hp.pix2ang(NSIDE, 2000, lonlat=True)
    assert np.allclose(table.loc["B", ["longitude", "latitude"]].astype(float), at)
    assert list(table["remarks"]) == ["", "", ""]


def test_noise_may_be_one_number_per_band_or_differ_between_q_and_u(bands):
    alike = replace(bands, noise=WhiteNoise(np.array([1.0, 2, 1])))
    assert np.allclose(alike.table()["noise"], [1, 2, 1])
    of_both = np.stack([bands.noise.sigma, 2 * bands.noise.sigma], axis=1)
    apart = replace(bands, noise=WhiteNoise(of_both)).table()["noise"]
    assert np.allclose(apart, np.sqrt(2.5) * bands.table()["noise"])


def test_a_pixel_without_noise_or_with_one_stokes_parameter_alone_is_not_observed(bands):
    bands.noise.sigma[0, -100:] = np.inf
    bands.maps[0, 1, -200:-100] = np.nan
    f_sky = bands.table()["f_sky"]
    assert f_sky[0] == pytest.approx(0.75 - 200 / N_PIXELS)
    assert f_sky[1] == 0.75


def test_remarks_are_on_maps_of_a_wrong_unit_and_splits_that_do_not_fit(bands):
    bands.maps[0] *= 1e-3
    difference = bands.splits[0, 1] - bands.splits[1, 1]
    bands.splits[0, 1] = bands.splits[1, 1] + 0.5 * difference
    bands.maps[2] = np.nan
    less, differ, nothing = bands.table()["remarks"]
    assert "less than its noise: look at its unit" in less
    assert "splits differ by less than noise does" in differ
    assert nothing == "nothing is observed"


def test_without_splits_nothing_is_said_of_them(bands):
    table = replace(bands, splits=None).table()
    assert table["difference"].isna().all()
    assert not table["remarks"].any()


def page_of(tmp_path, bands, warnings=()):
    path = tmp_path / "look.html"
    amplitudes = {DUST: np.where(SEEN, np.ones((2, N_PIXELS)), np.nan)}
    masks = {"footprint": SEEN, "hi_north": ~SEEN}
    write_first_look(path, "mine & yours", bands, masks, amplitudes, {"β_d": 1.54321}, warnings)
    return path.read_text(encoding="utf-8")


def test_the_page_has_every_map_by_itself_and_no_script(tmp_path, bands):
    page = page_of(tmp_path, replace(bands, hits={"B": np.arange(N_PIXELS)}))
    pictures = re.findall(r'<img alt="(.*?)" src="data:image/png;base64,(.*?)">', page)
    assert [name for name, _ in pictures] == [
        "A&lt;1&gt;, 40 GHz",
        "B, 90 GHz",
        "C, 150 GHz",
        DUST,
        "footprint, 75.0% of the sky",
        "hi north, 25.0% of the sky",
    ]
    decoded = [b64decode(picture) for _, picture in pictures]
    assert all(picture.startswith(b"\x89PNG") for picture in decoded)
    # Four maps abreast where there are hits, one of a mask.
    widths = [int.from_bytes(picture[16:20], "big") for picture in decoded]
    assert widths[1] == pytest.approx(4 * widths[4], abs=2)
    assert widths[0] == widths[2] == pytest.approx(3 * widths[4], abs=2)
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<title>mine &amp; yours</title>" in page
    assert "β_d = 1.543" in page
    assert "Nothing looks wrong." in page
    assert page.count("<td>K_CMB</td>") == 3


def test_warnings_and_bands_with_remarks_are_told_first(tmp_path, bands):
    bands.maps[0] *= 1e-3
    page = page_of(tmp_path, bands, ["maps.fits: <b> is wrong; do this"])
    told = page.index("<li>maps.fits: &lt;b&gt; is wrong; do this</li>")
    remarked = page.index("remarks on A&lt;1&gt;.</li>")
    assert told < remarked < page.index("<h2>Bands</h2>")
    assert "Nothing looks wrong" not in page


def test_a_band_that_observes_nothing_is_in_the_page(tmp_path, bands):
    bands.maps[1] = np.nan
    page = page_of(tmp_path, replace(bands, splits=None))
    assert "nothing is observed" in page
    assert "nan" not in page.split("<h2>Maps</h2>")[0].lower()
