"""Tests of the model where noise is not white: compared with draws of it, and right so often."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import kstest

from patchsep.fields.evidence import MeasuredFields
from patchsep.fields.fit import maximize, whitened
from patchsep.fields.model_tests import calibrated
from patchsep.fields.moments import ALL
from patchsep.fields.prior import expected_prior
from patchsep.fields.residual_tests import CHI2
from patchsep.fields.systematics import ANY
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.correlated_noise import noise_of
from patchsep.observation.region_sky import RegionSky
from patchsep.skies.field_skies import moment_tests
from patchsep.skies.mocks import emission
from patchsep.skies.whole_sky import WholeSky
from patchsep.sky.harmonics import gaussian_qu
from patchsep.sky.spectral_model import spectral_model

NSIDE, N_OBSERVED = 16, 24
MODEL = spectral_model(
    {
        "dust": {"spectrum": "modified_black_body", "fixed": {"temp_dust": 20.0}},
        "synch": {"spectrum": "power_law"},
    }
)
INSTRUMENT = {
    "name": "B",
    "source": "none",
    "frequency": [30.0, 44.0, 100.0, 143.0, 217.0, 353.0],
    "depth_p": [60.0, 40.0, 10.0, 10.0, 20.0, 60.0],
    "beam": [300.0, 250.0, 200.0, 100.0, 80.0, 60.0],
    "ell_knee": [5.0, 5.0, 8.0, 10.0, 10.0, 12.0],
    "knee_slope": [-1.0, -1.0, -2.0, -2.0, -2.0, -2.0],
}


@pytest.fixture(scope="module")
def skies(tmp_path_factory):
    """A sky with the same spectra everywhere, whose noise is correlated, and its fit."""
    path = tmp_path_factory.mktemp("bands") / "bands.yaml"
    path.write_text(yaml.safe_dump(INSTRUMENT))
    instrument = read_instrument(path)
    noise, correlated = noise_of(instrument, NSIDE, Resolution(300.0, high_pass=4), MODEL)
    pixels = np.arange(1000)
    power = 30 * np.where(np.arange(48) > 1, np.maximum(np.arange(48), 1) ** -2.4, 0.0)
    rng = np.random.default_rng(3)
    maps = {name: gaussian_qu(power, power, NSIDE, rng)[:, pixels] for name in ("dust", "synch")}
    maps["synch"] *= 30
    start = np.array([parameter.start for parameter in MODEL.parameters])
    parameters = np.tile(start[:, None], len(pixels))
    region = RegionSky(
        region="north",
        nside=NSIDE,
        pixels=pixels,
        bandpasses=instrument.bandpasses(1),
        noise=noise,
        foregrounds=emission(instrument.bandpasses(1), parameters, maps, MODEL),
        cmb=np.zeros((2, len(pixels))),
        noise_seed=5,
        correlated_noise=correlated,
    )
    sky = WholeSky([region], MODEL)
    literature = {"mean_error": 1.0, "scatter": 0.1, "slope": -2.0}
    priors = tuple(
        expected_prior("value", NSIDE, {"mean": one.start, **literature}, 2)
        for one in MODEL.parameters
    )
    data = sky.observe(range(N_OBSERVED))[1:]

    def fitted(one):
        white = whitened(one, sky.bands)
        return maximize(white, sky.bands, sky.basis(priors))

    return sky, MeasuredFields(priors, fitted(data[0]), pd.DataFrame()), data, fitted


def test_probabilities_are_flat_where_the_model_holds(skies, double_precision):
    sky, measured, data, fitted = skies
    parameters = [np.asarray(fitted(one).at.parameters) for one in data]
    tests = moment_tests(sky, measured, range(len(data)), parameters, data, seed=9)
    own = tests[tests["region"] == "north"]
    for parameter, with_parameter in (
        ("gain", "143GHZ"),
        ("angle", "353GHZ"),
        (CHI2, "all bands"),
        (CHI2, "100GHZ"),
        (CHI2, "217GHZ ell 8-15"),
        ("beta_dust", "beta_dust"),
        (ALL, ALL),
    ):
        is_one = (own["parameter"] == parameter) & (own["with_parameter"] == with_parameter)
        probability = own.loc[is_one, "probability"]
        assert len(probability) == len(data)
        assert kstest(probability, "uniform").pvalue > 1e-3, (parameter, with_parameter)
    # Any of tests that are not independent is unlikely less often than is said.
    for parameter in (ANY, CHI2):
        last = own[(own["parameter"] == parameter) & (own["with_parameter"] == ANY)]
        assert np.mean(last["probability"] < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(data))
    # Tests by formulae of white noise would reject nearly all.
    white = sky.regions[0].__class__(**{**vars(sky.regions[0]), "correlated_noise": None})
    naive = moment_tests(WholeSky([white], MODEL), measured, [0], parameters[:1], data[:1])
    last = naive[(naive["parameter"] == CHI2) & (naive["with_parameter"] == ANY)]
    assert (last["probability"] < 1e-6).all()


def test_a_band_whose_gain_is_wrong_is_named(skies, double_precision):
    sky, measured, data, fitted = skies
    wrong = data[0].copy()
    wrong[5] *= 1.1
    tests = moment_tests(
        sky, measured, [0], [np.asarray(fitted(wrong).at.parameters)], [wrong], seed=9
    )
    gains = tests[(tests["parameter"] == "gain") & (tests["region"] == "north")]
    pulls = (gains["moment"] / gains["error"]).abs()
    assert pulls.max() > 4
    assert gains.loc[pulls.idxmax(), "with_parameter"] in ("353GHZ", "217GHZ")


def table_of(moments, parameter, last):
    """A table as those of single tests, with its last row."""
    table = pd.DataFrame(
        {
            "parameter": parameter,
            "with_parameter": ["a", "b"],
            "moment": moments,
            "error": 1.0,
            "chi2": np.square(moments),
            "probability": 0.5,
        }
    )
    table.loc[2] = [last, last, np.nan, np.nan, np.sum(np.square(moments)), 0.5]
    return table


def test_scores_are_compared_with_the_mean_and_scatter_of_draws():
    rng = np.random.default_rng(1)
    drawn = [table_of([3 + 2 * x, 5 * y], "gain", ANY) for x, y in rng.standard_normal((400, 2))]
    found = calibrated(table_of([7.0, 5.0], "gain", ANY), drawn)
    np.testing.assert_allclose(found["moment"][:2], [4, 5], atol=0.8)
    np.testing.assert_allclose(found["error"][:2], [2, 5], rtol=0.15)
    np.testing.assert_allclose(found["probability"][:2], [0.0455, 0.317], rtol=0.4)
    least = found["probability"][:2].min()
    assert found["probability"][2] == pytest.approx(1 - (1 - least) ** 2)


@pytest.mark.parametrize("freedom", [4, 400])
def test_chi2_is_compared_with_a_chi2_of_the_draws_mean_and_variance(freedom):
    rng = np.random.default_rng(freedom)
    # Three times as large as white noise would have it.
    values = 3 * rng.chisquare(freedom, (500, 2)) / freedom
    drawn = [table_of(one - 1, CHI2, ANY) for one in values]
    found = [calibrated(table_of(one - 1, CHI2, ANY), drawn) for one in values[:150]]
    probability = np.concatenate([one["probability"][:2] for one in found])
    assert kstest(probability, "uniform").pvalue > 1e-3
    assert np.mean([one["error"][0] for one in found]) == pytest.approx(
        np.sqrt(2 / freedom), rel=0.15
    )
