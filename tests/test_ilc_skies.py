"""Skies that are cleaned by an ILC: data of the full sky, and tables as other methods have."""

import numpy as np
import pytest

from patchsep.separation.ilc import IlcMaps
from patchsep.skies.cleaned_sky import measure, recovered_maps
from patchsep.skies.ilc_skies import clean_with_ilc, observe_full_sky
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.regions import FULL_SKY
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

N_PIXELS = 12 * 16**2
PIXELS = {"hi": np.arange(0, 600), "low": np.arange(900, 1600)}
SPECTRA = {"estimator": "pseudo", "apodization": 10.0, "bin_width": 4}
BB = np.ones(48)


def in_region(sky, region):
    """The region's part of a full sky."""
    pixels = PIXELS[region]
    maps = {"foregrounds": sky.foregrounds[..., pixels], "cmb": sky.cmb[:, pixels]}
    return type(sky)(**vars(sky) | {"region": region, "pixels": pixels} | maps)


@pytest.fixture(scope="module")
def everywhere(few_pixels):
    return few_pixels(np.arange(N_PIXELS), region=FULL_SKY)


@pytest.fixture(scope="module")
def regions(everywhere):
    return [in_region(everywhere, region) for region in PIXELS]


def mean_of_bands(name, data, foregrounds, pixels, frequencies, noise, bb, true_cmb):
    """In place of an ILC: all bands weigh the same."""
    assert name == "nilc"
    assert len(frequencies) == len(noise.sigma) == len(foregrounds)
    assert bb is BB
    assert true_cmb.shape == (2, N_PIXELS)
    cmb = np.stack([maps.mean(axis=0)[:, pixels] for maps in data])
    return IlcMaps(cmb, foregrounds.mean(axis=0)[:, pixels])


@pytest.fixture(scope="module")
def cleaned(everywhere, regions):
    sky = WholeSky(regions, DUST_AND_SYNCHROTRON)
    found = clean_with_ilc("nilc", "my_ilc", everywhere, sky, range(3), BB, separate=mean_of_bands)
    return dict(found)


def test_in_regions_data_are_those_of_other_methods(everywhere, regions):
    for number, data in enumerate(observe_full_sky(everywhere, regions, range(2))):
        for sky in regions:
            np.testing.assert_array_equal(data[..., sky.pixels], sky.observe(number))


def test_elsewhere_data_have_noise_of_their_own(everywhere, regions):
    first, second = observe_full_sky(everywhere, regions, range(2))
    outside = np.setdiff1d(np.arange(N_PIXELS), np.concatenate(list(PIXELS.values())))
    noise = (second - first)[..., outside] / everywhere.noise.sigma[:, None, None]
    assert noise.std() == pytest.approx(np.sqrt(2), rel=0.02)
    noiseless = (everywhere.foregrounds + everywhere.cmb)[..., outside]
    noise = (first[..., outside] - noiseless) / everywhere.noise.sigma[:, None, None]
    of_region = regions[0].observe(0) - regions[0].foregrounds - regions[0].cmb
    n_shared = min(len(outside), len(regions[0].pixels))
    same = of_region[..., :n_shared] / everywhere.noise.sigma[:, None, None]
    assert abs(np.mean(noise[..., :n_shared] * same)) < 0.03


def test_regions_come_first_and_all_of_them_last(cleaned, regions):
    assert list(cleaned) == ["hi", "low", "combined"]
    assert [one.configuration for one in cleaned.values()] == [*2 * ["my_ilc"], "my_ilc + my_ilc"]
    for sky in regions:
        own = cleaned[sky.region]
        np.testing.assert_array_equal(own.cmb, sky.cmb)
        np.testing.assert_allclose(own.systematic, sky.foregrounds.mean(axis=0))
        np.testing.assert_allclose(own.recovered[1], sky.observe(1).mean(axis=0))


def test_its_table_is_that_of_a_method_without_fits_and_mock_skies(cleaned):
    table = measure("combined", cleaned["combined"], 16, SPECTRA)
    assert list(table["realization"]) == [0, 1, 2]
    assert table["nll"].isna().all()
    assert not table.filter(like="n_unconverged").any(axis=None)
    assert len(table.filter(like="n_unconverged").columns) == 3
    assert not {"mock_residual", "n_patches_beta_dust"} & set(table)


def test_its_maps_are_the_cmb_and_the_systematic_alone(cleaned):
    maps, units = recovered_maps(cleaned["combined"], 16, DUST_AND_SYNCHROTRON)
    assert list(maps) == ["CMB_Q", "CMB_U", "SYSTEMATIC_Q", "SYSTEMATIC_U"]
    assert units == ["uK_CMB"] * 4
    assert np.isfinite(maps["CMB_Q"]).sum() == sum(map(len, PIXELS.values()))
