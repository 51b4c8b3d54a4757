"""Ways in which files of observed maps are wrong, and what is said of each."""

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits
from refusals import observed_config_with
from spoilt_maps import BAND, N_PIXELS, NSIDE, OTHER, changed, with_hits, with_splits

from patchsep.instrument.beam import Resolution
from patchsep.observation.observed_checks import observation_problems
from patchsep.observation.observed_maps import read_observed_maps
from patchsep.running.schema import SettingsError, read_schema, with_defaults
from patchsep.running.settings import load_settings


def sections(observation, **paths):
    """Name files one by one, some others than they are."""
    bands = observation.instrument.labels
    observation.settings["maps"] = {band: str(observation.path(band)) for band in bands} | paths


def state(observation, **said):
    observation.settings["bands"] = {BAND: said}


def damage(observation, change):
    """Change the table of a band by hand: a function of its columns and header."""
    path = observation.path(BAND)
    with fits.open(path) as file:
        columns = {column.name: file[1].data[column.name].ravel() for column in file[1].columns}
        header = file[1].header
        columns, cards = change(dict(columns), dict(header))
    kinds = {"i": "J", "U": "8A", "f": "D"}
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, kinds[of.dtype.kind], array=of) for name, of in columns.items()]
    )
    kept = ("PIXTYPE", "ORDERING", "COORDSYS", "POLCCONV", "NSIDE", "INDXSCHM")
    table.header.update({key: cards[key] for key in kept if key in cards})
    table.header.update({f"TUNIT{1 + number}": "uK_CMB" for number in range(len(columns))})
    table.writeto(path, overwrite=True)


def listed(pixels, nside=NSIDE):
    """A table of some pixels."""

    def change(columns, header):
        of = {"PIXEL": pixels.astype(np.int32)}
        of |= {name: values[: len(pixels)].astype(float) for name, values in columns.items()}
        return of, header | {"INDXSCHM": "EXPLICIT"} | ({"NSIDE": nside} if nside else {})

    def without_nside(columns, header):
        columns, header = change(columns, header)
        return columns, {key: value for key, value in header.items() if key != "NSIDE"}

    return change if nside else without_nside


def cut(observation, size):
    content = observation.path(BAND).read_bytes()
    observation.path(BAND).write_bytes(content[: int(size * len(content))])


def image(observation):
    fits.PrimaryHDU(observation.of(BAND)).writeto(observation.path(BAND), overwrite=True)


def apart(observation):
    """Bands see two halves of the sky each."""
    for number, band in enumerate(observation.instrument.labels):
        qu = observation.of(band)
        parts = np.arange(N_PIXELS) * 5 // N_PIXELS
        qu[:, parts != number % 5] = hp.UNSEEN
        observation.rewrite(band, qu)


NORTH = hp.pix2vec(NSIDE, np.arange(N_PIXELS))[2] > 0
Q, U = 0, 1

