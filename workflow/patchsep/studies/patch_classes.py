"""Patch classes: what is left where patches are less uniform than they are taken to be.

A patch stands for pixels of one spectral parameter. Pixels are put into classes by how much the
true parameter varies within their patch; if that is harmless, residuals of all classes are alike.
"""

import numpy as np
import pandas as pd

from ..sky.regions import Regions
from ..spectra.estimator import Estimator

N_CLASSES = 4


def within_patches(values: np.ndarray, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scatter of values (n_pixels,) within the patch of every pixel."""
    counts = np.bincount(patches)
    mean = np.bincount(patches, values)[patches] / counts[patches]
    scatter = np.sqrt(np.bincount(patches, (values - mean) ** 2)[patches] / counts[patches])
    return mean, scatter


def patch_classes(
    cleaned: dict[str, np.ndarray],
    true: dict[str, np.ndarray],
    cmb: np.ndarray,
    regions: Regions,
    spectra: dict,
) -> pd.DataFrame:
    """Residuals and recovered parameters of pixels, by the scatter within their patches.

    Parameters
    ----------
    cleaned : dict of str to array (12 nside²,)
        CMB_Q, CMB_U, SYSTEMATIC_Q, SYSTEMATIC_U in µK_CMB of one realisation, and by parameter its
        recovered map and its PATCH_ labels within each region; NaN where masked.
    true : dict of str to array (12 nside²,)
        Maps of the true parameters, by name in capitals. Those that the sky does not have, all NaN,
        are left out.
    cmb : array (2, 12 nside²), µK_CMB
    regions : Regions
    spectra : dict
        `estimator`, `apodization` and `bin_width` of `Estimator.of`.

    Returns
    -------
    DataFrame
        By `parameter` and `class`, of equal numbers of pixels and the least scatter first, a row
        per bin: `ell`, BB of the `systematic` and the `statistical` residual in µK², the rms
        `within` patches of the true parameter, and of recovered less true patch means `bias`
        and `rms`.
    """
    pixels = np.flatnonzero(np.isfinite(cleaned["CMB_Q"]))
    recovered, systematic = (
        np.stack([cleaned[f"{kind}_{stokes}"] for stokes in "QU"]) for kind in ("CMB", "SYSTEMATIC")
    )
    residuals = {"systematic": systematic, "statistical": recovered - cmb - systematic}
    tables = []
    for name, values in true.items():
        if np.isnan(values[pixels]).all():
            continue
        pairs = np.stack([regions.labels[pixels], cleaned[f"PATCH_{name}"][pixels]], axis=1)
        patches = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
        mean, scatter = within_patches(values[pixels], patches)
        deviation = cleaned[name][pixels] - mean
        by_scatter = np.array_split(np.argsort(scatter, kind="stable"), N_CLASSES)
        for number, own in enumerate(by_scatter):
            inside = pixels[own]
            estimator = Estimator.of(inside, regions.nside, **spectra)
            curves = {}
            for kind, qu in residuals.items():
                masked = np.zeros_like(qu)
                masked[:, inside] = qu[:, inside]
                curves[kind] = estimator.spectrum(estimator.modes(masked))
            table = pd.DataFrame({"parameter": name.lower(), "class": number, "ell": estimator.ell})
            tables.append(
                table.assign(
                    **curves,
                    within=np.sqrt(np.mean(scatter[own] ** 2)),
                    bias=deviation[own].mean(),
                    rms=np.sqrt(np.mean(deviation[own] ** 2)),
                )
            )
    return pd.concat(tables, ignore_index=True)
