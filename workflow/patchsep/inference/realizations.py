"""One configuration by noise realisation: how its fits went, and the spectra of what they leave.

Both ways to r start from these tables: of all configurations on one sky, see `configurations`, and
of the selected ones on other skies, see `skies` and `sets`.
"""

import pandas as pd

from ..observation.region_sky import RegionSky
from ..separation.cleaning import Cleaned
from ..spectra.estimator import Estimator
from ..spectra.residuals import ResidualSpectra, cmb_variance, residual_spectra


def count_fits(fits: Cleaned, realizations: list[int]) -> pd.DataFrame:
    """What can be summed over regions, of fits to data of `observe`.

    Returns
    -------
    DataFrame
        By realisation `nll`, `n_at_bounds`, and `n_unconverged` and `n_unconverged_systematic`: 1
        where the fit to this realisation, and where that to foregrounds alone, did not converge.
    """
    # Row 0 is the fit to foregrounds alone.
    counts = {
        "nll": fits.nll[1:],
        "n_unconverged": (~fits.converged[1:]).astype(int),
        "n_unconverged_systematic": int(~fits.converged[0]),
        "n_at_bounds": fits.n_at_bounds[1:],
    }
    return pd.DataFrame(counts, index=realizations)


def spectra_of_fits(fits: Cleaned, sky: RegionSky, estimator: Estimator) -> ResidualSpectra:
    """Residual spectra of fits to data of `observe`."""
    return residual_spectra(fits.cmb[1:], sky.cmb, fits.cmb[0], sky.pixels, estimator)


def realization_table(counts: pd.DataFrame, recovered, spectra: ResidualSpectra) -> pd.DataFrame:
    """A row per noise realisation of a configuration.

    Parameters
    ----------
    counts : DataFrame
        See `count_fits`.
    recovered : array (n_realizations, 2, n_pixels), µK_CMB
    spectra : ResidualSpectra

    Returns
    -------
    DataFrame
        `realization`, the counts, `variance` of the CMB map in µK², and the BB spectra `total`,
        `statistical` and `systematic`, arrays over the estimator's bins, in µK². The last is the
        same in all rows.
    """
    return (
        counts.rename_axis("realization")
        .reset_index()
        .assign(
            variance=cmb_variance(recovered),
            total=list(spectra.total),
            statistical=list(spectra.statistical),
            systematic=[spectra.systematic] * len(recovered),
        )
    )
