"""Blind separation by another code, to compare with: internal linear combinations (ILC) of bands.

An ILC adds up bands with the weights w = C⁻¹ a / (aᵀ C⁻¹ a), C being the covariance of the data and
a = 1 the CMB in every band, in µK_CMB: the CMB is kept, and the variance of all else is smallest.
BROOM (envs/peers.txt) does so in needlet bands, on maps of B modes. It needs the full sky, the
Galactic plane included; the sky that counts is cut out of its result.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from ..instrument.bandpass import band_labels
from ..instrument.noise import WhiteNoise
from ..lazy import healpy as hp
from ..sky.harmonics import analyze, gaussian_alm, n_cores, synthesize

# BROOM's settings for LiteBIRD at nside 64 (configs/config_satellite.yaml of cmbroom 0.2.1):
# Mexican needlets in four bands, of ell below 40, around 63 and 125, and above. C is a mean over as
# much sky as has (n_bands - 1) / 0.001 modes: with fewer, the weights take away part of the CMB.
NILC = {
    "method": "ilc",
    "domain": "needlet",
    "needlet_config": {
        "needlet_windows": "mexican",
        "width": 1.3,
        "merging_needlets": [0, 14, 17, 19, 40],
    },
    "ilc_bias": 0.001,
}

# What BROOM runs for B modes; where nothing else is said, as in those settings.
#   nilc        Delabrouille et al. 2009 (arXiv:0807.0773).
#   mc_nilc     Carones et al. 2023 (arXiv:2212.04456): in the first band, one C for each of 50
#               clusters, of equal area, of pixels with similar spectra. As BROOM does by default,
#               neighbours of a pixel are left out of its C: else two per cent of the CMB go.
#   moment_ilc  Remazeilles et al. 2021 (arXiv:2006.08628): weights with no response to dust,
#               synchrotron and their first derivatives by beta_dust, temp_dust and beta_synch, at
#               BROOM's 1.54, 20 K and -3. In the first band only: in all bands there is so much
#               noise that r has three times the error.
ILC = {
    "nilc": NILC,
    "mc_nilc": NILC
    | {"method": "mc_ilc", "special_nls": [0], "mc_type": "cea_real", "n_patches": 50},
    "moment_ilc": NILC
    | {
        "method": "c_ilc",
        "special_nls": [0],
        "constraints": {"components": ["0d", "0s", "1bd", "1bs", "1Td"]},
    },
}

# Bands without which there are no such weights: one for the CMB and one for every constraint.
FEWEST_BANDS = {
    name: 1 + len(run.get("constraints", {}).get("components", [])) for name, run in ILC.items()
}

# Clusters are bins of the ratio of B maps at these two, in GHz; BROOM's for LiteBIRD.
TRACERS = (337.0, 119.0)

# Jacobi iterations of BROOM's analyses of maps, as in its authors' script for LiteBIRD; with three,
# multipoles above 2 nside suffer.
ITERATIONS = 8

# FWHM in arcmin, for BROOM takes 0 to mean its default.
NO_BEAM = 1e-3


class IlcMaps(NamedTuple):
    """What an ILC recovers.

    Attributes
    ----------
    cmb : array (n_realizations, 2, n_pixels), µK_CMB
    systematic : array (2, n_pixels), µK_CMB
        What the weights leave of the foregrounds, averaged over realisations: each has weights of
        its own, and a run on foregrounds alone would have others.
    """

    cmb: np.ndarray
    systematic: np.ndarray


def ilc(
    name: str,
    data: Iterable[np.ndarray],
    foregrounds: np.ndarray,
    pixels: np.ndarray,
    frequencies: np.ndarray,
    noise: WhiteNoise,
    bb: np.ndarray,
    true_cmb: np.ndarray | None = None,
    **settings,
) -> IlcMaps:
    """Recover the CMB without a fit of the foregrounds.

    Weights come from the data of each realisation alone, and so do the clusters of `mc_nilc`:
    GNILC (Remazeilles et al. 2011, arXiv:1103.1166) finds the foregrounds' B modes at `TRACERS` in
    the data, with the covariance of a mock of noise and lensed CMB. (BROOM's own
    `get_mcilc_tracers` does so in a mock of the true foregrounds.)

    Parameters
    ----------
    name : str
        Of `ILC`.
    data : iterable of n_realizations arrays (n_bands, 2, 12 nside²), µK_CMB
        CMB, foregrounds and noise on the full sky, in RING order and without a beam.
    foregrounds : array (n_bands, 2, 12 nside²), µK_CMB
        Those in the data; weights do not depend on them.
    pixels : int array (n_pixels,)
        Where the result is wanted.
    frequencies : array (n_bands,), GHz
    noise : WhiteNoise
        That of the mock; only `mc_nilc` uses it.
    bb : array (≥ 3 nside,), µK²_CMB
        BB spectrum of the mock's CMB; only `mc_nilc` uses it.
    true_cmb : array (2, 12 nside²), µK_CMB, optional
        The CMB that went in: its E modes are put beside the recovered B modes, for E modes that
        are not recovered well leak into BB under a mask. Without it E modes are those of `nilc`.
    settings :
        Of BROOM's run for B modes, in place of those of `ILC`: `n_patches`, `needlet_config`, ….

    Raises
    ------
    ImportError
        If BROOM is not installed (envs/peers.txt).
    ValueError
        For an unknown name, or maps of a part of the sky.
    """
    if name not in ILC:
        raise ValueError(f"ilc: there is no {name!r}; choose one of {', '.join(ILC)}")
    bands = _Bands.of(foregrounds, frequencies)
    _broom()
    run = ILC[name] | settings
    clustered = run["method"].startswith("mc")
    nuisance = bands.nuisance(noise, bb) if clustered else None
    left_alone = 0.0 if true_cmb is None else _without_b(true_cmb)
    fixed = bands.modes(foregrounds)
    recovered, left = [], []
    for maps in data:
        total = bands.modes(maps)
        with tempfile.TemporaryDirectory() as folder:
            clusters = bands.write_tracers(total[:, 1], nuisance, folder) if clustered else {}
            cleaned = [bands.separate(run | clusters, "B", total[:, 1], fixed[:, 1])]
        if true_cmb is None:
            cleaned.append(bands.separate(NILC, "E", total[:, 0], fixed[:, 0]))
        cmb, residual = np.sum(cleaned, axis=0)
        recovered.append((cmb + left_alone)[:, pixels])
        left.append(residual[:, pixels])
    return IlcMaps(np.stack(recovered), np.mean(left, axis=0))


def _broom():
    """BROOM, and its module of clusters."""
    try:
        # It says on the screen which other code it could use.
        with contextlib.redirect_stdout(io.StringIO()):
            import broom
            import broom.clusters
    except ImportError as missing:
        raise ImportError("ilc: needs BROOM: pip install -r envs/peers.txt") from missing
    return broom


def _without_b(qu):
    """A map (2, 12 nside²) less its B modes, whatever multipoles it has."""
    nside = hp.npix2nside(qu.shape[-1])
    alm = analyze(qu, 2, 3 * nside - 1)
    return qu - synthesize(np.stack([0 * alm[0], alm[1]]), 2, nside)


@dataclass(frozen=True)
class _Bands:
    """What BROOM is told of the data, and how it is called."""

    nside: int
    frequencies: np.ndarray

    @classmethod
    def of(cls, maps, frequencies):
        if not hp.isnpixok(maps.shape[-1]):
            raise ValueError(
                f"ilc: needs maps of the full sky, 12 nside² pixels; these have {maps.shape[-1]}"
            )
        return cls(hp.npix2nside(maps.shape[-1]), np.asarray(frequencies, dtype=float))

    @property
    def lmax(self):
        # As far as the CMB goes: what is missing of it would count as a residual.
        return 3 * self.nside - 1

    def modes(self, maps):
        """E and B of maps (n_bands, 2, 12 nside²): (n_bands, 2, n_alm)."""
        with ThreadPoolExecutor(n_cores()) as pool:
            return np.stack(list(pool.map(lambda qu: analyze(qu, 2, self.lmax), maps)))

    def nuisance(self, noise, bb):
        """B modes (n_bands, n_alm) of a mock without foregrounds."""
        rng = np.random.default_rng(0)
        white = np.ones(self.lmax + 1) * hp.nside2pixarea(self.nside)
        cmb = gaussian_alm(bb[: self.lmax + 1], rng)
        return np.stack([cmb + gaussian_alm(sigma**2 * white, rng) for sigma in noise.sigma])

    def component_separation(self, runs, field, **alm):
        """BROOM's result of runs on coefficients (n_bands, n_alm), a list of maps by name."""
        broom = _broom()
        config = broom.Configs(
            config={
                "nside": self.nside,
                "lmax": self.lmax,
                "data_type": "alms",
                "field_in": field[-1],
                "field_out": field,
                "fwhm_out": NO_BEAM,
                "instrument": {
                    "frequency": list(self.frequencies),
                    "fwhm": [NO_BEAM] * len(self.frequencies),
                    "channels_tags": band_labels(self.frequencies),
                },
                # BROOM completes them in place.
                "compsep": deepcopy(runs),
                "save_compsep_products": False,
                "return_compsep_products": True,
            }
        )
        maps = broom.component_separation(config, SimpleNamespace(**alm), iter=ITERATIONS)
        return maps, config

    def separate(self, run, field, total, foregrounds):
        """Q, U of one field that a run leaves of all and of foregrounds, (2, 2, 12 nside²)."""
        maps, _ = self.component_separation([run], f"QU_{field}", total=total, fgds=foregrounds)
        return np.stack([maps.total[0], maps.fgds[0]])

    def write_tracers(self, total, nuisance, folder):
        """Write the maps whose ratio is binned, and hand on what a run needs to find them."""
        clusters = _broom().clusters
        channels = [int(np.abs(self.frequencies - tracer).argmin()) for tracer in TRACERS]
        runs = [
            run | {"nuisance": "nuisance"}
            for run in clusters.get_tracers_compsep(channels, self.lmax)
        ]
        maps, config = self.component_separation(runs, "B", total=total, nuisance=nuisance)
        tags = np.array(config.instrument.channels_tags)[channels]
        clusters._save_real_tracers(
            clusters._combine_tracers(np.array(maps.total)), folder, tags, NO_BEAM, self.lmax
        )
        return {"path_tracers": folder, "channels_tracers": channels}
