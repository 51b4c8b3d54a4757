"""Observed maps are read right: signs, coordinates, windows and what is not seen."""

import hashlib

import healpy as hp
import numpy as np
import pytest
from observed_skies import STATED, Observation, splits_of, write_map

from patchsep.files.foreign_maps import UnusableMap
from patchsep.instrument.bandpass import SIMULATED_NODES
from patchsep.instrument.beam import Beam, Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.map_units import ucmb_per
from patchsep.instrument.pixel_window import pixel_window
from patchsep.observation.observed_checks import observation_problems
from patchsep.observation.observed_maps import read_observed_maps
from patchsep.sky.harmonics import gaussian_alm, synthesize, to_galactic

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
BAND = "100GHZ"
COARSE = Resolution(900.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory, litebird):
    maps = splits_of(litebird, NSIDE).mean(axis=0)
    return Observation.written(tmp_path_factory.mktemp("maps"), litebird, maps)


@pytest.fixture
def observation(tmp_path, written):
    return written.copied(tmp_path / "maps")


def read(observation, nside=NSIDE, resolution=None, **settings):
    return read_observed_maps(
        observation.settings | settings, observation.instrument, nside, resolution
    )


def band_of(observed, observation, band=BAND):
    return observed.maps[observation.instrument.labels.index(band)]


# Layouts


def test_maps_are_read_as_they_are_and_the_files_are_not_written_to(observation):
    def content():
        return [
            (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
            for path in sorted(observation.folder.iterdir())
        ]

    before = content()
    observed = read(observation)
    assert observation_problems(observation.settings, observation.instrument, NSIDE, None) == []
    np.testing.assert_array_equal(observed.maps, observation.maps)
    assert observed.splits is None and observed.seen.all()
    assert content() == before


@pytest.mark.parametrize(
    "layout",
    [
        {"nest": True},
        {"fits_IDL": True, "nest": True},
        {"partial": True},
        {"cards": {"POLCCONV": "iau"}, "sign": -1},
        {"names": ["I", "Q_STOKES", "U_STOKES"]},
        {"names": ["STOKES_U", "STOKES_Q"]},
        {"names": ["Q_POLARISATION", "U_POLARISATION", "QQ_COV", "QU_COV", "UU_COV"]},
        {"names": ["A", "B"], "stated": {"columns": [0, 1]}},
        {"names": ["A", "B", "C"], "stated": {"columns": ["B", "C"]}},
        {"unit": "K", "factor": 1e6},
        {"unit": "mK,thermodynamic", "factor": 1e3},
        {"unit": "", "cards": {"POLCCONV": None, "COORDSYS": None}, "stated": STATED},
    ],
    ids=str,
)
def test_every_layout_gives_the_same_maps(observation, layout):
    layout = dict(layout)
    stated, names = layout.pop("stated", {}), layout.get("names", ["Q", "U"])
    q, u = observation.of(BAND)
    q, u = (one / layout.get("factor", 1.0) for one in (q, u * layout.pop("sign", 1)))
    layout.pop("factor", None)
    columns = {2: [q, u], 3: [np.ones(N_PIXELS), q, u], 5: [q, u, *np.ones((3, N_PIXELS))]}
    stored = columns[len(names)][:: -1 if names[0] == "STOKES_U" else 1]
    if layout.get("nest"):
        stored = hp.reorder(np.array(stored), r2n=True)
    observation.rewrite(BAND, stored, **layout)
    found = read(observation, bands={BAND: stated})
    np.testing.assert_allclose(band_of(found, observation), observation.of(BAND), rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "precision"), [(np.float32, 1e-6), (np.int16, 0.5), (np.int32, 0.5)]
)
def test_numbers_of_every_kind_are_read(observation, dtype, precision):
    qu = 1e3 * observation.of(BAND)
    observation.rewrite(BAND, np.round(qu) if precision == 0.5 else qu, dtype=dtype, unit="uK_RJ")
    to_cmb = ucmb_per("uK_RJ", observation.instrument.bandpasses(SIMULATED_NODES))
    found = (
        band_of(read(observation), observation) / to_cmb[observation.instrument.labels.index(BAND)]
    )
    np.testing.assert_allclose(found, qu, atol=precision * (1 if precision == 0.5 else qu.std()))


