"""What looks wrong in observed maps beside a sky of CMB and foregrounds, in words with numbers.

Whatever amplitudes the CMB and the foregrounds have in a pixel, their spectra say how much of them
a band has. From all bands but one, with the spectral parameters that fits start from, follows what
that one has, and its gain is the regression of its map on it: 1, but for what spectra vary over the
sky (0.97 to 1.04 on PySM's skies and embedded ones, with LiteBIRD). All of it is taken from the
bands' covariance, of Q and of U, in which bright pixels have no more weight than others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ..instrument.bandpass import SIMULATED_NODES, Bandpasses
from ..instrument.beam import Resolution
from ..instrument.instrument import Instrument
from ..instrument.map_units import ucmb_per
from ..instrument.noise import WhiteNoise, beside_maps
from ..sky.spectral_model import DUST_AND_SYNCHROTRON, SpectralModel
from .correlated_noise import correlated_noise_of
from .observed_maps import ObservedMaps

# Error of what the spectra at fits' start say of a band, of its rms, and of the stated variance of
# noise.
SPECTRAL_ERROR, NOISE_ERROR = 0.1, 0.3
# Parts of the sky whose brightness tells how many values there are that do not depend on others.
PARTS = 16
# A gain is wrong that is farther from 1 than this factor, and than so many times its noise.
GAIN, SIGNIFICANT = 1.2, 4.0
# So far above all that others have, noise too, no band is by chance.
FAR = 10.0
# Gains are those of a known mistake within this factor.
LIKE = 1.15
# Noise is named that is not as stated, by this factor.
NOISE = 2.0
# So many bands at most are found wrong among others, of which there are so many more than
# components.
MOST_WRONG, MORE_THAN_COMPONENTS = 3, 2
# Pixels that tell anything.
FEWEST_PIXELS = 50
# A band has holes that does not see this part of the pixels that all others see.
HOLES = 1e-3
# What maps may be in that are taken for K_CMB, or the other way round.
UNITS = ("mK_CMB", "uK_CMB", "K_RJ", "mK_RJ", "uK_RJ", "MJy/sr")
KEY = "observation.maps"


@dataclass(frozen=True)
class Signals:
    """What bands have in common in Q, or in U.

    Attributes
    ----------
    covariance : array (n_bands, n_bands), µK²_CMB
    noise : array (n_bands,), µK²_CMB
        Variance of noise in it.
    columns : array (n_bands, n_components)
        What bands have of every component.
    n_values : float
        How many there are that do not depend on each other; signals and noise of large scales are
        alike in many pixels.
    """

    covariance: np.ndarray
    noise: np.ndarray
    columns: np.ndarray
    n_values: float

    def scaled(self, factors: np.ndarray) -> "Signals":
        """Those of maps times factors (n_bands,)."""
        covariance = self.covariance * np.outer(factors, factors)
        return replace(self, covariance=covariance, noise=self.noise * factors**2)

    def exchanged(self, one: int, other: int) -> "Signals":
        """Those of maps of which two have each other's place."""
        order = np.arange(len(self.noise))
        order[[one, other]] = other, one
        return replace(
            self, covariance=self.covariance[np.ix_(order, order)], noise=self.noise[order]
        )

    def gain(self, band: int, bands: Sequence[int]) -> tuple[float, float]:
        """The gain of a band beside those of `bands` that are others, and its error."""
        others = [one for one in bands if one != band]
        columns, common = self.columns[others], self.covariance[np.ix_(others, others)]
        noise, of_spectra = self.noise[others], SPECTRAL_ERROR**2 * np.diag(common)
        weighted = columns.T / (noise + of_spectra)
        weights = self.columns[band] @ np.linalg.solve(weighted @ columns, weighted)
        total = weights @ common @ weights
        signal = total - weights**2 @ noise
        if signal <= 0:
            return 1.0, np.inf
        both = weights @ self.covariance[others, band]
        gain = both / signal
        scatter = max(self.covariance[band, band] * total / signal**2 - gain**2, 0.0)
        # What is taken for signal and may be none; a band that is brighter still is wrong.
        unknown = weights**2 @ (NOISE_ERROR * noise + of_spectra) / signal
        if both > FAR * total:
            unknown = 0.0
        return gain, np.hypot(np.sqrt(scatter / self.n_values), max(gain, 1) * unknown)

    def misfit(self, bands: Sequence[int]) -> float:
        """How far gains of bands beside each other are from 1, the farthest; below 1 they agree."""
        return max(map(_misfit, *zip(*(self.gain(band, bands) for band in bands), strict=True)))

    def wrong(self) -> tuple[int, ...] | None:
        """The fewest bands without which the others agree; None if those are too many."""
        n_bands, n_components = self.columns.shape
        for number in range(MOST_WRONG + 1):
            kept = n_bands - number
            if kept < n_components + MORE_THAN_COMPONENTS:
                return None
            without = {
                self.misfit(bands): tuple(sorted({*range(n_bands)} - {*bands}))
                for bands in combinations(range(n_bands), kept)
            }
            if min(without) < 1:
                return without[min(without)]
        return None


