"""Other codes' simulations of a band are what is simulated here, up to how they integrate it."""

import healpy as hp
import numpy as np
import pytest
import yaml
from astropy.io import fits
from other_codes import gaussian_cmb, litebird_sim_bands, pysm_bands, write_observation

from patchsep.instrument.instrument import read_instrument
from patchsep.sky.foregrounds import foregrounds_in_bands
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL

NSIDE, PRESETS, BANDWIDTH = 64, ["d1", "s1"], 0.25
FREQUENCIES, BEAMS, DEPTHS = [40.0, 100.0, 353.0], [120.0, 90.0, 60.0], [30.0, 10.0, 60.0]
ROWS = {"frequency": FREQUENCIES, "beam": BEAMS, "depth_p": DEPTHS}


@pytest.fixture(scope="module")
def templates(shared):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
        yield


@pytest.fixture(scope="module")
def ours(templates, tmp_path_factory):
    """Foregrounds as this package simulates them, smoothed by healpy."""
    path = tmp_path_factory.mktemp("bands") / "bands.yaml"
    content = {"name": "Three", "source": "none", "bandwidth": BANDWIDTH, **ROWS}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    sky, _ = foregrounds_in_bands({"model": PRESETS}, read_instrument(path), NSIDE, MODEL)
    return np.stack(
        [
            hp.smoothing([0 * qu[0], *qu], np.radians(fwhm / 60), iter=3)[1:]
            for qu, fwhm in zip(sky.polarization, BEAMS, strict=True)
        ]
    )


def test_pysm_alone_sees_the_same_bands(ours):
    found = pysm_bands(PRESETS, FREQUENCIES, BANDWIDTH, BEAMS, NSIDE)
    error = np.std(found - ours, axis=(1, 2)) / np.std(ours, axis=(1, 2))
    # Eleven nodes of a quarter of the frequency, by trapezia.
    assert error.max() < 2e-3


def test_litebird_sim_sees_the_same_bands(ours):
    pytest.importorskip("litebird_sim", reason="needs litebird_sim: pip install litebird_sim")
    found = litebird_sim_bands(PRESETS, FREQUENCIES, BANDWIDTH, BEAMS, NSIDE, seed=1)
    other = litebird_sim_bands(PRESETS, FREQUENCIES, BANDWIDTH, BEAMS, NSIDE, seed=2)
    _, latitude = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)
    # Bands share a CMB, of some µK, which differs between seeds.
    cmb = (found - other) / np.sqrt(2)
    assert 0.1 < cmb.std() < 3
    plane = np.abs(latitude) < 10
    error = np.std((found - ours)[..., plane], axis=(1, 2)) / np.std(ours[..., plane], axis=(1, 2))
    # Dust of the plane is hundreds of times the CMB there; without the bandpass it is 1.2 % off.
    assert error[2] < 3e-3


def test_written_splits_have_the_sky_and_the_noise_of_their_depth(tmp_path, spectra):
    names, lmax = ["A", "B", "C"], 95
    theory = spectra.iloc[: lmax + 1]
    powers = theory["ee_scalar"].to_numpy(), theory["bb_lensing"].to_numpy()
    sky = gaussian_cmb(*powers, BEAMS, NSIDE, seed=1)
    section = write_observation(tmp_path, names, sky, DEPTHS, seed=2)
    for name, qu, depth in zip(names, sky, DEPTHS, strict=True):
        halves = []
        for pattern in section["splits"]:
            with fits.open(pattern.format(band=name)) as file:
                columns = [file[1].data[key].ravel() for key in file[1].columns.names]
                halves.append(1e6 * np.array(columns, float))
        noise = np.mean(halves, axis=0) - qu
        rms = depth / hp.nside2resol(NSIDE, arcmin=True)
        assert noise.std() == pytest.approx(rms, rel=0.02)
        assert np.std(halves[0] - halves[1]) / 2 == pytest.approx(rms, rel=0.02)
