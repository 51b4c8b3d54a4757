"""Units of maps: their spellings, and what they are in bands, narrow and wide."""

import numpy as np
import pysm3
import pysm3.units as u
import pytest
from astropy.modeling.physical_models import BlackBody

from patchsep.instrument.bandpass import SIMULATED_NODES, Bandpasses, Transmission, bandpasses
from patchsep.instrument.map_units import parse_unit, ucmb_per


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        *((text, "K_CMB") for text in ("K_CMB", "Kcmb", "KCMB", "K CMB", "K_thermo", "K (CMB)")),
        *((text, "uK_CMB") for text in ("uK_CMB", "µKcmb", "muK_CMB", "microK_CMB", "uK_thermo")),
        *((text, "K") for text in ("K", "Kelvin", "kelvin")),
        *((text, "uK") for text in ("uK", "µK", "muK", "microK")),
        *((text, "mK_RJ") for text in ("mK_RJ", "mKRJ", "mK_ant", "mK,antenna")),
        *((text, "MJy/sr") for text in ("MJy/sr", "MJy sr-1", "MJy sr^-1", "MJy.sr**-1", "Mjy/sr")),
        *((text, "") for text in ("", "unknown", " ")),
    ],
)
def test_units_are_known_in_their_usual_spellings(text, unit):
    assert parse_unit(text) == unit


@pytest.mark.parametrize("text", ["counts", "Jy/beam", "K^2", "K_CMB^2", "MK", "mJy/sr", "K_"])
def test_other_units_are_not(text):
    with pytest.raises(ValueError, match="is not known"):
        parse_unit(text) if text != "K_" else parse_unit("K_X")


FREQUENCIES = np.array([30.0, 100.0, 353.0, 857.0])


@pytest.mark.parametrize("unit", ["K_CMB", "mK_CMB", "uK_CMB", "K_RJ", "mK_RJ", "uK_RJ", "MJy/sr"])
def test_units_in_narrow_bands_are_astropys(unit):
    name = {"MJy/sr": u.MJy / u.sr}.get(unit) or u.Unit(unit)
    expected = [
        (1 * name).to_value(u.uK_CMB, equivalencies=u.cmb_equivalencies(nu * u.GHz))
        for nu in FREQUENCIES
    ]
    np.testing.assert_allclose(ucmb_per(unit, Bandpasses.narrow(FREQUENCIES)), expected, rtol=1e-7)


@pytest.fixture(scope="module")
def wide():
    """Bands of 30 %, and points on them with the response to specific intensity."""
    hats = [Transmission.top_hat(nu, 0.3) for nu in FREQUENCIES]
    points = [nu * np.linspace(0.85, 1.15, 3001) for nu in FREQUENCIES]
    return bandpasses(FREQUENCIES, hats, SIMULATED_NODES), points


def test_rayleigh_jeans_temperature_in_wide_bands_is_pysms(wide):
    expected = [
        pysm3.utils.bandpass_unit_conversion(nu * u.GHz, np.ones(len(nu)), u.uK_CMB).value
        for nu in wide[1]
    ]
    np.testing.assert_allclose(ucmb_per("uK_RJ", wide[0]), expected, rtol=1e-6)


def test_intensity_in_wide_bands_is_that_of_the_iras_convention(wide):
    """∫ τ ν_c/ν dν over ∫ τ dB/dT dν (Planck 2013 IX, eq. 32), with astropy's B and derivative."""

    def expected(centre, nu):
        step = 1e-3
        above, below = (
            BlackBody((2.7255 + sign * step) * u.K)(nu * u.GHz).to_value(u.MJy / u.sr)
            for sign in (1, -1)
        )
        per_kelvin = np.trapezoid((above - below) / (2 * step), nu)
        return 1e6 * np.trapezoid(centre / nu, nu) / per_kelvin

    of_bands = [expected(*band) for band in zip(FREQUENCIES, wide[1], strict=True)]
    np.testing.assert_allclose(ucmb_per("MJy/sr", wide[0]), of_bands, rtol=5e-6)
