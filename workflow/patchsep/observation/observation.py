"""An observation: frequency maps of one sky, and what is known of the bands that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..files.maps import read_polarization, read_resolution
from ..instrument.beam import Resolution
from ..instrument.instrument import read_instrument
from ..instrument.noise import WhiteNoise
from ..sky.regions import Regions
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
    """

    regions: list[ObservedRegion]
    maps: np.ndarray
    splits: np.ndarray | None = None
    resolution: Resolution | None = None

    @classmethod
    def of_files(cls, files: Mapping) -> "Observation":
        """Read maps that are as the analysis needs them, see `observed_maps`.

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
            ),
            Resolution.of(resolution),
        )

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

    def without_band(self, number: int) -> "Observation":
        """The observation of all bands but one."""

        def others(values):
            return np.delete(values, number, axis=0)

        def region(one):
            seen = one.bandpasses
            bandpasses = replace(
                seen,
                **{name: others(getattr(seen, name)) for name in ("centre", "nodes", "weights")},
                labels=tuple(others(np.array(seen.labels))),
            )
            noise, correlated = WhiteNoise(others(one.noise.sigma)), one.correlated_noise
            if correlated is not None:
                # All bands have a common factor, which may have been this one's.
                above_white = others(correlated.above_white)
                correlated = correlated.without_band(number)
                noise = noise.scaled(correlated.above_white / above_white)
            return replace(one, bandpasses=bandpasses, noise=noise, correlated_noise=correlated)

        return replace(
            self,
            regions=list(map(region, self.regions)),
            maps=others(self.maps),
            splits=None if self.splits is None else np.delete(self.splits, number, axis=1),
        )


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
