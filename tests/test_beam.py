"""Beams and common resolutions: windows, what they make of maps, and what is refused."""

import healpy as hp
import numpy as np
import pytest
from refusals import SOURCE, problems_of

from patchsep.files.maps import read_resolution, write_polarization
from patchsep.instrument.beam import Beam, Resolution, common_window
from patchsep.instrument.instrument import named_files, read_instrument
from patchsep.sky.cmb import simulate_cmb
from patchsep.sky.harmonics import smoothed

NSIDE, LMAX = 32, 95
FWHM = 150.0


def written(folder, table, name="beam.txt"):
    np.savetxt(folder / name, table)
    return name


def test_a_gaussian_beam_is_healpys():
    expected = hp.gauss_beam(np.radians(1.5), LMAX)
    np.testing.assert_allclose(Beam(90.0).window(LMAX), expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_a_tabulated_beam_is_one_at_the_monopole_and_knows_its_width(tmp_path, scale):
    window = hp.gauss_beam(np.radians(FWHM / 60), 300)
    beam = Beam.read(tmp_path / written(tmp_path, np.c_[np.arange(301), scale * window]))
    np.testing.assert_allclose(beam.window(LMAX), Beam(FWHM).window(LMAX), atol=1e-12)
    assert beam.fwhm == pytest.approx(FWHM, rel=0.01)
    # What the table does not have is not seen.
    assert list(beam.window(302)[301:]) == [0, 0]


def test_a_narrow_table_that_ends_early_has_the_width_of_its_end():
    beam = Beam.tabulated(np.arange(51), Beam(60.0).window(50))
    assert beam.fwhm == pytest.approx(60, rel=1e-6)


def test_a_beam_is_compared_with_a_resolution_where_that_leaves_something():
    beam, narrow = Beam(FWHM), Resolution(FWHM / 2)
    assert beam.is_wider_than(narrow, LMAX)
    assert not beam.is_wider_than(Resolution(FWHM, high_pass=20), LMAX)
    assert not Beam(1.0).is_wider_than(narrow, LMAX)
    # Gaussian up to where the common beam has fallen to a hundredth, and nothing beyond.
    common = beam.window(LMAX)
    cut = Beam.tabulated(np.arange(LMAX + 1), np.where(common > 0.009, common, 0.0))
    assert not cut.is_wider_than(Resolution(FWHM), LMAX)


def test_a_high_pass_filter_leaves_half_at_its_multipole_and_is_a_map_less_itself_smoothed():
    window = Resolution(FWHM, high_pass=20).window(LMAX) / Beam(FWHM).window(LMAX)
    assert window[20] == pytest.approx(0.5)
    assert window[0] == 0 and window[-1] > 0.99
    # A Gaussian of σ² = 2 ln 2 / ℓ(ℓ + 1).
    sigma = np.sqrt(2 * np.log(2) / (20 * 21))
    beam = hp.gauss_beam(sigma * np.sqrt(8 * np.log(2)), LMAX)
    np.testing.assert_allclose(window, 1 - beam, atol=1e-12)


def test_maps_are_smoothed_as_healpy_smooths_them():
    ell = np.arange(LMAX + 1)
    alm = hp.synalm(np.where((ell > 1) & (ell < NSIDE), np.maximum(ell, 1.0) ** -2.0, 0.0))
    maps = np.array(hp.alm2map_spin([alm, 0.3j * alm], NSIDE, 2, LMAX))
    found = smoothed(maps[None], Beam(FWHM).window(LMAX), NSIDE)[0]
    window = hp.gauss_beam(np.radians(FWHM / 60), LMAX)
    own = [hp.almxfl(one, window) for one in (alm, 0.3j * alm)]
    expected = hp.alm2map_spin(own, NSIDE, 2, LMAX)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_cmb_at_a_resolution_is_the_same_sky_smoothed(spectra):
    # Harmonic analyses are exact of what is well below the resolution of the pixels.
    theory = spectra.iloc[: LMAX + 1] * (np.arange(LMAX + 1) < NSIDE)[:, None]
    sharp = simulate_cmb(theory, 0.01, NSIDE, 3)
    resolution = Resolution(FWHM, high_pass=10)
    found = simulate_cmb(theory, 0.01, NSIDE, 3, resolution.window(LMAX))
    expected = smoothed(sharp[None], resolution.window(LMAX), NSIDE)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("resolution", [None, {"fwhm": 91.0}, {"fwhm": 70.5, "high_pass": 30.0}])
def test_headers_have_the_resolution_in_the_words_of_the_settings(tmp_path, resolution):
    path = tmp_path / "maps.fits"
    write_polarization(path, np.zeros((1, 2, 12)), ["CMB"], "", resolution=resolution)
    assert read_resolution(path) == resolution
    found = Resolution.of(read_resolution(path))
    np.testing.assert_array_equal(
        common_window(found, 5), common_window(Resolution.of(resolution), 5)
    )


# Instruments

FEW = {"frequency": [30.0, 44.0, 100.0, 143.0, 353.0], "depth_p": [5.0] * 5}


def test_beams_of_an_instrument_are_widths_or_files_beside_it(tmp_path, instrument):
    name = written(tmp_path, np.c_[np.arange(200), Beam(40.0).window(199)])
    path = instrument(**FEW, beam=[50.0, name, 30.0, 20.0, 10.0])
    found = [round(beam.fwhm, 2) for beam in read_instrument(path).beams]
    assert found == [50, 40, 30, 20, 10]
    assert named_files([path], "bandpass_files", "beam") == [str(tmp_path / name)]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.c_[np.arange(2, 100), np.ones(98)], "its multipoles must be 0, 1, 2 and so on"),
        (np.c_[np.arange(100), np.full(100, np.nan)], "B_ell is not finite"),
        (np.c_[np.arange(100), np.zeros(100)], "not above 0 at ell = 0"),
        (np.arange(100), "needed are two columns, multipole from 0 on and B_ell"),
    ],
)
def test_a_beam_file_that_is_none_is_refused(tmp_path, instrument, table, reason):
    name = written(tmp_path, table)
    path = instrument(**FEW, beam=[50.0, 40.0, name, 20.0, 10.0])
    (line,) = problems_of({"instrument": path})
    assert line.startswith(f"{SOURCE}: instrument: {path}: beam.2: {name} cannot be used: ")
    assert reason in line