def _misfit(gain: float, error: float) -> float:
    far = abs(np.log(gain)) / np.log(GAIN) if gain > 0 else np.inf
    return min(far, abs(gain - 1) / (SIGNIFICANT * error)) if error > 0 else far


def observation_warnings(
    observed: ObservedMaps,
    instrument: Instrument,
    nside: int,
    resolution: Resolution | None,
    model: SpectralModel = DUST_AND_SYNCHROTRON,
) -> list[str]:
    """What looks wrong in maps that have been read, see `read_observed_maps`.

    Parameters
    ----------
    observed : ObservedMaps
    instrument : Instrument
    nside : int
    resolution : Resolution, or None
        That the maps are at.
    model : SpectralModel
        Its spectral parameters where fits start are those of the foregrounds.

    Returns
    -------
    list of str
        Of holes, of bands that are not like the others, and of noise that is not as stated.
    """
    labels = instrument.labels
    sigma = beside_maps(map_noise(instrument, nside, resolution).sigma)
    covered = np.isfinite(sigma).all(axis=1)
    warnings = list(_hole_warnings(observed.seen, covered, labels, resolution is not None))
    common = observed.seen.all(axis=0) & np.isfinite(sigma).all(axis=(0, 1))
    if common.sum() < FEWEST_PIXELS:
        return [
            *warnings,
            f"{KEY}: all bands together see {common.sum()} pixels, too few to compare them",
        ]
    sigma = sigma[..., common] if sigma.shape[-1] > 1 else sigma
    bandpasses = instrument.bandpasses(SIMULATED_NODES)
    found = signals_of(observed.maps[..., common], sigma, bandpasses, model)
    wrong = [one.wrong() for one in found]
    if None in wrong:
        warnings.append(_disagreement(found, bandpasses))
        bad = set()
    else:
        bad = set().union(*wrong)
        warnings += _band_warnings(found, bad, bandpasses)
    if bad or None in wrong:
        warnings += _exchange_warnings(found, labels)
    halves = None if observed.splits is None else observed.splits[..., common]
    good = [band for band in range(len(labels)) if band not in bad]
    return warnings + list(_noise_warnings(found, good, labels, halves, sigma))


def map_noise(instrument: Instrument, nside: int, resolution: Resolution | None) -> WhiteNoise:
    """Noise with the rms that pixels of maps at a resolution have, of the whole sky."""
    correlated = correlated_noise_of(instrument, nside, resolution)
    if correlated is None:
        return WhiteNoise.of(instrument, nside)
    of_ell = (2 * np.arange(3 * nside) + 1) / (12 * nside**2)
    power = (1 + correlated.excess) * correlated.factor**2
    # Without a resolution noise is not cut off at a multipole.
    variance = power @ of_ell if resolution else 1 + correlated.excess @ of_ell
    return correlated.white.scaled(np.sqrt(variance))


def signals_of(
    maps: np.ndarray, sigma: np.ndarray, bandpasses: Bandpasses, model: SpectralModel
) -> tuple[Signals, Signals]:
    """What bands have in common in Q and in U.

    Parameters
    ----------
    maps : array (n_bands, 2, n_pixels), µK_CMB
    sigma : array that broadcasts with them
    bandpasses : Bandpasses
    model : SpectralModel
    """
    columns = [np.ones(len(bandpasses))]
    columns += [one.in_bands(bandpasses, *one.start) for one in model.components]
    # Bands have the same say in how bright a pixel is, whatever they are in.
    power = np.sum(maps**2, axis=1)
    weights = 1 / np.mean(power / np.median(power, axis=1, keepdims=True), axis=0)
    weights /= weights.sum()
    noise = np.broadcast_to(sigma, maps.shape) ** 2 @ weights
    return tuple(
        Signals((qu * weights) @ qu.T, of_stokes, np.stack(columns, axis=1), _n_values(qu, weights))
        for qu, of_stokes in zip(np.moveaxis(maps, 1, 0), noise.T, strict=True)
    )


def _n_values(maps, weights) -> float:
    """Of n independent Gaussian values the mean square has a relative variance of 2 / n."""
    parts = np.array_split(np.arange(len(weights)), PARTS)
    power = [maps[:, part] ** 2 @ weights[part] / weights[part].sum() for part in parts]
    scatter = np.var(power, axis=0, ddof=1) / np.mean(power, axis=0) ** 2
    return min(2 * PARTS / scatter.max(), len(weights))


def _band_warnings(found, bad, bandpasses) -> Iterator[str]:
    good = [band for band in range(len(bandpasses)) if band not in bad]
    for band in sorted(bad):
        gains = [one.gain(band, good)[0] for one in found]
        yield (
            f"{KEY}: {bandpasses.labels[band]} has {gains[0]:.3g} times the Q and {gains[1]:.3g} "
            "times the U that the other bands let expect of CMB and foregrounds"
            f"{_like(gains, band, bandpasses)}"
        )


