"""An observation: frequency maps of one sky, and what is known of the bands that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..files.maps import read_polarization, read_resolution
from ..instrument.beam import Resolution
from ..instrument.instrument import read_instrument
from ..instrument.noise import WhiteNoise
from ..sky.regions import Regions, draw_regions
from ..sky.spectral_model import DUST_AND_SYNCHROTRON, SpectralModel
from .observed_maps import read_observed_maps
from .region_sky import ObservedRegion


@dataclass(frozen=True)
class Observation:
    """Frequency maps of one sky.

    Attributes
    ----------
    regions : list of ObservedRegion
    maps : array (n_bands, 2, n_pixels), µK_CMB
        Of the pixels of all regions, one region after the other.
    splits : array (2, n_bands, 2, n_pixels), or None
        Of independent noise, whose mean the maps are.
    resolution : Resolution, or None
        That the maps have been brought to.
    instrument : tuple of str
        Files that describe the bands, of maps that were `read`.
    """

    regions: list[ObservedRegion]
    maps: np.ndarray
    splits: np.ndarray | None = None
    resolution: Resolution | None = None
    instrument: tuple[str, ...] = ()

    @classmethod
    def of_files(cls, files: Mapping, model: SpectralModel) -> "Observation":
        """Read maps that are as the analysis needs them, see `observed_maps`; for a model's fit.

        `files` has the paths `instrument`, `regions`, `maps` and, where there are any, `splits`, a
        list of two.
        """
        resolution = read_resolution(files["maps"])
        return cls.of(
            read_polarization(files["maps"]),
            [read_polarization(path) for path in files.get("splits", [])],
            ObservedRegion.of_instrument(
                read_instrument(files["instrument"]),
                Regions.read(files["regions"]),
                Resolution.of(resolution),
                model,
            ),
            Resolution.of(resolution),
        )

    @classmethod
    def read(
        cls,
        settings: Mapping,
        instrument: str | Path | Sequence[str | Path],
        nside: int,
        regions: Mapping[str, np.ndarray] | None = None,
        resolution: Mapping[str, float] | None = None,
        model: SpectralModel = DUST_AND_SYNCHROTRON,
    ) -> "Observation":
        """Read maps as they are given, for a notebook.

        Parameters
        ----------
        settings : mapping
            As the section `observation` of a configuration: `maps`, `splits`, and what files do not
            say.
        instrument : str or Path, or several
            Description of the bands and their noise.
        nside : int
            That maps are brought to.
        regions : dict of str to bool array (12 nside²,), optional
            True where the sky is analysed, RING order, Galactic; without, one region, `sky`, of all
            that all bands observe.
        resolution : mapping, optional
            `fwhm` in arcmin and `high_pass`, as in a configuration.
        model : SpectralModel
            That will be fitted.

        Raises
        ------
        UnusableMap
            If maps cannot be used; the message says why, and the mend.
        """
        described, at = read_instrument(instrument), Resolution.of(resolution)
        observed = read_observed_maps(settings, described, nside, at)
        masks = regions or {"sky": observed.seen.all(axis=0)}
        drawn = draw_regions(np.stack(list(masks.values())), list(masks))
        found = cls.of(
            observed.maps,
            [] if observed.splits is None else observed.splits,
            ObservedRegion.of_instrument(described, drawn, at, model),
            at,
        )
        paths = [instrument] if isinstance(instrument, str | Path) else instrument
        return replace(found, instrument=tuple(map(str, paths)))

    @classmethod
    def of(
        cls,
        maps: np.ndarray,
        splits: Sequence[np.ndarray],
        regions: list[ObservedRegion],
        resolution: Resolution | None = None,
    ) -> "Observation":
        """Of maps (n_bands, 2, 12 nside²) of the whole sky, and two or no splits of them.

        Where a band's map is NaN it sees nothing, whatever is said of its noise.
        """

        def of_regions(values):
            pixels = np.concatenate([region.pixels for region in regions])
            return np.nan_to_num(values[..., pixels])

        return cls(
            _where_seen(regions, maps),
            of_regions(maps),
            np.stack(list(map(of_regions, splits))) if len(splits) else None,
            resolution,
        )

    @property
    def nside(self) -> int:
        return self.regions[0].nside

    @property
    def half_difference(self) -> np.ndarray | None:
        """Half of the splits' difference, noise alone: (n_bands, 2, n_pixels), or None."""
        return None if self.splits is None else (self.splits[0] - self.splits[1]) / 2


def _where_seen(regions: list[ObservedRegion], maps: np.ndarray) -> list[ObservedRegion]:
    """Regions with infinite noise where maps are NaN: by pixel in all of them, if in any."""
    seen = [np.isfinite(maps[..., region.pixels]).all(axis=1) for region in regions]
    if all(own.all() for own in seen):
        return regions

    def with_infinite_noise(region, own):
        sigma = region.noise.sigma
        if sigma.ndim == 1:
            sigma = sigma[:, None]
        own = own[:, None] if sigma.ndim == 3 else own
        return replace(region, noise=WhiteNoise(np.where(own, sigma, np.inf)))

    return list(map(with_infinite_noise, regions, seen))
