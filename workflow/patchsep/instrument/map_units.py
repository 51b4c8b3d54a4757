"""Units of maps that come from elsewhere, and what they are in µK_CMB.

A unit stands for what its map is of in a band that is not narrow: K_RJ for a brightness temperature
that is the same at all frequencies, MJy/sr for an intensity of which ν I_ν is, given at the band's
centre (the IRAS convention; Planck 2013 IX, arXiv:1303.5070, sect. 2.2).
"""

import re

import numpy as np

from .bandpass import Bandpasses

# µK in a unit of temperature, by its prefix.
PREFIXES = {"": 1e6, "m": 1e3, "u": 1.0}
MJY_PER_SR = "MJy/sr"
# What headers call one of two temperatures, after the K.
KINDS = {
    "CMB": ("cmb", "thermo", "thermodynamic", "thermodynamictemperature", "tcmb"),
    "RJ": ("rj", "ant", "antenna", "antennatemperature", "rayleighjeans", "brightness"),
}
# What stands in a header for no unit.
NO_UNIT = ("", "unknown", "none", "?", "n/a")
# µK_RJ GHz² per MJy/sr, c² / (2 k ν²): c and k are exact in the SI.
LIGHT, BOLTZMANN = 299792458.0, 1.380649e-23
RJ_PER_MJY = 1e-20 * LIGHT**2 / (2 * BOLTZMANN * 1e18) * 1e6


def parse_unit(text: str) -> str:
    """The unit that a header means, in one spelling.

    Returns
    -------
    str
        Such as uK_CMB, mK_RJ or MJy/sr; of a temperature that may be either just K, mK or uK; empty
        for no unit.

    Raises
    ------
    ValueError
        For a unit that is not known.
    """
    plain = re.sub(r"[\s_,.()\[\]{}\\^*-]", "", text)
    if plain.lower() in NO_UNIT:
        return ""
    if re.fullmatch(r"M[Jj][Yy]/?[Ss](r1?|teradian)", plain):
        return MJY_PER_SR
    found = re.fullmatch(r"(micro|milli|mu|u|µ|μ|m)?(?:kelvin|K)(\w*)", plain, re.IGNORECASE)
    kind = next((k for k, words in KINDS.items() if found and found[2].lower() in words), None)
    # MK are no maps of the sky.
    if not found or (found[2] and kind is None) or found[1] == "M":
        raise ValueError(f"unit {text} is not known")
    prefix = {"": "", "milli": "m", "m": "m"}.get((found[1] or "").lower(), "u")
    return f"{prefix}K_{kind}" if kind else f"{prefix}K"


def agreed_unit(said: str, stated: str | None) -> str:
    """The unit of a map whose file says one, and for which another may be stated.

    A temperature that may be either is one of the CMB if nothing else is stated.

    Parameters
    ----------
    said : str
        See `parse_unit`.
    stated : str, or None
        Such as uK_CMB.

    Returns
    -------
    str
        Empty where neither says anything.

    Raises
    ------
    ValueError
        If they are not the same.
    """
    if stated and said and said not in (stated, stated.partition("_")[0]):
        raise ValueError(f"it has the unit {said}, and {stated} is stated")
    if stated:
        return stated
    return f"{said}_CMB" if said.endswith("K") else said


def ucmb_per(unit: str, bandpasses: Bandpasses) -> np.ndarray:
    """µK_CMB in maps of every band per unit: array (n_bands,).

    Parameters
    ----------
    unit : str
        K_CMB, K_RJ, either with m or u before it, or MJy/sr.
    bandpasses : Bandpasses
        Whose weights are µK_CMB per µK_RJ at the nodes.
    """
    if unit == MJY_PER_SR:
        ratio = bandpasses.centre[:, None] / bandpasses.nodes
        return np.sum(bandpasses.weights * RJ_PER_MJY / bandpasses.nodes**2 * ratio, axis=1)
    temperature, kind = unit.split("_")
    of_one = bandpasses.weights.sum(axis=1) if kind == "RJ" else np.ones(len(bandpasses))
    return PREFIXES[temperature.removesuffix("K")] * of_one
