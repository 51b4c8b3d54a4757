"""What bands, noise and maps must be for a fit to mean something, asked before it starts.

Frequencies in Hz, a pixel that is UNSEEN or a masked array are no errors of arithmetic: without
these questions a fit goes through and ends somewhere.
"""

import numpy as np

from .noise import beside_maps

# GHz. Band centres in Hz, MHz or THz are outside.
FREQUENCIES = 1.0, 1e4
# µK_CMB, with room for maps in K.
NOISE = 1e-9, 1e9
# Times the noise rms: of more float64 resolves nothing beside it.
LARGEST_SIGNAL = 1e9


def unmasked(values, name: str, dtype=None) -> np.ndarray:
    """Values as a plain array.

    Raises
    ------
    ValueError
        For a masked array with masked values: below the mask may be anything.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} is a masked array: cut the pixels that are masked, or fill them")
    return np.asarray(values, dtype=dtype)


def check_bands(frequencies: np.ndarray, sigma: np.ndarray):
    """Refuse bands that are not meant.

    Parameters
    ----------
    frequencies : array (n_bands,), GHz
    sigma : array (n_bands,), (n_bands, n_pixels) or (n_bands, 2, n_pixels), µK_CMB

    Raises
    ------
    ValueError
        For shapes that do not agree, and values that are not plausible.
    """
    if sigma.shape[:1] != frequencies.shape or (sigma.ndim > 2 and sigma.shape[1:-1] != (2,)):
        raise ValueError(f"sigma has shape {sigma.shape}; frequencies have {frequencies.shape}")
    for name, values, (low, high), unit in (
        ("frequencies", frequencies, FREQUENCIES, "GHz"),
        ("sigma", sigma, NOISE, "µK_CMB"),
    ):
        # Noise of bands that do not see a pixel is infinite.
        seen = values[np.isfinite(values)] if values.ndim > 1 else values
        if not np.all((seen >= low) & (seen <= high)):
            raise ValueError(
                f"{name} must be in {unit}, from {low:g} to {high:g} in every band, not {values}"
            )


def check_maps(data: np.ndarray, sigma: np.ndarray, name: str = "data"):
    """Refuse maps that are not finite, or have values that no sky has.

    Parameters
    ----------
    data : array (..., n_bands, 2, n_pixels), µK_CMB
    sigma : array (n_bands,), (n_bands, n_pixels) or (n_bands, 2, n_pixels), µK_CMB
    name : str
        What messages call the data.

    Raises
    ------
    ValueError
    """

    def pixels(good):
        bad = np.flatnonzero(~good.all(axis=tuple(range(data.ndim - 1))))
        return f"in {len(bad)} pixels, the first {bad[0]}"

    finite = np.isfinite(data)
    if not finite.all():
        raise ValueError(f"{name} is not finite {pixels(finite)}: mask them")
    plausible = np.abs(data) <= LARGEST_SIGNAL * beside_maps(sigma)
    if not plausible.all():
        raise ValueError(
            f"{name} is more than {LARGEST_SIGNAL:g} times the noise {pixels(plausible)}: mask "
            "what is UNSEEN (-1.6375e+30), and give maps and noise in one unit, µK_CMB"
        )
