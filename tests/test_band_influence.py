"""What drives r, by band: maps and mock skies are combined again with less of it, or none."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from patchsep.analysis.analyse import Analysis
from patchsep.analysis.band_influence import influence_of_bands
from patchsep.analysis.cleaning import CleanedMaps
from patchsep.analysis.mock_maps import clean_mocks, cmb_of
from patchsep.fields.prior import expected_prior
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.observation import Observation
from patchsep.skies.foreground_fields import fit_foregrounds
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.harmonics import gaussian_qu
from patchsep.sky.regions import COMBINED
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

NSIDE, N_MOCKS, SEED = 16, 8, 5
LIMITS = {"max_iterations": 100, "tolerance": 1e-6}
SPECTRA = {"estimator": "pseudo", "apodization": 0.0, "bin_width": 1}
POWER = np.where(np.arange(3 * NSIDE) > 1, 1e-4, 0.0)
THEORY = pd.DataFrame(
    {"ee_scalar": 0 * POWER, "ee_tensor": 0 * POWER, "bb_lensing": POWER, "bb_tensor": POWER}
)
# A band that is off, and one that sees nothing.
WRONG, BLIND = 6, 2


@pytest.fixture(scope="module")
def seen(few_pixels):
    """An observation of a third of the sky whose parameters are known, and how it is analysed."""
    region = few_pixels(np.arange(1000), seed=1)
    sigma = np.where(np.arange(len(region.noise.sigma)) == BLIND, np.inf, region.noise.sigma)
    noise = WhiteNoise(np.broadcast_to(sigma[:, None], (len(sigma), 1000)))
    cmb = gaussian_qu(0 * POWER, POWER, NSIDE, np.random.default_rng(2))[:, :1000]
    region = replace(region, noise=noise, cmb=cmb)
    sky = WholeSky([region], DUST_AND_SYNCHROTRON)
    observation = Observation([region], region.observe(0))
    priors = [
        expected_prior("value", NSIDE, literature, 1)
        for literature in (
            {"mean": mean, "mean_error": error, "scatter": error, "slope": -2.0}
            for mean, error in ((1.6, 0.1), (19.0, 2.0), (-3.1, 0.1))
        )
    ]
    measured = fit_foregrounds(observation, sky, priors, **LIMITS)

    def clean(data):
        parameters = np.tile(np.array([1.6, 19.0, -3.1])[:, None], (len(data), 1, 1000))
        found = [cmb_of(own, one, sky) for own, one in zip(parameters, data, strict=True)]
        return CleanedMaps(np.stack(found), parameters, np.ones(len(data), bool))

    mocks = clean_mocks(observation, sky, measured, clean, THEORY, range(N_MOCKS), SEED)

    def influence(maps):
        own = replace(observation, maps=maps)
        settings = {"spectra": SPECTRA, "pixel_weights": "uniform", "amplitude_scatter": 0.5}
        analysis = Analysis.of(own, sky, clean, mocks, THEORY, **settings, multipole_ranges=[])
        numbers = range(N_MOCKS)
        table = influence_of_bands(analysis, own, sky, measured, numbers, SEED)
        return analysis.estimate(COMBINED).r_hat, table

    return SimpleNamespace(maps=observation.maps, sky=sky, influence=influence)


def test_a_band_that_is_off_is_what_drives_r_and_without_it_r_is_that_of_the_others(seen):
    rng = np.random.default_rng(3)
    wrong = seen.maps.copy()
    wrong[WRONG] += 0.5 * gaussian_qu(0 * POWER, POWER**0, NSIDE, rng)[:, :1000]
    (right, by_band), (off, table) = (seen.influence(maps) for maps in (seen.maps, wrong))
    labels = seen.sky.bandpasses.labels
    assert list(table["name"]) == list(labels) and set(table["kind"]) == {"band"}
    # The band that sees nothing moves nothing.
    for one in (by_band, table):
        assert one.loc[BLIND, "shift"] == pytest.approx(0, abs=1e-6)
        assert one.loc[BLIND, "left_out"] == pytest.approx(0, abs=1e-6)
    sigma = by_band["sigma"].iloc[0]
    assert off > right + 5 * sigma
    assert table["left_out"].idxmin() == WRONG and table["shift"].idxmin() == WRONG
    # Without it both are the same, whatever it had.
    without = [r + one.loc[WRONG, "left_out"] for r, one in ((right, by_band), (off, table))]
    assert without[0] == pytest.approx(without[1], abs=0.01 * sigma)
