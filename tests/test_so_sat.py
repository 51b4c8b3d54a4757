"""SO-SAT as it is shipped: hits that the docs make, and depths that are the published ones."""

import re
import runpy

import healpy as hp
import numpy as np
import pytest
import yaml
from workflows import ROOT

from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise

PAGE, FOLDER = ROOT / "docs/instruments.md", ROOT / "config/instruments"
# µK arcmin of temperature on 10 % of the sky, arXiv:1808.07445, Table 1.
PUBLISHED = np.array([35, 21, 2.6, 3.3, 6.3, 16])


@pytest.fixture(scope="module")
def hits():
    found = hp.read_map(FOLDER / "so-sat_hits.fits.gz", dtype=float)
    return np.where(found == hp.UNSEEN, 0.0, found)


def test_the_hits_are_those_that_the_docs_make(tmp_path, monkeypatch, hits):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "hits.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("hits.py")
    made = hp.read_map("so-sat_hits.fits.gz", dtype=float)
    # Rounded to 0.001.
    np.testing.assert_allclose(np.where(made == hp.UNSEEN, 0.0, made), hits, atol=0.0011)
    # Ten percent of the sky seen alike have as many modes.
    assert hits.mean() ** 2 / np.mean(hits**2) == pytest.approx(0.11, abs=0.005)


def test_the_depth_is_as_published_for_the_same_time_on_the_sky(hits):
    """Inverse variances of all pixels add up to those of 10 % of the sky, less what was set aside.

    The published depths have 0.85 of the time, for edges that hits have of their own.
    """
    instrument = read_instrument(FOLDER / "so-sat.yaml")
    sigma = WhiteNoise.of(instrument, 64).sigma
    total = np.sum(1 / sigma**2, axis=1)
    area = hp.nside2pixarea(64) * (180 * 60 / np.pi) ** 2
    uniform = 0.1 * sigma.shape[1] / (2 * PUBLISHED**2 / area)
    np.testing.assert_allclose(total / (uniform / 0.85), 1, rtol=0.02)


def test_the_knees_are_the_pessimistic_ones():
    content = yaml.safe_load((FOLDER / "so-sat.yaml").read_text())
    assert content["ell_knee"] == [30, 30, 50, 50, 70, 100]
    assert content["knee_slope"] == [-2.4, -2.4, -2.5, -3, -3, -3]
