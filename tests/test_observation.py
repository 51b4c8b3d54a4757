"""An observation: what bands see of it, and files of its fields and mock skies."""

from dataclasses import fields, replace

import numpy as np
import pytest
from made_up_skies import mocks

from patchsep.analysis.mock_maps import MockMaps
from patchsep.fields.prior import expected_prior
from patchsep.files.whole import DamagedFile
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.observation import Observation
from patchsep.observation.region_sky import ObservedRegion
from patchsep.skies.foreground_fields import read_priors, write_priors
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.regions import Regions
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

NSIDE, N_PIXELS = 8, 768
PLACES = np.arange(N_PIXELS)
# Two regions, one after the other and neither in order of its pixels' numbers.
LABELS = np.where(PLACES < 100, 2, np.where(PLACES > 500, 1, 0))
REGIONS = Regions(["far", "near"], LABELS)
FAR, NEAR = REGIONS.pixels("far"), REGIONS.pixels("near")
BANDS = {
    "frequency": [40.0, 100.0, 300.0],
    "depth_p": [30.0, 5.0, 10.0],
    "beam": [70.0, 40.0, 30.0],
}


@pytest.fixture
def maps():
    return np.random.default_rng(1).standard_normal((3, 2, N_PIXELS))


@pytest.fixture
def observation(maps, instrument):
    """Makes an observation of maps that are NaN somewhere, with noise of pixels if there is any."""

    def observe(unseen=(), noise=None):
        bands = read_instrument(instrument(**BANDS))
        regions = ObservedRegion.of_instrument(bands, REGIONS, None, DUST_AND_SYNCHROTRON)
        if noise is not None:
            regions = [replace(one, noise=noise.of_pixels(one.pixels)) for one in regions]
        given = maps.copy()
        for band, pixels in unseen:
            given[band, :, pixels] = np.nan
        splits = given + 0.1, given - 0.1
        return Observation.of(given, splits, regions)

    return observe


def sigma_of(observation):
    return WholeSky(observation.regions, DUST_AND_SYNCHROTRON).noise.sigma


def test_maps_are_those_of_the_regions_one_after_the_other(observation, maps):
    found = observation()
    pixels = np.concatenate([FAR, NEAR])
    np.testing.assert_array_equal(found.maps, maps[..., pixels])
    np.testing.assert_allclose(found.half_difference, 0.1)
    np.testing.assert_allclose(found.splits[0], found.maps + 0.1)
    assert found.nside == NSIDE
    # Noise that is the same everywhere stays one number per band.
    assert sigma_of(found).shape == (3,)
    without = Observation.of(maps, [], found.regions)
    assert without.splits is None and without.half_difference is None


@pytest.mark.parametrize("pixel", [FAR[3], NEAR[3]])
def test_a_band_has_infinite_noise_where_its_map_is_not_known(observation, pixel):
    """In whatever region that is: the noise of all of them is one array."""
    found = observation([(1, [pixel])])
    sigma, expected = sigma_of(found), sigma_of(observation())
    assert sigma.shape == (3, len(FAR) + len(NEAR))
    unseen = np.concatenate([FAR, NEAR]) == pixel
    assert unseen.sum() == 1
    np.testing.assert_array_equal(np.isinf(sigma[1]), unseen)
    seen = np.where(unseen & (np.arange(3) == 1)[:, None], np.inf, expected[:, None])
    np.testing.assert_array_equal(sigma, seen)
    assert np.all(found.maps[1, :, unseen] == 0) and np.isfinite(found.splits).all()


def test_noise_of_pixels_and_of_stokes_keeps_its_shape(observation):
    for shape in ((3, N_PIXELS), (3, 2, N_PIXELS)):
        noise = WhiteNoise(np.random.default_rng(2).uniform(1, 2, shape))
        found = observation([(2, FAR[:4])], noise=noise).regions[0].noise.sigma
        assert found.shape == (*shape[:-1], len(FAR))
        assert np.isinf(found[2, ..., :4]).all() and np.isfinite(found[:2]).all()
        np.testing.assert_array_equal(found[..., 4:], noise.sigma[..., FAR[4:]])


# Files


@pytest.fixture
def priors():
    """One of every kind, and one with a template for its mean."""
    literature = {"mean": 1.6, "mean_error": 0.1, "scatter": 0.05, "slope": -2.5}
    kinds = {kind: {} for kind in ("value", "field", "pixels", "field_and_pixels")}
    kinds["patches"] = {"labels": PLACES % 7}
    found = [expected_prior(kind, NSIDE, literature, 12, **more) for kind, more in kinds.items()]
    template = np.random.default_rng(3).standard_normal(N_PIXELS)
    of_template = expected_prior(
        "field", NSIDE, literature, 12, template=template, pixels=FAR, error=0.1, coherence=10.0
    )
    return [*found, of_template.scaled(1.1)]


def test_priors_are_read_as_they_were_written(tmp_path, priors):
    assert np.ndim(priors[-1].mean) == 1
    write_priors(tmp_path / "priors.npz", priors)
    found = read_priors(tmp_path / "priors.npz")
    assert len(found) == len(priors)
    for one, was in zip(found, priors, strict=True):
        for field in fields(was):
            read, written = getattr(one, field.name), getattr(was, field.name)
            assert type(read) is type(written) or np.isscalar(written), field.name
            np.testing.assert_array_equal(read, written)


def test_more_than_ten_priors_keep_their_order(tmp_path, priors):
    several = [replace(priors[0], mean=float(number)) for number in range(12)]
    write_priors(tmp_path / "priors.npz", several)
    assert [one.mean for one in read_priors(tmp_path / "priors.npz")] == list(range(12))


@pytest.mark.parametrize("has_splits", [False, True])
def test_mock_maps_are_read_as_they_were_written_one_file_after_the_other(tmp_path, has_splits):
    parts = [mocks(n_skies, n_skies, has_splits) for n_skies in (2, 3)]
    paths = [tmp_path / f"{number}.npz" for number in range(2)]
    for path, part in zip(paths, parts, strict=True):
        part.write(path)
    found = MockMaps.read(paths)
    for field in fields(MockMaps):
        expected = np.concatenate([getattr(part, field.name) for part in parts])
        np.testing.assert_array_equal(getattr(found, field.name), expected)
        assert getattr(found, field.name).dtype == expected.dtype
    some = found.part(slice(3, 9))
    np.testing.assert_array_equal(some.cleaned, found.cleaned[..., 3:9])
    np.testing.assert_array_equal(some.converged, found.converged)


def test_a_damaged_file_is_set_aside_and_made_anew(tmp_path, priors):
    mocks(2, 1).write(tmp_path / "mocks.npz")
    write_priors(tmp_path / "priors.npz", priors)
    for name, read in (
        ("mocks.npz", lambda path: MockMaps.read([path])),
        ("priors.npz", read_priors),
    ):
        path = tmp_path / name
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(DamagedFile, match="run the same command again"):
            read(path)
        assert not path.exists() and (tmp_path / f"{name}.damaged").exists()
