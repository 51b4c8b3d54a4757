"""One configuration by noise realisation: how its fits went, and the spectra of what they leave.

Both ways to r start here: of all configurations on one sky, see `configurations`, and of the
selected ones on other skies, see `skies` and `sets`.
"""

import pandas as pd

from ..instrument.noise import FOREGROUNDS_ONLY
from ..observation.region_sky import RegionSky
from ..separation.cleaning import Cleaned
from ..spectra.estimator import Estimator
from ..spectra.residuals import ResidualSpectra, residual_spectra

# Columns of a table of fits that `Cleaned` has.
MEASURED = ["nll", "iterations", "gradient", "converged", "n_at_bounds", "aic", "evidence"]


def fit_table(fits: Cleaned, realizations: list[int]) -> pd.DataFrame:
    """How fits to data of `observe` went: `realization`, and `MEASURED`.

    The first row is the fit to foregrounds alone, `realization` FOREGROUNDS_ONLY.
    """
    columns = {name: getattr(fits, name) for name in MEASURED}
    return pd.DataFrame({"realization": [FOREGROUNDS_ONLY, *realizations], **columns})


def count_fits(table: pd.DataFrame) -> pd.DataFrame:
    """What can be summed over regions, of a `fit_table`.

    Returns
    -------
    DataFrame
        By noise realisation `nll`, `n_at_bounds`, and `n_unconverged` and
        `n_unconverged_systematic`: 1 where the fit to this realisation, and where that to
        foregrounds alone, did not converge.
    """
    by_number = table.set_index("realization")
    noisy = by_number.drop(FOREGROUNDS_ONLY)
    counts = {
        "nll": noisy["nll"],
        "n_unconverged": (~noisy["converged"]).astype(int),
        "n_unconverged_systematic": int(not by_number.loc[FOREGROUNDS_ONLY, "converged"]),
        "n_at_bounds": noisy["n_at_bounds"],
    }
    return pd.DataFrame(counts)


def spectra_of_fits(fits: Cleaned, sky: RegionSky, estimator: Estimator) -> ResidualSpectra:
    """Residual spectra of fits to data of `observe`."""
    return residual_spectra(fits.cmb[1:], sky.cmb, fits.cmb[0], sky.pixels, estimator)
