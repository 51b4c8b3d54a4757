"""Maps of hits and of noise variance that an instrument's description names."""

import healpy as hp
import numpy as np
import pytest
from refusals import problems_of

from patchsep.files.foreign_maps import UnusableMap
from patchsep.instrument.instrument import named_files, read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.instrument.noise_maps import bands_that_see, read_noise_map
from patchsep.observation.bands import Bands
from patchsep.sky.regions import draw_regions
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("repository")

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
N_BANDS = 15
METHODS = {"fields": {"strategy": "fields"}}
# Hits that fall from one pole to the other; none beyond.
HITS = np.clip(np.cos(hp.pix2ang(NSIDE, np.arange(N_PIXELS))[0]), 0, None)


@pytest.fixture
def described(tmp_path, instrument):
    """LiteBIRD's description with a map of hits beside it."""

    def write(hits=HITS, **changes):
        hp.write_map(tmp_path / "hits.fits", hits, dtype=np.float64, overwrite=True)
        return instrument(hits="hits.fits", **changes)

    return write


def test_depth_is_that_of_mean_hits_over_what_is_hit(described, litebird):
    instrument = read_instrument(described())
    sigma = WhiteNoise.of(instrument, NSIDE).sigma
    uniform = WhiteNoise.of(litebird, NSIDE).sigma
    assert np.all(np.isinf(sigma[:, HITS == 0]))
    seen = HITS > 0
    weight = (uniform[:, None] / sigma[:, seen]) ** 2
    np.testing.assert_allclose(weight.mean(axis=1), 1)
    np.testing.assert_allclose(weight[0], HITS[seen] / HITS[seen].mean())


def test_hits_that_all_bands_share_cost_nothing(described):
    noise = WhiteNoise.of(read_instrument(described()), NSIDE)
    sigma, relative = noise.of_pixels(np.flatnonzero(HITS > 0)).factors()
    assert sigma.shape == (N_BANDS,) and relative.shape == (np.sum(HITS > 0),)


def test_variance_of_finer_pixels_is_shared(instrument, tmp_path, litebird):
    fine = np.random.default_rng(0).uniform(1.0, 3.0, 4 * N_PIXELS)
    hp.write_map(tmp_path / "variance.fits", fine, dtype=np.float64)
    path = instrument(variance=[None] * 14 + ["variance.fits"])
    noise = WhiteNoise.of(read_instrument(path), NSIDE)
    # A pixel of four finer ones: the mean of four values that are independent.
    expected = hp.ud_grade(fine, NSIDE) / 4
    np.testing.assert_allclose(noise.sigma[-1] ** 2, expected)
    np.testing.assert_allclose(noise.sigma[0], WhiteNoise.of(litebird, NSIDE).sigma[0])
    assert named_files([path], "hits", "variance") == [str(tmp_path / "variance.fits")]


def test_noise_has_the_rms_of_its_pixel_and_none_where_nothing_is_seen(described):
    noise = WhiteNoise.of(read_instrument(described()), NSIDE)
    drawn = np.stack([noise.draw(N_PIXELS, 1, number, "hi") for number in range(100)])
    assert np.all(drawn[..., HITS == 0] == 0)
    seen = HITS > 0
    ratio = drawn[..., seen].std(axis=(0, 2)) / noise.sigma[:, seen]
    assert np.mean(ratio) == pytest.approx(1, abs=5e-3)
    assert np.all(np.abs(ratio - 1) < 5 / np.sqrt(2 * 200))


def test_regions_have_what_enough_bands_see(described):
    n_bands = bands_that_see(read_instrument(described(hits=HITS)), NSIDE)
    assert list(np.unique(n_bands)) == [0, N_BANDS]
    regions = draw_regions(np.ones((1, N_PIXELS), bool), ["hi"], seen=n_bands >= 4)
    np.testing.assert_array_equal(regions.pixels("hi"), np.flatnonzero(HITS > 0))
    with pytest.raises(UnusableMap, match="hi has no pixel that enough bands see"):
        draw_regions(np.ones((1, N_PIXELS), bool), ["hi"], seen=np.zeros(N_PIXELS, bool))


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("variance", 0.0, "variance is not above 0 in 3 of 3072 pixels"),
        ("variance", -1.0, "variance is not above 0 in 3 of 3072 pixels"),
        ("hits", -1.0, "hits is not 0 or more in 3 of 3072 pixels"),
    ],
)
def test_values_that_no_noise_has_are_refused(tmp_path, kind, changed, said):
    values = np.ones(N_PIXELS)
    values[[5, 50, 500]] = changed
    hp.write_map(tmp_path / "map.fits", values, dtype=np.float64)
    with pytest.raises(UnusableMap, match=said) as error:
        read_noise_map(tmp_path / "map.fits", kind, NSIDE)
    assert "mark pixels that are not observed as UNSEEN" in str(error.value)


def test_the_configuration_is_refused_with_the_file_before_the_first_job(described):
    def refused(nside, **changes):
        path = described(**changes)
        (line,) = problems_of({"instrument": path, "nside": nside, "methods": METHODS})
        return line

    assert "instrument: hits:" in refused(NSIDE, hits=0 * HITS)
    assert "hits.fits has nside 16, and the run 32; use nside 16 or less" in refused(32)
    said = "variance: 1 values for 15 bands in frequency; give one per band"
    assert said in refused(NSIDE, variance=["a.fits"])
    assert "none.fits" in refused(NSIDE, variance=15 * ["none.fits"])


def test_methods_that_know_uniform_noise_only_are_refused_with_maps_of_it(described, monkeypatch):
    monkeypatch.setattr("patchsep.running.checks.find_spec", lambda name: True)
    methods = METHODS | {"ilc": {"strategy": "nilc"}}
    changes = {"nside": NSIDE, "methods": methods, "figures.drawn": []}
    (line,) = problems_of(changes | {"instrument": described()})
    assert "methods.ilc.strategy: nilc knows uniform noise only" in line and "remove" in line


def test_samples_and_checks_know_bands_that_see_nothing(dense):
    """Neither infinite noise nor a division by zero where a band has no hits."""
    sigma = dense.sigma[:, None] * np.ones(6)
    sigma[2, :3] = np.inf
    noise = WhiteNoise(sigma)
    bands = Bands.of(dense.frequency, noise, DUST_AND_SYNCHROTRON)
    np.testing.assert_allclose(bands.sigma, sigma)
    assert np.isfinite(noise.by_pixel).all() and np.all(noise.by_pixel[2, 0, :3] == 0)