# By the words of the docs: how to spoil an observation and what is said.
REFUSED = {
    "one file for all bands": (
        lambda it, _: it.settings.update(maps=str(it.path(BAND))),
        "is one file for all bands; write {band} where",
    ),
    "a band that the instrument does not have": (
        lambda it, _: it.settings.update(bands={"196GHZ": {"unit": "K_RJ"}}),
        "observation.bands.196GHZ: the instrument has no such band; its bands are 40GHZ",
    ),
    "a band without a map": (
        lambda it, _: (sections(it), it.settings["maps"].pop(BAND)),
        "observation.maps: no map of 195GHZ; add its path",
    ),
    "no maps at all": (
        lambda it, _: it.settings.pop("maps"),
        "observation.maps: missing; name the maps, or observation.splits",
    ),
    "a file that does not exist": (
        lambda it, _: it.path(BAND).unlink(),
        "map_195GHZ.fits of 195GHZ does not exist; correct the path",
    ),
    "two bands with one file": (
        lambda it, _: sections(it, **{BAND: str(it.path(OTHER))}),
        "is that of 195GHZ in observation.maps too; give each its own file",
    ),
    "two bands with copies of one map": (
        lambda it, _: it.rewrite(BAND, it.of(OTHER)),
        "map_280GHZ.fits of 280GHZ has the same map as",
    ),
    "no FITS file": (
        lambda it, _: it.path(BAND).write_text("no map", encoding="utf-8"),
        "cannot be read",
    ),
    "a truncated file": (lambda it, _: cut(it, 0.6), "or is damaged"),
    "an image, and no table of a HEALPix map": (
        lambda it, _: image(it),
        "has no table of HEALPix maps (PIXTYPE = HEALPIX)",
    ),
    "no unit": (
        lambda it, _: it.rewrite(BAND, unit=""),
        "does not say its unit (TUNITn); state observation.unit",
    ),
    "a unit that is not known": (
        lambda it, _: it.rewrite(BAND, unit="counts"),
        "unit counts is not known; correct observation.unit, or the file's TUNITn",
    ),
    "another unit than is stated": (
        lambda it, _: state(it, unit="K_RJ"),
        "it has the unit uK_CMB, and K_RJ is stated",
    ),
    "Q and U in two units": (
        lambda it, _: it.rewrite(BAND, unit=["uK_CMB", "K_CMB"]),
        "Q has the unit uK_CMB, and U K_CMB",
    ),
    "no convention of polarization": (
        lambda it, _: it.rewrite(BAND, cards={"POLCCONV": None}),
        "polarization convention (POLCCONV); state observation.polarization_convention",
    ),
    "another convention than is stated": (
        lambda it, _: state(it, polarization_convention="IAU"),
        "has POLCCONV = COSMO, and IAU is stated",
    ),
    "a convention that is not known": (
        lambda it, _: it.rewrite(BAND, cards={"POLCCONV": "HEALPIX"}),
        "has POLCCONV = HEALPIX, which is not read; make it COSMO or IAU",
    ),
    "no coordinates": (
        lambda it, _: it.rewrite(BAND, cards={"COORDSYS": None}),
        "does not say its coordinates (COORDSYS); state observation.coordinates",
    ),
    "other coordinates than are stated": (
        lambda it, _: state(it, coordinates="celestial"),
        "has coordinates galactic, and coordinates celestial is stated",
    ),
    "no order": (
        lambda it, _: it.rewrite(BAND, cards={"ORDERING": None}),
        "does not say its ordering (ORDERING); state observation.ordering",
    ),
    "another order than is stated": (
        lambda it, _: state(it, ordering="nested"),
        "has ordering ring, and ordering nested is stated",
    ),
    "an order that is not known": (
        lambda it, _: it.rewrite(BAND, cards={"ORDERING": "RANDOM"}),
        "has ORDERING = RANDOM, which is not read",
    ),
    "coordinates to be rotated, without a resolution": (
        lambda it, _: it.rewrite(BAND, coord="C"),
        "is not in Galactic coordinates; add the section resolution",
    ),
    "a window of pixels to be undone, without a resolution": (
        lambda it, _: state(it, pixel_window=True),
        "has a pixel window; add the section resolution",
    ),
    "a finer map, without a resolution": (
        lambda it, _: it.rewrite(BAND, hp.ud_grade(it.of(BAND), 2 * NSIDE)),
        "has nside 32, and the run 16; add the section resolution",
    ),
    "a map that is coarser than the run": (
        lambda it, _: it.rewrite(BAND, hp.ud_grade(it.of(BAND), NSIDE // 2)),
        "has nside 8, and the run 16; use nside 8 or less, or a finer map",
    ),
    "a number of pixels that is not that of NSIDE": (
        lambda it, _: it.rewrite(BAND, cards={"NSIDE": 32}),
        "has 3072 pixels, and NSIDE = 32 needs 12288",
    ),
    "a number of pixels that no map has": (
        lambda it, _: damage(it, lambda c, h: ({k: v[:-7] for k, v in c.items()}, h)),
        "has 3065 pixels, and NSIDE = 16 needs 3072",
    ),
    "listed pixels without NSIDE": (
        lambda it, _: damage(it, listed(np.arange(100), nside=None)),
        "lists pixels without NSIDE; add this card",
    ),
    "a pixel that is listed twice": (
        lambda it, _: damage(it, listed(np.arange(100) // 2)),
        "lists pixel 0 more than once; list each once",
    ),
    "listed pixels that no map has": (
        lambda it, _: damage(it, listed(np.arange(3000, 3100))),
        "lists pixels 3000 … 3099, and NSIDE = 16 has 3072",
    ),
    "intensity only": (
        lambda it, _: it.rewrite(BAND, it.of(BAND)[0], names=["I_STOKES"], unit="K_CMB"),
        "has the columns I_STOKES, and it is not clear which are Q and U",
    ),
    "several columns that may be Q": (
        lambda it, _: it.rewrite(BAND, [*it.of(BAND), it.of(BAND)[0]], names=["Q", "U", "Q_ERR"]),
        "has the columns Q, U, Q_ERR, and it is not clear which are Q and U",
    ),
    "a column that does not exist": (
        lambda it, _: state(it, columns=["Q", "V"]),
        "has no column V; give one of Q, U, or its number from 0 to 1",
    ),
    "a number of a column that is too large": (
        lambda it, _: state(it, columns=[1, 2]),
        "has no column 2; give one of Q, U, or its number from 0 to 1",
    ),
    "Q and U in one column": (
        lambda it, _: state(it, columns=["U", 1]),
        "has Q and U in one column, U; correct observation.columns",
    ),
    "one map as Q and as U": (
        lambda it, _: it.rewrite(BAND, np.stack(2 * [it.of(BAND)[0]])),
        "has the same map as Q and as U",
    ),
    "a Q or U that is a number": (
        lambda it, _: changed(it, U, 0.0),
        "has U = 0 in all pixels",
    ),
    "a column of text": (
        lambda it, _: damage(it, lambda c, h: (c | {"U": c["U"].astype("U8")}, h)),
        "does not hold numbers",
    ),
    "zero everywhere": (
        lambda it, _: it.rewrite(BAND, 0 * it.of(BAND)),
        "has Q and U of no pixel: all are 0, UNSEEN, NaN or not listed",
    ),
    "UNSEEN everywhere": (
        lambda it, _: it.rewrite(BAND, 0 * it.of(BAND) + hp.UNSEEN, dtype=np.float32),
        "has Q and U of no pixel: all are 0, UNSEEN, NaN or not listed",
    ),
    "a dead pixel": (
        lambda it, _: changed(it, (Q, 1000), 1e12),
        "has 1 pixels that are 100 times as bright as those around them, and more than 1000 times "
        "as the map; the first is 1000 (RING), of 1e+12 µK_CMB; mark them UNSEEN in a copy",
    ),
    "splits that are one map": (
        lambda it, splits: with_splits(
            it, splits[[0, 0]] * np.array([1, 1 + 1e-7])[:, *3 * [None]]
        ),
        "has the same map as",
    ),
    "splits whose mean is not the map": (
        lambda it, splits: with_splits(it, splits * np.array([1, 1.5])[:, *3 * [None]]),
        "is not the mean of",
    ),
    "a map that is one of its splits": (
        lambda it, splits: (
            with_splits(it, splits),
            [it.rewrite(band, qu * 1.0000001) for band, qu in zip(it.instrument.labels, splits[0])],
        ),
        "is not the mean of",
    ),
    "splits without a pixel in common": (
        lambda it, splits: (
            it.settings.pop("maps"),
            with_splits(it, np.where(np.stack([NORTH, ~NORTH])[:, None, None], splits, hp.UNSEEN)),
        ),
        "have no pixel in common; give splits of the same part of the sky",
    ),
    "hits of another part of the sky": (
        lambda it, _: (
            with_hits(it, NORTH * 1.0),
            [
                it.rewrite(band, np.where(NORTH, hp.UNSEEN, it.of(band)))
                for band in it.instrument.labels
            ],
        ),
        "hits or a variance in 0 of them; the one is of another part of the sky",
    ),
    "bands that do not see the same sky": (
        lambda it, _: apart(it),
        "no pixel is seen by more than 3 bands, and 4 are needed",
    ),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_cannot_be_used_is_refused_with_the_key_the_file_and_the_mend(
    way, observation, splits
):
    spoil, said = REFUSED[way]
    spoil(observation, splits)
    problems = observation_problems(observation.settings, observation.instrument, NSIDE, None)
    # Once, whatever number of files.
    assert len(problems) == 1 or "in 0 of them" in said
    assert said in problems[0]
    assert problems[0].startswith("observation.")


def test_one_split_is_refused_by_the_schema():
    with pytest.raises(SettingsError) as caught:
        load_settings(observed_config_with({"observation.splits": ["a_{band}.fits"]}), "my.yaml")
    (problem,) = str(caught.value).splitlines()
    assert "observation.splits: ['a_{band}.fits'] has too few entries; at least 2" in problem


def test_paths_have_home_and_variables_in_full(monkeypatch):
    monkeypatch.setenv("MAPS", "/data")
    given = {"maps": {"40GHZ": "${MAPS}/a.fits"}, "splits": ["$MAPS/{band}.fits", {"A": "$MAPS/b"}]}
    complete = with_defaults({"observation": given}, read_schema("config"))["observation"]
    assert complete["maps"] == {"40GHZ": "/data/a.fits"}
    assert complete["splits"] == ["/data/{band}.fits", {"A": "/data/b"}]


def test_an_edge_that_leaves_nothing_at_the_resolution_is_refused(observation):
    qu = observation.of(BAND)
    qu[:, 20:] = hp.UNSEEN
    observation.rewrite(BAND, qu)
    with pytest.raises(Exception, match="no pixel as far from the edge"):
        read_observed_maps(observation.settings, observation.instrument, NSIDE, Resolution(1500.0))
