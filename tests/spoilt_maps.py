"""Observed maps with something wrong in them, for tests of what is said of it."""

import healpy as hp
from observed_skies import write_map
from workflows import ROOT

from patchsep.instrument.instrument import read_instrument

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
BAND, OTHER = "195GHZ", "280GHZ"


def with_splits(observation, splits):
    """Name files of two splits, too."""
    names = [str(observation.folder / f"{half}_{{band}}.fits") for half in "AB"]
    for name, of_split in zip(names, splits, strict=True):
        for band, qu in zip(observation.instrument.labels, of_split, strict=True):
            write_map(name.replace("{band}", band), qu)
    observation.settings["splits"] = names


def changed(observation, place, value):
    qu = observation.of(BAND)
    qu[place] = value
    observation.rewrite(BAND, qu)


def with_hits(observation, hits):
    """An instrument with a map of hits."""
    folder = observation.folder
    hp.write_map(folder / "hits.fits", hits, coord="G", column_names=["HITS"], dtype=float)
    text = (ROOT / "config/instruments/litebird.yaml").read_text(encoding="utf-8")
    (folder / "instrument.yaml").write_text(f"{text}\nhits: hits.fits\n", encoding="utf-8")
    observation.instrument = read_instrument(folder / "instrument.yaml")