def test_half_precision_is_read_of_numpys_files(observation):
    qu = observation.of(BAND)
    np.savez(observation.folder / "half.npz", Q=qu[0].astype(np.float16), U=qu[1].astype("f2"))
    paths = {band: str(observation.path(band)) for band in observation.instrument.labels}
    paths[BAND] = str(observation.folder / "half.npz")
    found = band_of(read(observation, maps=paths, bands={BAND: STATED}), observation)
    np.testing.assert_allclose(found, qu, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mark", [hp.UNSEEN, -1.6375e30, np.nan, np.inf, 0.0], ids=str)
def test_pixels_that_are_marked_are_not_seen(observation, mark, dtype):
    qu = observation.of(BAND)
    qu[:, 10:20] = mark
    # One of the two is enough, but for a zero, which may be a value.
    qu[0, 30:35] = mark
    observation.rewrite(BAND, qu, dtype=dtype)
    observed = read(observation)
    missing = np.isnan(band_of(observed, observation)).all(axis=0)
    expected = [*range(10, 20), *(range(30, 35) if mark != 0 else ())]
    assert np.flatnonzero(missing).tolist() == expected
    assert np.flatnonzero(~observed.seen.all(axis=0)).tolist() == expected


def test_splits_are_the_maps_if_there_are_no_others(observation, tmp_path):
    splits = splits_of(observation.instrument, NSIDE)
    for name, of_split in zip("AB", splits, strict=True):
        for band, qu in zip(observation.instrument.labels, of_split, strict=True):
            write_map(tmp_path / f"{name}_{band}.fits", qu)
    splits[0, 3, :, 100] = np.nan
    write_map(tmp_path / "A_68GHZ.fits", np.where(np.isnan(splits[0, 3]), hp.UNSEEN, splits[0, 3]))
    paths = [str(tmp_path / f"{name}_{{band}}.fits") for name in "AB"]
    both = read(observation, splits=paths)
    settings = {"splits": paths}
    alone = read_observed_maps(settings, observation.instrument, NSIDE, None)
    np.testing.assert_allclose(alone.maps, both.maps, rtol=1e-12)
    np.testing.assert_array_equal(alone.splits, both.splits)
    # What one split does not see is not seen.
    assert np.argwhere(~both.seen).tolist() == [[3, 100]]
    assert np.isnan(both.splits[:, 3, :, 100]).all()


# Windows and coordinates

# W_ℓ of the T column of HEALPix's data files pixel_window_n*.fits, at nside, 2 nside, 3 nside - 1.
PUBLISHED = {
    8: [0.9488449448842123, 0.817805501797632, 0.6590814489942017],
    32: [0.952907409889574, 0.824917643317033, 0.649476610212444],
    64: [0.9535939863969998, 0.8261264274902717, 0.647903891933121],
}


@pytest.mark.parametrize("nside", PUBLISHED)
def test_the_window_of_pixels_is_the_published_one(nside):
    window = pixel_window(nside, 3 * nside - 1)
    assert window[0] == pytest.approx(1)
    found = window[[nside, 2 * nside, 3 * nside - 1]]
    np.testing.assert_allclose(found, PUBLISHED[nside], rtol=7e-4)


def red_modes(nside, seed=0, highest=None):
    """E and B of a red sky (2, n_alm) up to 2 nside."""
    ell = np.arange((highest or 2 * nside) + 1)
    cl = np.where(ell > 1, np.maximum(ell, 1.0) ** -2.4, 0.0)
    rng = np.random.default_rng(seed)
    return np.stack([gaussian_alm(cl, rng), gaussian_alm(cl / 2, rng)])


@pytest.mark.parametrize("letter", ["C", "E"])
def test_polarization_is_turned_with_the_poles_as_healpys_rotation_of_pixels_does(letter):
    alm = red_modes(64, highest=24)
    found = synthesize(to_galactic(alm, letter), 2, 64)
    given = synthesize(alm, 2, 64)
    rotator = hp.Rotator(coord=[letter, "G"])
    turned = rotator.rotate_map_pixel([np.zeros_like(given[0]), *given])[1:]
    # Linear between pixels, which near poles is not the same.
    pixels = np.arange(hp.nside2npix(64))
    here = np.abs(hp.pix2vec(64, pixels)[2])
    there = np.abs(rotator.get_inverse()(hp.pix2vec(64, pixels))[2])
    far = (here < 0.95) & (there < 0.95)
    assert np.std((found - turned)[:, far]) < 0.01 * np.std(found)


def test_lines_along_celestial_meridians_point_to_the_celestial_pole():
    """Q = 1, U = 0 at the celestial equator: the angle in Galactic maps is that of the pole."""
    nside = 32
    colatitude = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)))[0]
    alm = np.zeros((2, hp.Alm.getsize(2)), complex)
    alm[0, hp.Alm.getidx(2, 2, 0)] = -np.sqrt(32 * np.pi / 15)
    np.testing.assert_allclose(synthesize(alm, 2, nside)[0], np.sin(colatitude) ** 2, atol=1e-9)
    q, u_ = synthesize(to_galactic(alm, "C"), 2, nside)
    pole = np.array(hp.Rotator(coord=["C", "G"])(0.0, 0.0))
    theta, phi = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)))
    # Bearing of the pole, from south to east: HEALPix's basis of Q and U.
    south = np.sin(pole[0]) * np.cos(theta) * np.cos(phi - pole[1]) - np.cos(pole[0]) * np.sin(
        theta
    )
    east = -np.sin(pole[0]) * np.sin(phi - pole[1])
    bearing = np.arctan2(east, south)
    equator = np.abs(np.pi / 2 - hp.Rotator(coord=["G", "C"])(theta, phi)[0]) < 0.5
    np.testing.assert_allclose(
        (q + 1j * u_)[equator] / np.abs(q + 1j * u_)[equator],
        np.exp(2j * bearing)[equator],
        atol=1e-6,
    )


