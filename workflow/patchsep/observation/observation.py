"""An observation: frequency maps of one sky, and what is known of the bands that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..files.maps import read_polarization, read_resolution
from ..instrument.beam import Resolution
from ..instrument.instrument import read_instrument
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
            [_where_seen(region, maps) for region in regions],
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
            correlated = one.correlated_noise
            return replace(
                one,
                bandpasses=bandpasses,
                noise=replace(one.noise, sigma=others(one.noise.sigma)),
                correlated_noise=correlated and correlated.without_band(number),
            )

        return replace(
            self,
            regions=list(map(region, self.regions)),
            maps=others(self.maps),
            splits=None if self.splits is None else np.delete(self.splits, number, axis=1),
        )


def _where_seen(region: ObservedRegion, maps: np.ndarray) -> ObservedRegion:
    """The region with infinite noise where maps are NaN."""
    seen = np.isfinite(maps[..., region.pixels]).all(axis=1)
    if seen.all():
        return region
    sigma = region.noise.sigma
    if sigma.ndim == 1:
        sigma = sigma[:, None]
    seen = seen[:, None] if sigma.ndim == 3 else seen
    return replace(region, noise=replace(region.noise, sigma=np.where(seen, sigma, np.inf)))
