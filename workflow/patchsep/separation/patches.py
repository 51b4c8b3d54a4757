"""Patches: the groups of pixels that share one value of a spectral parameter.

A strategy is a function of the region's pixels that returns their patch labels. A new one is a
function here and an entry in `STRATEGIES`; the configuration then knows the word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..lazy import healpy as hp
from ..lazy import spatial

Seed = int | Sequence[int]

# Pixels of the full sky at the highest nside.
MOST = 12 * 1024**2

# K-means draws more centres than these part by part, of so many parts after so many steps.
DRAWN_AT_ONCE, N_PARTS, PART_STEPS = 64, 16, 10
# Of several starts the best is found on so many pixels: as many as the whole sky has at nside 64.
SAMPLED = 50_000


def kmeans(nside: int, pixels: np.ndarray, n_patches: int, seed: Seed) -> np.ndarray:
    """Spherical K-means of pixel directions (Dhillon & Modha 2001).

    Centres are drawn by greedy k-means++ (Arthur & Vassilvitskii 2007), many of them part by part
    of the region, and moved to the normalised mean direction of their pixels until no pixel
    changes patch. A centre left without pixels moves to the pixel farthest from its own centre.

    Parameters
    ----------
    nside : int
    pixels : int array (n_pixels,)
        The region's pixels, RING order.
    n_patches : int
        Number of patches; with as many as pixels, or more, each pixel is its own.
    seed : int or sequence of int

    Returns
    -------
    int array (n_pixels,)
        Labels 0 … n_patches - 1, every one of them used.
    """
    if n_patches >= len(pixels):
        return np.arange(len(pixels))
    directions = np.stack(hp.pix2vec(nside, pixels), axis=1)
    rng = np.random.default_rng([*np.atleast_1d(seed), n_patches])
    # Few patches have many poor local minima and cost nothing: keep the best of several.
    n_starts = 10 if n_patches <= 50 else 1
    # Of many pixels every so many-th tells which is best.
    step = 1 + len(directions) // SAMPLED
    some = directions if n_starts == 1 or step == 1 else directions[::step]
    starts = [_lloyd(some, some[_first_centres(some, n_patches, rng)]) for _ in range(n_starts)]
    best = min(starts, key=lambda labels: spherical_inertia(some, labels))
    return best if some is directions else _lloyd(directions, _centres(some, best, n_patches))


def spherical_inertia(directions: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squared chord distances of pixels (n_pixels, 3) to their patch's mean direction."""
    sums = _patch_sums(directions, labels, labels.max() + 1)
    return 2 * (len(directions) - np.linalg.norm(sums, axis=1).sum())


def _centres(directions, labels, n_patches):
    sums = _patch_sums(directions, labels, n_patches)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def _patch_sums(directions, labels, n_patches):
    return np.stack(
        [np.bincount(labels, weights=axis, minlength=n_patches) for axis in directions.T], axis=1
    )


def _first_centres(directions, n_centres, rng):
    """Pixels (n_centres,) to start from, as many everywhere as the pixels are dense.

    Drawn by greedy k-means++, which costs pixels × centres: where many are asked for, the pixels
    are divided into a few parts, and each draws its share.
    """
    if n_centres == len(directions):
        return np.arange(n_centres)
    if n_centres <= DRAWN_AT_ONCE:
        return _spread_centres(directions, n_centres, rng)
    parts = _lloyd(
        directions, directions[_spread_centres(directions, N_PARTS, rng)], max_iterations=PART_STEPS
    )
    counts = np.bincount(parts)
    # Whole numbers that follow the counts and add up; np.rint might ask for more than there are.
    ends = np.floor(np.cumsum(counts) * (n_centres / len(directions)) + 0.5).astype(int)
    chosen = []
    for part, share in enumerate(np.diff(ends, prepend=0)):
        own = np.flatnonzero(parts == part)
        chosen.append(own[_first_centres(directions[own], share, rng)])
    return np.concatenate(chosen)


def _spread_centres(directions, n_centres, rng):
    """Greedy k-means++: of a few pixels drawn by squared distance, the most useful one."""
    if not n_centres:
        return np.zeros(0, dtype=int)
    n_trials = 2 + int(np.log(n_centres))
    chosen = [rng.integers(len(directions))]
    nearest = 2 - 2 * directions @ directions[chosen[0]]
    while len(chosen) < n_centres:
        cumulative = np.cumsum(np.maximum(nearest, 0))
        draws = rng.random(n_trials) * cumulative[-1]
        trials = np.minimum(np.searchsorted(cumulative, draws), len(directions) - 1)
        # Squared chord distance on the unit sphere.
        squared = np.minimum(nearest, 2 - 2 * directions[trials] @ directions.T)
        best = np.argmin(squared.sum(axis=1))
        chosen.append(trials[best])
        nearest = squared[best]
    return np.array(chosen)