@pytest.fixture
def one_band(instrument, tmp_path):
    """LiteBIRD's band of 100 GHz with a wide beam, and a file of its map."""
    path = instrument(frequency=[100.0], depth_p=[1.0], beam=[600.0])
    found = read_instrument(path)

    def read_one(qu, resolution, nside=NSIDE, stated=None, **how):
        write_map(tmp_path / "m_100GHZ.fits", qu, **how)
        settings = {"maps": str(tmp_path / "m_{band}.fits")} | (stated or {})
        return read_observed_maps(settings, found, nside, resolution)

    return read_one


def expected_of(alm, window, coordinates="G", nside=NSIDE):
    lmax = 3 * nside - 1
    kept = np.stack(
        [hp.resize_alm(one, *2 * [hp.Alm.getlmax(len(one))], lmax, lmax) for one in alm]
    )
    rotate = hp.Rotator(coord=[coordinates, "G"]).rotate_alm
    turned = kept if coordinates == "G" else [rotate(one) for one in kept]
    return synthesize(np.stack([hp.almxfl(one, window) for one in turned]), 2, nside)


@pytest.mark.parametrize("coordinates", ["G", "C"])
@pytest.mark.parametrize("fine", [1, 2, 4])
def test_maps_are_brought_to_the_beam_nside_and_coordinates_of_the_run(one_band, coordinates, fine):
    nside, lmax = fine * NSIDE, 3 * NSIDE - 1
    alm = red_modes(nside)
    beam = Beam(600.0).window(2 * nside)
    given = synthesize(np.stack([hp.almxfl(one, beam) for one in alm]), 2, nside)
    expected = expected_of(alm, COARSE.window(lmax), coordinates)
    observed = one_band(given, COARSE, coord=coordinates)
    assert observed.seen.all()
    np.testing.assert_allclose(observed.maps[0], expected, atol=2e-3 * expected.std())


def test_the_window_of_pixels_is_undone(one_band):
    """Of means over pixels of a fine map."""
    lmax = 3 * NSIDE - 1
    alm = red_modes(NSIDE)
    beam = Beam(600.0).window(2 * NSIDE)
    given = synthesize(np.stack([hp.almxfl(one, beam) for one in alm]), 2, 16 * NSIDE)
    means = hp.ud_grade(given, 2 * NSIDE)
    expected = expected_of(alm, COARSE.window(lmax))
    # Around the poles Q and U turn within a pixel.
    far = np.abs(hp.pix2vec(NSIDE, np.arange(N_PIXELS))[2]) < 0.9
    undone, without = (
        np.std((one_band(means, COARSE, stated={"pixel_window": known}).maps[0] - expected)[:, far])
        for known in (True, False)
    )
    assert undone < 1e-3 * np.std(expected)
    assert undone < 0.4 * without


