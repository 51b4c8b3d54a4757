"""Ways in which observed maps look wrong, and the warnings of each."""

import re

import healpy as hp
import numpy as np
import pandas as pd
import pytest
from spoilt_maps import BAND, N_PIXELS, NSIDE, OTHER, changed, with_hits, with_splits
from test_observed_refusals import REFUSED
from workflows import ROOT

from patchsep.instrument.bandpass import SIMULATED_NODES
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.map_units import ucmb_per
from patchsep.instrument.noise import WhiteNoise, beside_maps
from patchsep.observation.correlated_noise import correlated_noise_of
from patchsep.observation.observed_checks import observation_problems
from patchsep.observation.observed_maps import ObservedMaps, read_observed_maps
from patchsep.observation.observed_signals import map_noise, observation_warnings


def times(observation, factor, band=BAND):
    observation.rewrite(band, np.reshape(factor, (-1, 1)) * observation.of(band))


def of_unit(observation, unit, bands):
    """Maps in a unit that their files do not have."""
    per = ucmb_per(unit, observation.instrument.bandpasses(SIMULATED_NODES)) / 1e6
    for band, factor in zip(observation.instrument.labels, per, strict=True):
        if band in bands:
            times(observation, 1 / factor, band)


def exchange(observation):
    observation.rewrite(BAND, observation.of(OTHER))
    observation.rewrite(OTHER, observation.of(BAND))


def apart_from(observation, number):
    for band in observation.instrument.labels:
        qu = observation.of(band)
        qu[:, :number] = hp.UNSEEN
        observation.rewrite(band, qu)


NOISE = 20 * np.random.default_rng(5).standard_normal((2, N_PIXELS))


LIKE = "that the other bands let expect of CMB and foregrounds"
WARNED = {
    "a unit that is wrong by 10³ or 10⁶": (
        lambda it, _: times(it, 1e-3),
        f"{LIKE}: it looks like a wrong unit, such as K_CMB taken for mK_CMB",
    ),
    "brightness temperature that is said to be the CMB's": (
        lambda it, _: of_unit(it, "K_RJ", [BAND]),
        "it looks like a wrong unit, such as K_RJ taken for K_CMB",
    ),
    "MJy/sr that are said to be K": (
        lambda it, _: of_unit(it, "MJy/sr", [BAND]),
        "it looks like a wrong unit, such as MJy/sr taken for K_CMB",
    ),
    "all bands in another unit than they say": (
        lambda it, _: of_unit(it, "K_RJ", it.instrument.labels),
        "bands do not agree on CMB and foregrounds, but would in K_RJ; look at observation.unit",
    ),
    "a wrong convention, or sign of U": (
        lambda it, _: times(it, [1, -1]),
        "it looks like a wrong polarization_convention, or sign of U",
    ),
    "a wrong sign": (lambda it, _: times(it, -1), "it looks like a wrong sign"),
    "Q and U that are exchanged": (
        lambda it, _: it.rewrite(BAND, it.of(BAND)[::-1]),
        "look at its unit, columns, order and coordinates, and whether its file is that of it",
    ),
    "two bands that are exchanged": (
        lambda it, _: exchange(it),
        "all bands agree if 195GHZ and 280GHZ are exchanged",
    ),
    "an order, or coordinates, that a file has wrong": (
        lambda it, _: it.rewrite(BAND, hp.reorder(it.of(BAND), r2n=True)),
        "195GHZ has 0.",
    ),
    "a stripe of NaN": (
        lambda it, _: changed(it, (slice(None), slice(700, 800)), np.nan),
        "195GHZ does not know 100 of 3072 pixels that all other bands do",
    ),
    "a map where there are no hits": (
        lambda it, _: with_hits(it, (np.arange(N_PIXELS) > 400) * 1.0),
        "40GHZ has a map in 401 pixels without hits",
    ),
    "hits where there is no map": (
        lambda it, _: (with_hits(it, np.arange(N_PIXELS) + 1.0), apart_from(it, 300)),
        "40GHZ has hits or a variance in 300 pixels without a map",
    ),
    "noise that is not as the instrument file says": (
        lambda it, _: [times(it, 1e3, band) for band in it.instrument.labels],
        "times the noise that the instrument file states; correct its depth",
    ),
    "splits that differ by more or less than the noise": (
        lambda it, splits: with_splits(it, splits + np.array([3, -3])[:, *3 * [None]] * NOISE),
        "splits of 40GHZ differ by",
    ),
}


def warnings_of(observation):
    settings, instrument = observation.settings, observation.instrument
    assert observation_problems(settings, instrument, NSIDE, None) == []
    observed = read_observed_maps(settings, instrument, NSIDE, None)
    return observation_warnings(observed, instrument, NSIDE, None)


def test_maps_of_a_sky_are_not_warned_of(observation, splits):
    assert warnings_of(observation) == []
    with_splits(observation, splits)
    assert warnings_of(observation) == []


@pytest.mark.parametrize("way", WARNED)
def test_what_looks_wrong_is_warned_of_with_numbers(way, observation, splits):
    spoil, said = WARNED[way]
    spoil(observation, splits)
    warnings = warnings_of(observation)
    assert any(said in warning for warning in warnings), warnings
    assert all(warning.startswith("observation.") for warning in warnings)


def test_the_docs_have_a_row_for_every_way():
    page = (ROOT / "docs/observed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    ways = [way for cell, _ in rows for way in cell.split("; ")]
    assert sorted(ways) == sorted(
        [*REFUSED, *WARNED, "what is wrong", "what looks wrong", *2 * ["---"]]
    )


@pytest.mark.parametrize("resolution", [None, Resolution(900.0), Resolution(900.0, high_pass=8)])
@pytest.mark.parametrize("knee", [0.0, 20.0])
def test_noise_of_maps_is_that_of_realisations(instrument, resolution, knee):
    described = read_instrument(instrument(ell_knee=15 * [knee], knee_slope=15 * [-2.0]))
    found = beside_maps(map_noise(described, NSIDE, resolution).sigma)
    correlated = correlated_noise_of(described, NSIDE, resolution)
    draw = (correlated or WhiteNoise.of(described, NSIDE)).draw
    size = () if correlated else (N_PIXELS,)
    drawn = [draw(*size, 1, number, "sky") for number in range(20)]
    np.testing.assert_allclose(np.std(drawn, axis=(0, 2, 3)) / found[:, 0, 0], 1, rtol=0.06)


@pytest.mark.parametrize("knee", [0.0, 60.0])
def test_bands_of_nothing_but_noise_are_not_warned_of(instrument, knee):
    described = read_instrument(instrument(ell_knee=15 * [knee], knee_slope=15 * [-2.0]))
    correlated = correlated_noise_of(described, NSIDE, None)
    size = () if correlated else (N_PIXELS,)
    maps = (correlated or WhiteNoise.of(described, NSIDE)).draw(*size, 1, 0, "sky")
    observed = ObservedMaps(maps, None, np.ones((15, N_PIXELS), bool), pd.DataFrame())
    assert observation_warnings(observed, described, NSIDE, None) == []


@pytest.mark.parametrize("resolution", [Resolution(600.0), Resolution(600.0, high_pass=8)])
def test_maps_at_a_resolution_are_not_warned_of(observation, resolution):
    settings, instrument = observation.settings, observation.instrument
    observed = read_observed_maps(settings, instrument, NSIDE, resolution)
    assert observation_warnings(observed, instrument, NSIDE, resolution) == []
