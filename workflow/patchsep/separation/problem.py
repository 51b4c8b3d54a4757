"""The patches as an optimiser sees them: cells of the sky, and unknowns that cells share."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..sky.spectral_model import SpectralModel
from .likelihood import pairs

# Pixels that share their patches are merged if that leaves fewer than this part of them:
# one merged pixel costs what four others do.
WORTH_MERGING = 0.25
# Pixels that are not merged are padded to equal parts of at most so many, each a multiple of
# the length of XLA's loops: what is computed of a part stays in the cache of a CPU, and loops
# over odd lengths take a quarter longer.
PIXELS_IN_PART, LOOP = 1216, 32
# Second moments are products of matrices with this many pixels, Q and U, on a side.
PIXELS_IN_BLOCK = 8


@dataclass(frozen=True)
class Problem:
    """The patches as an optimiser sees them: cells of the sky, and one vector of unknowns.

    A cell is a pixel, or all pixels that share all their patches where that saves work.
    Every shape costs seconds of compilation and padding next to nothing, so unknowns are
    padded with ones that nothing depends on, and merged cells with empty ones.

    Attributes
    ----------
    cells : int array (n_pixels,)
        The cell of each pixel.
    blocks : tuple of int arrays (n_blocks, PIXELS_IN_BLOCK) and (n_blocks,), or None
        Where cells may have several pixels: pixels block by block, n_pixels for none, and
        the cell that each block is part of.
    n_parts : int
        Equal parts into which cells divide.
    labels : int array (n_parameters, n_cells)
        The unknowns of each cell. Those of the first parameter are below n_cells, the others not.
    lower, upper, start, reach : arrays (n_unknowns,)
    places : dict of str to int array (n_patches,)
        The unknown of each patch, -1 for a patch without pixels.
    """

    cells: np.ndarray
    blocks: tuple[np.ndarray, np.ndarray] | None
    n_parts: int
    labels: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    start: np.ndarray
    reach: np.ndarray
    places: dict[str, np.ndarray]

    @classmethod
    def from_patches(cls, patches: dict[str, np.ndarray], model: SpectralModel, merge: bool = True):
        """The problem of patch labels (n_pixels,) by parameter.

        `merge` says whether pixels may be merged: they may where their noise has the same ratios
        between bands.
        """
        used, labels = zip(
            *(np.unique(patches[name], return_inverse=True) for name in model.names), strict=True
        )
        labels = np.stack(labels)
        n_pixels = labels.shape[1]
        shared, cells = np.unique(labels, axis=1, return_inverse=True)
        merged, n_parts = merge and shared.shape[1] <= WORTH_MERGING * n_pixels, 1
        if merged:
            labels, n_cells, cells = shared, _padded(shared.shape[1]), cells.ravel()
        else:
            n_parts = -(-n_pixels // PIXELS_IN_PART)
            cells, n_cells = np.arange(n_pixels), n_pixels + -n_pixels % (n_parts * LOOP)
        counts = [len(u) for u in used]
        n_unknowns = n_cells + room_for(sum(counts[1:]), n_cells)
        # Unknowns of the first parameter have the room of all cells, the last all that is left.
        offsets = np.cumsum([0, n_cells, *counts[1:-1]])[: len(counts)]
        # Empty cells may belong anywhere: they add nothing.
        labels = np.pad(labels, ((0, 0), (0, n_cells - labels.shape[1])))
        kind = np.repeat(range(len(counts)), np.diff([*offsets, n_unknowns]))
        places = {}
        for name, values, offset in zip(model.names, used, offsets, strict=True):
            places[name] = np.full(values[-1] + 1, -1)
            places[name][values] = offset + np.arange(len(values))
        lower, upper, start, reach = np.array(
            [(*one.bounds, one.start, one.reach) for one in model.parameters]
        )[kind].T
        return cls(
            cells,
            _blocks(cells, n_cells) if merged else None,
            n_parts,
            labels + np.array(offsets)[:, None],
            lower,
            upper,
            start,
            reach,
            places,
        )

    def vector(self, parameters):
        """Unknowns (n_unknowns,) of a dict of (n_patches,); where no pixel is, the start."""
        unknowns = self.start.copy()
        for name, places in self.places.items():
            used = places >= 0
            unknowns[places[used]] = parameters[name][used]
        return unknowns

    def by_parameter(self, vectors):
        """Split (..., n_unknowns) into a dict of (..., n_patches), NaN where no pixel is."""
        return {
            name: np.where(places < 0, np.nan, vectors[..., places])
            for name, places in self.places.items()
        }


def room_for(n_rest: int, n_cells: int) -> int:
    """Size of a vector of n_rest unknowns: one of few, and not much below that of cells.

    Powers of two and what lies half-way between: longer vectors cost little next to the cells,
    and each size seconds of compilation.
    """
    needed = max(n_rest, n_cells // 8, 16)
    power = 1 << (needed - 1).bit_length()
    return 3 * power // 4 if needed <= 3 * power // 4 else power


def _padded(n):
    """n rounded up to a power of two, at least 16, or beyond 256 to an eighth of one."""
    power = 1 << (n - 1).bit_length()
    step = max(power if power <= 256 else power // 8, 16)
    return -(-n // step) * step


def _blocks(cells, n_cells):
    """Pixels sorted by cell and cut into blocks, and the cell of each block.

    Their number depends only on that of pixels and cells: blocks that are left over are empty.
    """
    n_pixels = len(cells)
    counts = np.bincount(cells, minlength=n_cells)
    blocks_per_cell = -(-counts // PIXELS_IN_BLOCK)
    n_blocks = n_pixels // PIXELS_IN_BLOCK + n_cells
    pixels = np.full((n_blocks, PIXELS_IN_BLOCK), n_pixels)
    cell_of_block = np.full(n_blocks, n_cells - 1)
    cell_of_block[: blocks_per_cell.sum()] = np.repeat(np.arange(n_cells), blocks_per_cell)
    order = np.argsort(cells, kind="stable")
    first_pixel, first_block = (
        np.cumsum(counts) - counts,
        np.cumsum(blocks_per_cell) - blocks_per_cell,
    )
    cell = cells[order]
    block, place = np.divmod(np.arange(n_pixels) - first_pixel[cell], PIXELS_IN_BLOCK)
    pixels[first_block[cell] + block, place] = order
    return pixels, cell_of_block


def _segment_sum(n):
    """jax.ops.segment_sum over n segments that stays one loop under vmap."""

    @jax.custom_batching.custom_vmap
    def segment_sum(values, segments):
        return jax.ops.segment_sum(values, segments, n)

    @segment_sum.def_vmap
    def _(size, batched, values, segments):
        offsets = n * jnp.arange(size)[:, None]
        flat = jax.ops.segment_sum(values.ravel(), (segments + offsets).ravel(), n * size)
        return flat.reshape(size, n), True

    return segment_sum


class Incidence:
    """Sums between cells and unknowns: those of the first parameter, then the rest.

    What belongs to cells is a list of arrays (n_cells,), one per parameter.
    """

    def __init__(self, labels, n_unknowns):
        self.n_first = labels.shape[1]
        self.n_rest = n_unknowns - self.n_first
        self.labels = labels

    def spread(self, vector):
        """Values of the unknowns at their cells."""
        return tuple(vector[label] for label in self.labels)

    def spread_rest(self, rest):
        return tuple(rest[label - self.n_first] for label in self.labels[1:])

    def collect(self, by_cell):
        """Sums over the cells of each unknown."""
        return jnp.concatenate([self.collect_first(by_cell[0]), self.collect_rest(by_cell[1:])])

    def collect_first(self, by_cell):
        return _segment_sum(self.n_first)(by_cell, self.labels[0])

    def collect_rest(self, by_cell):
        if not by_cell:
            return jnp.zeros(self.n_rest)
        return sum(
            _segment_sum(self.n_rest)(values, label - self.n_first)
            for values, label in zip(by_cell, self.labels[1:], strict=True)
        )

    def diagonal(self, matrix):
        n = len(self.labels)
        return self.collect([matrix[pairs(n).index((k, k))] for k in range(n)])
