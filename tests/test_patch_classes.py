"""Patch classes: pixels sorted by how uniform their patches are, and what is left there."""

import healpy as hp
import numpy as np
import pytest

from patchsep.sky.regions import Regions
from patchsep.studies.patch_classes import patch_classes, within_patches

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
SPECTRA = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}


def test_mean_and_scatter_are_those_of_each_patch():
    mean, scatter = within_patches(np.array([1.0, 5.0, 3.0, 7.0]), np.array([0, 1, 0, 2]))
    np.testing.assert_allclose(mean, [2, 5, 2, 7])
    np.testing.assert_allclose(scatter, [1, 0, 1, 0])


@pytest.fixture(scope="module")
def classes():
    """48 patches, in the second half of which the parameter varies ten times more."""
    rng = np.random.default_rng(0)
    labels = np.arange(N_PIXELS) // (N_PIXELS // 48)
    mixed = labels >= 24
    beta_dust = 1.5 + np.where(mixed, 0.1, 0.01) * rng.standard_normal(N_PIXELS)
    recovered = within_patches(beta_dust, labels)[0] + 0.02
    cmb = rng.standard_normal((2, N_PIXELS))
    systematic = np.where(mixed, 3.0, 1.0) * rng.standard_normal((2, N_PIXELS))
    maps = cmb + systematic + 0.5 * rng.standard_normal((2, N_PIXELS))
    cleaned = {
        "CMB_Q": maps[0],
        "CMB_U": maps[1],
        "SYSTEMATIC_Q": systematic[0],
        "SYSTEMATIC_U": systematic[1],
    }
    nothing = np.full(N_PIXELS, np.nan)
    for name in ("BETA_DUST", "TEMP_DUST", "BETA_SYNCH"):
        cleaned[f"PATCH_{name}"] = labels.astype(float)
        cleaned[name] = recovered
    masked = np.arange(N_PIXELS) % 12 == 0
    for values in cleaned.values():
        values[masked] = np.nan
    true = {"BETA_DUST": beta_dust, "TEMP_DUST": nothing, "BETA_SYNCH": nothing}
    regions = Regions(("hi",), np.ones(N_PIXELS, dtype=int))
    return patch_classes(cleaned, true, cmb, regions, SPECTRA)


def test_parameters_that_the_sky_does_not_have_have_no_classes(classes):
    assert set(classes["parameter"]) == {"beta_dust"}
    assert set(classes["class"]) == {0, 1, 2, 3}


def test_classes_are_sorted_by_the_scatter_within_patches(classes):
    within = classes.groupby("class")["within"].first()
    np.testing.assert_allclose(within, [0.01, 0.01, 0.1, 0.1], rtol=0.2)


def test_every_class_has_the_residual_of_its_own_pixels(classes):
    """White noise of an rms has a spectrum of its square times a pixel's area."""
    power = classes.groupby("class")[["systematic", "statistical"]].mean()
    area = hp.nside2pixarea(NSIDE)
    np.testing.assert_allclose(power["systematic"] / area, [1, 1, 9, 9], rtol=0.15)
    np.testing.assert_allclose(power["statistical"] / area, 0.25, rtol=0.15)


def test_the_bias_of_recovered_parameters_is_found(classes):
    found = classes.groupby("class")[["bias", "rms"]].first()
    np.testing.assert_allclose(found, 0.02, rtol=0.15)
