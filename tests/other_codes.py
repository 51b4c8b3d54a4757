"""Observations that other codes simulate, PySM and litebird_sim, written without this package."""

from collections.abc import Sequence
from pathlib import Path

import healpy as hp
import numpy as np

# Nodes of a band: PySM integrates a top hat by trapezia.
N_NODES = 11


def pysm_bands(
    presets: Sequence[str], frequencies, bandwidth: float, beams, nside: int
) -> np.ndarray:
    """Q, U (n_bands, 2, 12 nside²) in µK_CMB of PySM's sky through top hats and Gaussian beams.

    Frequencies are in GHz, beams' FWHM in arcmin; the bandwidth is that over the centre.
    """
    # Not before `workflows` has set how PySM computes.
    import pysm3
    import pysm3.units as u

    sky = pysm3.Sky(nside=nside, preset_strings=list(presets), output_unit=u.uK_CMB)
    bands = []
    for centre, fwhm in zip(frequencies, beams, strict=True):
        band = centre * np.linspace(1 - bandwidth / 2, 1 + bandwidth / 2, N_NODES) * u.GHz
        emission = sky.get_emission(band if bandwidth else centre * u.GHz)
        bands.append(hp.smoothing(emission.to_value(u.uK_CMB), np.radians(fwhm / 60), iter=3)[1:])
    return np.stack(bands)


def litebird_sim_bands(presets, frequencies, bandwidth, beams, nside, seed) -> np.ndarray:
    """The same with a CMB, by litebird_sim, which has spectra of its own.

    It calls PySM itself, and needs no network where PYSM_LOCAL_DATA has the templates.

    Raises
    ------
    ImportError
        If it is not installed: `pip install litebird_sim`.
    """
    import litebird_sim as lbs

    channels = [
        lbs.FreqChannelInfo(
            bandcenter_ghz=centre,
            channel=f"band_{number}",
            fwhm_arcmin=fwhm,
            # Of a width alone it makes no band.
            band=lbs.BandPassInfo(centre, bandwidth * centre) if bandwidth else None,
        )
        for number, (centre, fwhm) in enumerate(zip(frequencies, beams, strict=True))
    ]
    parameters = lbs.SkyGenerationParams(
        nside=nside,
        units="uK_CMB",
        apply_beam=True,
        bandpass_integration=bandwidth > 0,
        make_cmb=True,
        seed_cmb=seed,
        make_fg=True,
        fg_models=list(presets),
        # Templates of a local folder may be no finer than that.
        fg_oversampling=1,
    )
    maps = lbs.SkyGenerator(parameters, channels=channels).execute()
    return np.stack([maps[one.channel].values[1:] for one in channels])


def gaussian_cmb(power_ee, power_bb, beams, nside: int, seed: int) -> np.ndarray:
    """Q, U (n_bands, 2, 12 nside²) of one Gaussian CMB through beams, by healpy."""
    rng, lmax = np.random.default_rng(seed), len(power_ee) - 1
    ell, m = hp.Alm.getlm(lmax)
    unit = rng.standard_normal((2, 2, len(ell)))
    drawn = np.where(m == 0, unit[0], (unit[0] + 1j * unit[1]) / np.sqrt(2))
    alm = drawn * np.sqrt(np.stack([power_ee, power_bb]))[:, ell]
    bands = []
    for fwhm in beams:
        beam = hp.gauss_beam(np.radians(fwhm / 60), lmax)
        seen = [hp.almxfl(one, beam) for one in alm]
        bands.append(hp.alm2map_spin(seen, nside, 2, lmax))
    return np.array(bands)


def write_observation(folder: Path, names, bands, depths, seed: int) -> dict:
    """Add white noise of depths in µK arcmin to maps (n_bands, 2, n_pixels), write two splits each.

    Returns the section `observation` of a configuration: there are no other maps, in K_CMB.
    """
    rng, nside = np.random.default_rng(seed), hp.npix2nside(bands.shape[-1])
    pattern = str(folder / "{band}_split{part}.fits")
    for name, qu, depth in zip(names, bands, depths, strict=True):
        # Of half of the time each.
        rms = np.sqrt(2) * depth / hp.nside2resol(nside, arcmin=True)
        for part in "AB":
            hp.write_map(
                pattern.format(band=name, part=part),
                1e-6 * (qu + rms * rng.standard_normal(qu.shape)),
                dtype=np.float32,
                coord="G",
                column_names=["Q_POLARISATION", "U_POLARISATION"],
                column_units="K_CMB",
                extra_header=[("POLCCONV", "COSMO")],
                overwrite=True,
            )
    return {"splits": [pattern.format(band="{band}", part=part) for part in "AB"]}
