"""Observed maps in a notebook: the page's example, and maps that PySM alone has made."""

import re
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
import yaml
from observed_skies import Observation, splits_of
from other_codes import gaussian_cmb, pysm_bands, write_observation

import patchsep
from patchsep.instrument.instrument import read_instrument
from patchsep.running.schema import SettingsError

ROOT = Path(__file__).parents[1]
NSIDE = 16
# Quickly done.
FEW = {"mocks": {"skies": 4}, "spectra": {"estimator": "pure", "apodization": 15, "bin_width": 6}}


def test_the_example_of_the_page_runs(tmp_path, monkeypatch):
    page = (ROOT / "docs/observed-analysis.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    quick = code.replace("nside=32", f"nside={NSIDE}").replace('"skies": 40', '"skies": 3')
    assert quick != code
    description = (ROOT / "tests/seven_bands.yaml").read_text(encoding="utf-8")
    (tmp_path / "my_instrument.yaml").write_text(description, encoding="utf-8")
    instrument = read_instrument(tmp_path / "my_instrument.yaml")
    (tmp_path / "maps").mkdir()
    for split, letter in zip(splits_of(instrument, NSIDE), "AB", strict=True):
        files = Observation.written(tmp_path / "maps", instrument, split)
        for band in instrument.labels:
            files.path(band).rename(tmp_path / f"maps/{band}_{letter}.fits")
    monkeypatch.chdir(tmp_path)
    known = {}
    exec(quick, known)
    assert len(known["analysis"].r_table()) > 1
    assert known["analysis"].cleaned.converged
    with pytest.raises(SettingsError, match="pulse"):
        patchsep.clean(known["observation"], spectra={"estimator": "pulse"})


@pytest.fixture(scope="module")
def of_pysm(shared, tmp_path_factory, spectra):
    """LiteBIRD's bands by PySM alone, read as observed maps, and the CMB that they have."""
    folder = tmp_path_factory.mktemp("pysm")
    content = yaml.safe_load((ROOT / "config/instruments/litebird.yaml").read_text())
    content |= {"bandwidth": 0.25, "beam": [120.0 - 4 * k for k in range(15)]}
    content.pop("bandpass_files", None)
    (folder / "described.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    instrument = read_instrument(folder / "described.yaml")
    theory = spectra.iloc[:192]
    powers = theory["ee_scalar"].to_numpy(), theory["bb_lensing"].to_numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSM_LOCAL_DATA", str(shared / "sky/pysm"))
        sky = pysm_bands(["d1", "s1"], content["frequency"], 0.25, content["beam"], 64)
    sky += gaussian_cmb(*powers, content["beam"], 64, seed=1)
    section = write_observation(folder, instrument.labels, sky, content["depth_p"], seed=2)
    # The same CMB at the run's resolution, of the multipoles that it keeps.
    common, lmax = {"fwhm": 240.0}, 3 * NSIDE - 1
    (fine,) = gaussian_cmb(*powers, [common["fwhm"]], 64, seed=1)
    kept = hp.map2alm([0 * fine[0], *fine], lmax=lmax, iter=5)
    cmb = np.array(hp.alm2map(kept, NSIDE, lmax=lmax)[1:])
    latitude = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)[1]
    observation = patchsep.Observation.read(
        section, folder / "described.yaml", NSIDE, {"clean": np.abs(latitude) > 40}, common
    )
    return observation, cmb


def test_maps_by_pysm_alone_are_cleaned_to_the_errors_that_mock_skies_tell(of_pysm):
    observation, cmb = of_pysm
    analysis = patchsep.clean(observation, **FEW)
    assert analysis.cleaned.converged
    (region,) = observation.regions
    error = np.std(analysis.cleaned.cmb - cmb[:, region.pixels])
    expected = np.std(analysis.mocks.cleaned - analysis.mocks.cmb)
    # The power of what foregrounds leave is said to be known to e^±0.5: twice that.
    assert np.abs(np.log(error**2 / expected**2)) < 2 * 0.5
    assert error < 0.3 * np.std(cmb[:, region.pixels])
    assert analysis.estimate("combined") is not None