def _like(gains, band, bandpasses) -> str:
    """Which known mistake has such gains, and where to look."""
    q, u = gains
    size = np.sqrt(abs(q * u))
    k_cmb = ucmb_per("K_CMB", bandpasses)[band]
    factors = {unit: k_cmb / ucmb_per(unit, bandpasses)[band] for unit in UNITS}
    mistakes = {"": 1.0} | {f"{unit} taken for K_CMB": of for unit, of in factors.items()}
    mistakes |= {f"K_CMB taken for {unit}": 1 / of for unit, of in factors.items()}
    nearest = min(mistakes, key=lambda mistake: abs(np.log(size / mistakes[mistake])))
    words = [f"a wrong unit, such as {nearest}"] if nearest else []
    if q * u < 0:
        words.append("a wrong polarization_convention, or sign of U")
    elif q < 0:
        words.append("a wrong sign")
    alike = np.array([abs(q), abs(u), mistakes[nearest]]) / size
    if words and np.all(np.abs(np.log(alike)) < np.log(LIKE)):
        return f": it looks like {' and '.join(words)}"
    return "; look at its unit, columns, order and coordinates, and whether its file is that of it"


def _disagreement(found, bandpasses) -> str:
    """No few bands are wrong: all may be in another unit."""
    for unit in ("K_RJ", "MJy/sr"):
        factors = ucmb_per(unit, bandpasses)
        every = range(len(factors))
        if max(one.scaled(factors).misfit(every) for one in found) < 1:
            return (
                f"{KEY}: bands do not agree on CMB and foregrounds, but would in {unit}; look at "
                "observation.unit"
            )
    every = range(len(bandpasses))
    gains = ", ".join(
        f"{label} {found[0].gain(band, every)[0]:.3g} and {found[1].gain(band, every)[0]:.3g}"
        for band, label in enumerate(bandpasses.labels)
    )
    return (
        f"{KEY}: bands do not agree on CMB and foregrounds, whichever few are left out; times the "
        f"Q and U that the others let expect they have: {gains}; look at units, files, columns and "
        "polarization_convention"
    )


def _exchange_warnings(found, labels) -> Iterator[str]:
    every = range(len(labels))
    for one, other in combinations(every, 2):
        others = [band for band in every if band not in (one, other)]
        alone = (_misfit(*of.gain(band, others)) for of in found for band in (one, other))
        # Bands that are alike may always be.
        if max(alone) < 1:
            continue
        if max(signals.exchanged(one, other).misfit(every) for signals in found) < 1:
            yield (
                f"{KEY}: all bands agree if {labels[one]} and {labels[other]} are exchanged; look "
                "whether their files are"
            )


def _noise_warnings(found, good, labels, splits, sigma) -> Iterator[str]:
    """Of noise by the splits; without, by the combination of bands that has the least variance."""
    if splits is not None:
        halves = np.sqrt(np.mean((splits[0] - splits[1]) ** 2, axis=(1, 2))) / 2
        stated = np.sqrt(np.mean(np.broadcast_to(sigma**2, splits.shape[1:]), axis=(1, 2)))
        for label, ratio in zip(labels, halves / stated, strict=True):
            if not 1 / NOISE < ratio < NOISE:
                yield (
                    f"{KEY}: splits of {label} differ by {ratio:.3g} times the noise that the "
                    "instrument file states; correct its depth, hits or variance, or the unit"
                )
        return
    least = []
    for signals in found:
        white = 1 / np.sqrt(signals.noise[good])
        least.append(
            np.linalg.eigvalsh(signals.covariance[np.ix_(good, good)] * np.outer(white, white))[0]
        )
    ratio = np.sqrt(np.mean(least))
    if not 1 / NOISE < ratio < NOISE:
        yield (
            f"{KEY}: the combination of bands with the least variance has {ratio:.3g} times the "
            "noise that the instrument file states; correct its depth, hits or variance, or "
            "observation.unit"
        )


def _hole_warnings(seen, covered, labels, at_resolution) -> Iterator[str]:
    # At a resolution edges are not seen.
    has_maps = covered.shape[-1] > 1 and not at_resolution
    for band, label in enumerate(labels):
        others = np.delete(seen, band, axis=0).all(axis=0)
        missing = np.sum(others & ~seen[band])
        if missing > HOLES * max(others.sum(), 1):
            yield (
                f"{KEY}: {label} does not know {missing} of {others.sum()} pixels that all other "
                "bands do: they are 0, UNSEEN, NaN or not listed, and not used of that band"
            )
        without = np.sum(seen[band] & ~np.broadcast_to(covered, seen.shape)[band])
        if without > HOLES * seen[band].sum():
            yield (
                f"{KEY}: {label} has a map in {without} pixels without hits or with an infinite "
                "variance: they are not used of that band"
            )
        unseen = np.sum(covered[band] & ~seen[band]) if has_maps else 0
        if unseen > HOLES * covered[band].sum():
            yield (
                f"{KEY}: {label} has hits or a variance in {unseen} pixels without a map: they are "
                "not used of that band"
            )