def _lloyd(directions, centres, max_iterations=300):
    """Move centres to their pixels' mean direction until no pixel changes patch."""
    n_patches = len(centres)
    labels = np.full(len(directions), -1)
    for _ in range(max_iterations):
        distance, nearest = spatial.cKDTree(centres).query(directions)
        _fill_empty(nearest, distance, n_patches)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        centres = _centres(directions, labels, n_patches)
    return labels


def _fill_empty(labels, distance, n_patches):
    """Give each patch without pixels the farthest from its own centre that shares its patch."""
    counts = np.bincount(labels, minlength=n_patches)
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return
    farthest = iter(np.argsort(-distance, kind="stable"))
    for patch in empty:
        pixel = next(pixel for pixel in farthest if counts[labels[pixel]] > 1)
        counts[labels[pixel]] -= 1
        labels[pixel], counts[patch] = patch, 1


def multiresolution(nside: int, pixels: np.ndarray, coarse_nside: int, seed: Seed) -> np.ndarray:
    """Patches are the HEALPix pixels of a coarser nside (arXiv:2202.02773); 0 is one patch.

    Labels are numbered in RING order of the coarse pixels that the region touches.

    Raises
    ------
    ValueError
        If `coarse_nside` is finer than the maps.
    """
    if coarse_nside == 0:
        return np.zeros(len(pixels), dtype=int)
    if coarse_nside > nside:
        raise ValueError(
            f"multiresolution: patches of nside {coarse_nside} are finer than the maps' {nside}"
        )
    nested = hp.ring2nest(nside, pixels) // (nside // coarse_nside) ** 2
    return np.unique(hp.nest2ring(coarse_nside, nested), return_inverse=True)[1]


def uniform(nside: int, pixels: np.ndarray, value: int, seed: Seed) -> np.ndarray:
    """One patch for the whole region."""
    return np.zeros(len(pixels), dtype=int)


def equal_width_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Pixels whose values (n_pixels,) fall into one of `n_bins` equal intervals are a patch.

    Intervals span the values; those without a pixel have no label.

    Raises
    ------
    ValueError
        If a value is NaN: the sky has no such parameter, or more than one.
    """
    if np.isnan(values).any():
        raise ValueError(
            "patches cannot follow a spectral parameter that is not known everywhere; "
            "follow another map"
        )
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(len(values), dtype=int)
    bins = np.minimum((values - low) / (high - low) * n_bins, n_bins - 1).astype(int)
    return np.unique(bins, return_inverse=True)[1]


def bins_of_map(
    nside: int, pixels: np.ndarray, n_bins: int, seed: Seed, values: np.ndarray
) -> np.ndarray:
    """`equal_width_bins` of a map (n_pixels,)."""
    return equal_width_bins(values, n_bins)


def number_of_patches(value: int, nside: int) -> str:
    """What is wrong with a number of patches; empty if nothing is.

    More than there are pixels stand for all of them, but no sky has more than MOST.
    """
    if value < 1:
        return f"{value} patches; use 1 or more"
    return f"{value} patches; use {MOST} or fewer" if value > MOST else ""


def coarser_nside(value: int, nside: int) -> str:
    """What is wrong with an nside of patches on maps of `nside`; empty if nothing is."""
    if value and value & (value - 1):
        return f"nside {value} is neither 0 nor a power of two"
    return f"nside {value} is finer than the maps; use {nside} or less" if value > nside else ""


@dataclass(frozen=True)
class Strategy:
    """A way to divide a region into patches.

    Attributes
    ----------
    divide : function of (nside, pixels, value, seed) to labels (n_pixels,)
        `value` is the number in the configuration. Where patches follow maps it also takes the map
        of the parameter (n_pixels,); parameters without a map are divided by K-means.
    maps_from : str or None
        Maps that patches follow: `template`, from elsewhere, or the `true` or `recovered`
        parameters.
    random : bool
        Whether it draws at random, so that patches can be drawn anew.
    numbered : bool
        Whether the configuration gives numbers.
    problem : function of (value, nside) to str
        What is wrong with a number, empty if nothing is.
    """

    divide: Callable[..., np.ndarray]
    maps_from: str | None = None
    random: bool = False
    numbered: bool = True
    problem: Callable[[int, int], str] = number_of_patches


# By the word in the configuration.
STRATEGIES = {
    "kmeans": Strategy(kmeans, random=True),
    "multiresolution": Strategy(multiresolution, problem=coarser_nside),
    "uniform": Strategy(uniform, numbered=False),
    "true_parameters": Strategy(bins_of_map, maps_from="true"),
    "recovered_parameters": Strategy(bins_of_map, maps_from="recovered"),
    "template": Strategy(bins_of_map, maps_from="template"),
}
