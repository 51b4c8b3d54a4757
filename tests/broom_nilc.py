"""BROOM's NILC on exported maps: `python tests/broom_nilc.py results/<run>/exported cleaned.fits`.

In an environment with BROOM (envs/peers.txt). Maps of a run with a `resolution` are of the full
sky, which it needs. What it makes of them is the CMB at the resolution of the run, but for the
high-pass filter, to be laid beside `exported_truth/cmb.fits` and what the run itself finds.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import healpy as hp
import numpy as np
import yaml
from astropy.io import fits

from patchsep.files.maps import write_polarization
from patchsep.separation.ilc import ITERATIONS, NILC


def read_modes(exported: Path, labels, lmax: int) -> np.ndarray:
    """E and B (2, n_bands, n_alm) of exported maps in µK_CMB.

    Raises
    ------
    ValueError
        For maps of a part of the sky.
    """
    modes = []
    for label in labels:
        with fits.open(exported / f"{label}.fits") as file:
            q, u = (file[1].data[name].ravel().astype(float) for name in "QU")
        if hp.mask_bad(q).any():
            raise ValueError(
                f"{exported / label}.fits is of a part of the sky, and NILC needs all of it; "
                "export a run with the section resolution, of an instrument without hits"
            )
        modes.append(hp.map2alm([0 * q, q, u], lmax=lmax, iter=3)[1:])
    return np.swapaxes(modes, 0, 1)


def nilc(exported: str | Path) -> tuple[np.ndarray, float]:
    """Q, U (2, 12 nside²) in µK_CMB of the CMB, and the FWHM in arcmin that they have."""
    import broom

    exported = Path(exported)
    run = yaml.safe_load((exported / "observation.yaml").read_text(encoding="utf-8"))
    bands = yaml.safe_load((exported / "instrument.yaml").read_text(encoding="utf-8"))
    nside, fwhm = run["nside"], run["resolution"]["fwhm"]
    lmax = 3 * nside - 1
    cleaned = 0.0
    for field, alm in zip("EB", read_modes(exported, bands["bands"], lmax), strict=True):
        config = broom.Configs(
            config={
                "nside": nside,
                "lmax": lmax,
                "data_type": "alms",
                "field_in": field,
                "field_out": f"QU_{field}",
                "fwhm_out": fwhm,
                "bring_to_common_resolution": True,
                "instrument": {
                    "frequency": list(map(float, bands["frequency"])),
                    "fwhm": list(map(float, bands["beam"])),
                    "channels_tags": bands["bands"],
                },
                "compsep": [dict(NILC)],
                "save_compsep_products": False,
                "return_compsep_products": True,
            }
        )
        data = SimpleNamespace(total=alm)
        cleaned += broom.component_separation(config, data, iter=ITERATIONS).total[0]
    return cleaned, fwhm


if __name__ == "__main__":
    cmb, fwhm = nilc(sys.argv[1])
    write_polarization(sys.argv[2], cmb[None], ["CMB"], "BROOM, NILC", resolution={"fwhm": fwhm})
