"""What the likelihood needs of the bands: their bandpasses and noise, and data in units of it."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..instrument.bandpass import Bandpasses
from ..instrument.noise import WhiteNoise, beside_maps
from ..instrument.plausible import check_bands, unmasked
from ..sky.spectral_model import SpectralModel


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["constants", "white", "cmb", "relative"],
    meta_fields=["model"],
)
@dataclass(frozen=True)
class Bands:
    """What the likelihood needs of each band.

    Where noise is not the same in all pixels, but its ratios between bands are, data over the
    relative noise of a pixel have the likelihood of uniform noise. Where ratios differ, `white`,
    `cmb` and the units among the constants have pixels as their last axis, and before it one of Q
    and U where these are not alike.

    Attributes
    ----------
    constants : tuple of tuples of arrays (n_bands, n_nodes), (n_bands, n_nodes, n_pixels or 1) or
        (n_bands, n_nodes, 2 or 1, n_pixels or 1)
        See `Component.constants`, of every component.
    white : array (n_bands,), (n_bands, n_pixels) or (n_bands, 2, n_pixels)
        Noise rms per µK_CMB, 1 / sigma.
    cmb : array of the shape of `white`
        The whitened CMB column, of unit length.
    relative : array (n_pixels,), or None
        Noise of every pixel relative to 1 / `white`.
    model : SpectralModel
    """

    constants: tuple[tuple[np.ndarray, ...], ...]
    white: np.ndarray
    cmb: np.ndarray
    relative: np.ndarray | None
    model: SpectralModel

    @classmethod
    def of(cls, bandpasses, noise: WhiteNoise, model: SpectralModel):
        """Bands with their noise.

        To be computed once, not within a jitted function: XLA would compute it again for
        every pixel.

        Parameters
        ----------
        bandpasses : Bandpasses, or array (n_bands,)
            The latter in GHz, of infinitely narrow bands.

        Raises
        ------
        ValueError
            For frequencies or noise that are not plausible, see `plausible.check_bands`.
        """
        is_plain = not isinstance(bandpasses, Bandpasses)
        centre = unmasked(bandpasses, "frequencies", float) if is_plain else bandpasses.centre
        sigma = unmasked(noise.sigma, "sigma", float)
        check_bands(centre, sigma)
        bandpasses = Bandpasses.of(centre if is_plain else bandpasses)
        sigma, relative = WhiteNoise(sigma).factors()
        shape = bandpasses.nodes.shape + (1,) * (sigma.ndim - 1)
        nodes, weights = (
            values.reshape(shape) for values in (bandpasses.nodes, bandpasses.weights)
        )
        unit = weights / sigma[:, None]
        return cls(
            constants=tuple(one.constants(nodes, unit) for one in model.components),
            white=1 / sigma,
            cmb=(1 / sigma) / np.sqrt(np.sum(1 / sigma**2, axis=0)),
            relative=relative,
            model=model,
        )

    @property
    def is_by_pixel(self) -> bool:
        """Whether ratios of the noise between bands are pixels' own."""
        return self.white.ndim > 1

    @property
    def is_by_stokes(self) -> bool:
        """Whether Q and U have noise of their own."""
        return self.white.ndim == 3

    def by_stokes(self) -> "Bands":
        """Bands whose arrays have Q and U as their first axis, for `jax.vmap` over it."""

        def stokes_first(leaf):
            both = jnp.broadcast_to(leaf, (*leaf.shape[:-2], 2, leaf.shape[-1]))
            return jnp.moveaxis(both, -2, 0)

        return jax.tree.map(stokes_first, self)

    @property
    def noise_of_cmb(self):
        """Noise rms of the CMB in µK if there were nothing else, but for `relative`."""
        return 1 / jnp.sqrt(jnp.sum(self.white**2, axis=0))

    @property
    def sigma(self) -> np.ndarray:
        """Noise rms in µK_CMB, infinite where a band sees nothing; but for `relative`."""
        return np.divide(1, self.white, out=np.full(self.white.shape, np.inf), where=self.white > 0)

    def of_cells(self, n_cells: int) -> "Bands":
        """Bands for cells that are pixels, and some more without data."""
        if not self.is_by_pixel:
            return self

        def padded(leaf):
            missing = n_cells - leaf.shape[-1] if leaf.shape[-1] > 1 else 0
            return np.pad(leaf, (*(leaf.ndim - 1) * ((0, 0),), (0, missing)), "edge")

        return jax.tree.map(padded, self)


