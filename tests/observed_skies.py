"""Observed maps in files, for tests of how they are read."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import healpy as hp
import numpy as np
from astropy.io import fits

from patchsep.instrument.bandpass import SIMULATED_NODES
from patchsep.instrument.instrument import Instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.sky.harmonics import gaussian_qu
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

# What foregrounds are that fits do not start from: spectral parameters, and µK_RJ at the reference.
TRUE = {"dust": ((1.6, 19.0), 10.0), "synch": ((-3.1,), 100.0)}
# Every word that reading a file needs.
STATED = {
    "unit": "uK_CMB",
    "coordinates": "galactic",
    "ordering": "ring",
    "polarization_convention": "COSMO",
}


def foregrounds_and_cmb(instrument: Instrument, nside: int, seed: int = 1) -> np.ndarray:
    """Maps (n_bands, 2, 12 nside²) in µK_CMB without noise, as bright as where the sky is clean."""
    rng = np.random.default_rng(seed)
    ell = np.arange(2 * nside)
    red = np.where(ell > 1, np.maximum(ell, 1.0) ** -2.4, 0.0)
    maps = np.zeros((len(instrument.labels), 2, hp.nside2npix(nside)))
    bandpasses = instrument.bandpasses(SIMULATED_NODES)
    for component in DUST_AND_SYNCHROTRON.components:
        parameters, brightness = TRUE[component.name]
        qu = gaussian_qu(red, red / 2, nside, rng)
        spectrum = component.in_bands(bandpasses, *parameters)
        maps += spectrum[:, None, None] * brightness * qu / qu.std()
    return maps + gaussian_qu(1e-2 * red, 0 * red, nside, rng)


def splits_of(instrument: Instrument, nside: int, seed: int = 1) -> np.ndarray:
    """Two splits (2, n_bands, 2, 12 nside²) in µK_CMB, whose mean has the instrument's noise."""
    sky = foregrounds_and_cmb(instrument, nside, seed)
    sigma = WhiteNoise.of(instrument, nside).by_pixel
    draws = np.random.default_rng(seed + 1).standard_normal((2, *sky.shape))
    return sky + np.sqrt(2) * sigma * draws


def write_map(path: Path, qu: np.ndarray, cards=(), names=("Q", "U"), unit="uK_CMB", **options):
    """A file by healpy, with other cards in its table's header; None takes one away."""
    options = {"coord": "G", "dtype": float} | options
    hp.write_map(path, qu, column_names=names, column_units=unit, overwrite=True, **options)
    with fits.open(path, mode="update") as file:
        for keyword, value in ({"POLCCONV": "COSMO"} | dict(cards)).items():
            file[1].header.pop(keyword, None)
            if value is not None:
                file[1].header[keyword] = value


@dataclass
class Observation:
    """Files of all bands in a folder, and the section `observation` that names them."""

    folder: Path
    instrument: Instrument
    maps: np.ndarray
    settings: dict = field(default_factory=dict)

    @classmethod
    def written(cls, folder: Path, instrument: Instrument, maps: np.ndarray) -> "Observation":
        """As patchsep would write them: nothing is left to state."""
        made = cls(folder, instrument, maps, {"maps": str(folder / "map_{band}.fits")})
        for band, qu in zip(instrument.labels, maps, strict=True):
            write_map(made.path(band), qu)
        return made

    def copied(self, folder: Path) -> "Observation":
        """The same in another folder."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder, settings={"maps": str(folder / "map_{band}.fits")})

    def path(self, band: str) -> Path:
        return Path(self.settings["maps"].replace("{band}", band))

    def of(self, band: str) -> np.ndarray:
        """A copy of the maps of a band."""
        return self.maps[self.instrument.labels.index(band)].copy()

    def rewrite(self, band: str, qu: np.ndarray | None = None, **how):
        """The file of a band with other maps, or written in another way."""
        write_map(self.path(band), self.of(band) if qu is None else qu, **how)