@pytest.mark.usefixtures("repository")
def test_a_beam_that_is_wider_than_the_resolution_is_refused(instrument):
    path = instrument(**FEW, beam=[150.0, 120.0, 60.0, 40.0, 20.0])
    lines = problems_of({"instrument": path, "resolution": {"fwhm": 115}})
    assert lines == [
        f"{SOURCE}: resolution.fwhm: 115 arcmin is finer than the beam of {band} in {path}, "
        f"{fwhm} arcmin; use {fwhm} or more, or leave out that band"
        for band, fwhm in (("30GHZ", 150), ("44GHZ", 120))
    ]


@pytest.mark.usefixtures("repository")
def test_a_resolution_that_is_finer_than_pixels_is_refused(instrument):
    path = instrument(**FEW, beam=[50.0] * 5)
    (line,) = problems_of({"instrument": path, "resolution": {"fwhm": 60}})
    assert line == (
        f"{SOURCE}: resolution.fwhm: 60 arcmin is less than a pixel of nside 32, 110 arcmin; "
        "use 110 or more, or a larger nside"
    )


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ell_knee": [30.0] * 5}, "knee_slope: missing; noise with a knee has"),
        ({"knee_slope": [-2.0] * 5}, "ell_knee: missing; noise with a knee has"),
        ({"ell_knee": [30.0], "knee_slope": [-2.0] * 5}, "ell_knee: 1 values for 5 bands"),
        ({"ell_knee": [30.0] * 5, "knee_slope": [2.0] * 5}, "knee_slope.0: 2.0 is above 0"),
    ],
)
def test_knees_that_are_not_complete_are_refused(instrument, changes, reason):
    path = instrument(**FEW, beam=[50.0] * 5, **changes)
    assert reason in problems_of({"instrument": path})[0]


@pytest.mark.usefixtures("repository")
def test_noise_that_grows_towards_the_quadrupole_needs_a_filter(instrument):
    knees = {"ell_knee": [0.0, 0.0, 50.0, 100.0, 0.0], "knee_slope": [0.0, 0, -1, -3, 0]}
    path = instrument(**FEW, beam=[50.0] * 5, **knees)
    (line,) = problems_of({"instrument": path})
    assert line.startswith(
        f"{SOURCE}: instrument: noise of 143GHZ in {path} is 1.2e+05 times the white one at ell = 2"
    )
    assert "resolution.high_pass" in line


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("resolution", [{}, {"high_pass": 30}, {"fwhm": 91, "lowpass": 3}, 91])
def test_a_resolution_is_a_width_and_perhaps_a_filter(resolution):
    assert problems_of({"resolution": resolution})[0].startswith(f"{SOURCE}: resolution")