def whiten(data, bands):
    """Data over the noise rms, less what the CMB column explains.

    Parameters
    ----------
    data : array (n_bands, ..., n_pixels), µK_CMB
    bands : Bands

    Returns
    -------
    array (n_bands, ..., n_pixels)
        P⊥ N^(-1/2) data, with P⊥ the projector orthogonal to the whitened CMB column. That
        column does not depend on the parameters, so this is done to the data only once.
    """
    seen, cmb = over_noise(data, bands), _beside(bands.cmb, data)
    # Band by band: rounded the same for one realisation and for many, on any machine.
    return seen - cmb * sum(c * y for c, y in zip(cmb, seen, strict=True))


def over_noise(data, bands):
    """Data (n_bands, ..., n_pixels) over the noise rms."""
    return _beside(bands.white, data) * (data if bands.relative is None else data / bands.relative)


def _beside(of_bands, data):
    """What bands have, or bands and pixels, or Q and U too, as it broadcasts with data."""
    own = of_bands.shape[1:] or (1,)
    return of_bands.reshape(of_bands.shape[:1] + (1,) * (data.ndim - 1 - len(own)) + own)


def cmb_noise(bandpasses: Bandpasses, noise: WhiteNoise, model: SpectralModel):
    """Noise rms per pixel of the recovered CMB in µK where spectral parameters are known.

    The root of the first element of (AᵀN⁻¹A)⁻¹ (Stompor et al. 2009, eq. 8), with the parameters
    that the model starts from.

    Returns
    -------
    float, or array (n_pixels,) where noise is not the same in all pixels, or (2, n_pixels)
    """
    white = _white_columns(bandpasses, noise, model)
    return np.sqrt(np.linalg.inv(white @ np.swapaxes(white, -1, -2))[..., 0, 0])[()]


def cmb_weights(bandpasses: Bandpasses, noise: WhiteNoise, model: SpectralModel) -> np.ndarray:
    """Weights of bands whose sum is the CMB where spectral parameters are known, see `cmb_noise`.

    Returns
    -------
    array (n_bands, 2 or 1, n_pixels or 1)
        The first row of (AᵀN⁻¹A)⁻¹AᵀN⁻¹.
    """
    white = _white_columns(bandpasses, noise, model)
    first = np.linalg.solve(white @ np.swapaxes(white, -1, -2), white)[..., 0, :]
    return beside_maps(np.moveaxis(first, -1, 0) / noise.sigma)


@jax.enable_x64(True)
def score_shares(bandpasses: Bandpasses, noise: WhiteNoise, model: SpectralModel) -> np.ndarray:
    """Shares of bands in the information on each spectral parameter, of unknown amplitudes.

    The score of β is a sum over bands of noise times P⊥ ∂A/∂β over the noise rms, at the parameters
    that the model starts from, with P⊥ the projector orthogonal to whitened columns of A (the
    gradient of `likelihood.expand`).

    Returns
    -------
    array (n_parameters, n_bands, ...)
        For every element of a band's `noise.sigma`, of sum 1 over bands. Pixels that no more bands
        see than there are columns tell nothing: their bands share alike.
    """
    nodes, weights = bandpasses.nodes, bandpasses.weights

    def column(one, start):
        return one.column(one.constants(nodes, weights), *start).sum(axis=-1)

    changes = [
        of_parameter
        for one in model.components
        if one.parameters
        for of_parameter in jax.jacfwd(partial(column, one))(one.start)
    ]
    white = np.moveaxis(noise.sigma[..., None], 0, -1)
    columns = _white_columns(bandpasses, noise, model)
    transposed = np.swapaxes(columns, -1, -2)
    enough = np.isfinite(white).sum(axis=-1, keepdims=True) > columns.shape[-2]
    inner = np.where(enough, columns @ transposed, np.eye(columns.shape[-2]))
    changes = np.reshape(changes, (-1, len(nodes))) / white
    left = changes - changes @ transposed @ np.linalg.solve(inner, columns)
    information = np.where(enough, left**2, 1.0)
    shares = information / information.sum(axis=-1, keepdims=True)
    return np.moveaxis(shares, (-2, -1), (0, 1))


def _white_columns(bandpasses, noise, model):
    """Columns of the CMB and components over the noise: (..., 1 + n_components, n_bands)."""
    bandpasses = Bandpasses.of(bandpasses)
    columns = [one.in_bands(bandpasses, *one.start) for one in model.components]
    columns = [np.ones(len(bandpasses)), *columns]
    return np.stack(columns) / np.moveaxis(noise.sigma[..., None], 0, -1)


def rms(levels) -> float:
    """Root mean square over pixels of a level (..., n_pixels), or of one for all."""
    return float(np.sqrt(np.mean(np.square(levels))))