def test_pixels_near_the_edge_are_not_used_and_others_are_right(one_band):
    nside, lmax = 2 * NSIDE, 3 * NSIDE - 1
    alm = red_modes(nside)
    beam = Beam(600.0).window(2 * nside)
    given = synthesize(np.stack([hp.almxfl(one, beam) for one in alm]), 2, nside)
    declination = np.array(hp.pix2vec(nside, np.arange(hp.nside2npix(nside))))[2]
    given[:, declination < 0.3] = hp.UNSEEN
    observed = one_band(given, COARSE, coord="C", partial=True)
    seen = observed.seen[0]
    height = hp.Rotator(coord=["G", "C"])(hp.pix2vec(NSIDE, np.arange(N_PIXELS)))[2]
    assert not seen[height < 0.35].any() and seen[height > 0.55].all()
    assert np.isnan(observed.maps[0][:, ~seen]).all()
    expected = expected_of(alm, COARSE.window(lmax), "C")
    error = (observed.maps[0] - expected)[:, seen]
    assert np.std(error) < 1e-2 * expected.std()


def test_noise_is_not_made_larger_than_the_window_makes_it(one_band):
    """As noise of mock skies is brought there: N_ℓ is white times the window squared."""
    noise = np.random.default_rng(0).standard_normal((2, N_PIXELS))
    lmax = 3 * NSIDE - 1
    found = one_band(noise, COARSE).maps[0]
    factor = COARSE.window(lmax) / Beam(600.0).window(lmax)
    of_ell = (2 * np.arange(lmax + 1) + 1) / (12 * NSIDE**2)
    assert found.std() == pytest.approx(np.sqrt(factor**2 @ of_ell), rel=0.05)


# Real files


@pytest.fixture
def wmap(shared, tmp_path):
    """V and W of WMAP's seven years, and an instrument of these bands."""
    folder = shared / "sky/wmap"
    if not folder.is_dir():
        pytest.skip("needs the files of WMAP in ../shared/sky/wmap")
    text = "name: WMAP\nsource: LAMBDA\nfrequency: [61, 94]\ndepth_p: [400, 500]\nbeam: [21, 13]\n"
    (tmp_path / "wmap.yaml").write_text(text, encoding="utf-8")
    files = {
        band: str(folder / f"wmap_band_iqumap_r9_7yr_{name}_v4_udgraded32.fits")
        for band, name in (("61GHZ", "V"), ("94GHZ", "W"))
    }
    return {"maps": files}, read_instrument(tmp_path / "wmap.yaml")


def test_real_files_without_units_coordinates_and_convention_are_refused(wmap):
    settings, instrument = wmap
    (problem,) = observation_problems(settings, instrument, 32, None)
    assert problem == (
        f"observation.maps: {settings['maps']['61GHZ']} does not say its unit, coordinates, "
        "polarization convention (TUNITn, COORDSYS, POLCCONV); state observation.unit, "
        "observation.coordinates, observation.polarization_convention; so it is of 94GHZ"
    )
    with pytest.raises(UnusableMap, match="does not say its unit"):
        read_observed_maps(settings, instrument, 32, None)


def test_real_files_are_read_once_it_is_stated(wmap):
    settings, instrument = wmap
    stated = {key: STATED[key] for key in ("coordinates", "polarization_convention")}
    settings |= stated | {"unit": "mK_CMB"}
    problems = observation_problems(settings, instrument, 32, None)
    # Two bands cannot be cleaned.
    assert len(problems) == 1 and "4 are needed" in problems[0]
    observed = read_observed_maps(settings, instrument, 32, None)
    q, u_ = hp.read_map(settings["maps"]["94GHZ"], field=(1, 2), dtype=float)
    np.testing.assert_allclose(observed.maps[1], 1e3 * np.stack([q, u_]), rtol=1e-6)
