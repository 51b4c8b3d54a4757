"""Score tests of gains, band centres, angles and spinning dust: their distribution, known ones."""

import numpy as np
import pandas as pd
import pytest
from bright_pixels import MAPS, MODEL, N_PIXELS, PARAMETERS, sky_of, wide
from scipy.stats import kstest

from patchsep.fields.systematics import (
    ANY,
    OF_BANDS,
    SPINNING,
    Departures,
    systematic_scores,
    systematic_table,
)
from patchsep.instrument.bandpass import Bandpasses
from patchsep.instrument.noise import WhiteNoise
from patchsep.sky.spectral_model import component


@pytest.fixture(scope="module", params=["narrow", "wide"])
def bands(request, litebird):
    if request.param == "narrow":
        return Bandpasses.narrow(litebird.frequency)
    return wide(litebird)


@pytest.fixture(scope="module")
def noise(dense):
    return WhiteNoise(dense.sigma)


def table_of(data, bands, noise):
    departures = Departures.of(bands, noise, MODEL)
    return systematic_table(*systematic_scores(PARAMETERS, data, departures), departures.names)


def row_of(table, kind, name):
    (row,) = table[(table["parameter"] == kind) & (table["with_parameter"] == name)].to_dict(
        "records"
    )
    return row


def test_scores_are_normal_where_the_model_holds(bands, noise):
    """Of 60 draws of noise, in units of the error, and the least probable of each."""
    clean = sky_of(bands)
    tables = [
        table_of(clean + noise.draw(N_PIXELS, 5, number, ""), bands, noise) for number in range(60)
    ]
    single = pd.concat(tables).query("parameter != @ANY")
    pulls = single["moment"] / single["error"]
    for _, own in pulls.groupby([single["parameter"], single["with_parameter"]]):
        assert kstest(own, "norm").pvalue > 1e-4
    assert pulls.std() == pytest.approx(1, abs=0.05)
    least = pd.concat(tables).query("parameter == @ANY")["probability"]
    # Tests of one sky are not independent: the joint probability may only be too large.
    assert np.mean(least < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.parametrize(("place", "kind"), [(5, "gain"), (9, "centre"), (3, "angle")])
def test_a_band_that_is_not_as_described_is_named(bands, noise, place, kind):
    size = {"gain": 0.01, "centre": 0.3, "angle": 0.5}[kind]
    data = sky_of(bands)
    if kind == "gain":
        data[place] *= 1 + size
    elif kind == "centre":
        moved = bands.shifted(size / bands.centre[place])
        data[place] = sky_of(moved)[place]
    else:
        turned = 2 * np.radians(size)
        q, u = data[place]
        data[place] = (
            np.cos(turned) * q - np.sin(turned) * u,
            np.sin(turned) * q + np.cos(turned) * u,
        )
    table = table_of(data + noise.draw(N_PIXELS, 6, 0, ""), bands, noise)
    name = f"{bands.centre[place]:g}GHZ"
    row = row_of(table, kind, name)
    assert row["error"] < size / 10
    # To first order in the departure.
    assert row["moment"] == pytest.approx(size, abs=4 * row["error"] + 0.03 * size)
    assert row_of(table, ANY, ANY)["probability"] < 1e-6
    single = table[table["parameter"].isin([*OF_BANDS, SPINNING])]
    largest = single.loc[(single["moment"] / single["error"]).abs().idxmax()]
    assert (largest["parameter"], largest["with_parameter"]) == (kind, name)


def test_spinning_dust_that_is_polarised_as_dust_is_found(bands, noise):
    spin = component("spin", "spinning_dust")
    column = spin.in_bands(bands, *spin.start)
    size = 0.5
    data = sky_of(bands) + size * column[:, None, None] * MAPS[1]
    table = table_of(data + noise.draw(N_PIXELS, 7, 0, ""), bands, noise)
    row = row_of(table, SPINNING, "dust")
    assert row["moment"] == pytest.approx(size, abs=4 * row["error"])
    assert row["error"] < size / 5


def test_noise_of_every_pixel_is_weighed(bands, dense):
    """Equal to uniform noise where it is nearly that."""
    sigma = dense.sigma[:, None] * np.ones(N_PIXELS)
    nearly = sigma * (1 + 1e-5 * np.random.default_rng(2).standard_normal(sigma.shape))
    data = sky_of(bands) + WhiteNoise(sigma).draw(N_PIXELS, 8, 0, "")
    one, other = (table_of(data, bands, WhiteNoise(level)) for level in (sigma, nearly))
    np.testing.assert_allclose(one["error"], other["error"], rtol=1e-3)
    off = (one["moment"] - other["moment"]) / one["error"]
    assert np.nanmax(np.abs(off)) < 0.05
