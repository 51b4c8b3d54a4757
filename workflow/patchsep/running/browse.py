"""Single configurations of a finished run, to look at from a notebook: maps, spectra and r."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..figures.maps import draw_map
from ..figures.selected import draw_likelihoods, draw_spectra, spectra_handles
from ..figures.style import FULL_WIDTH, colours_of, in_words, region_title, style
from ..files.tables import read_table
from ..inference.configurations import estimate_r_of_configuration
from ..inference.r_likelihood import beside_theory
from ..inference.skies import CleanedSky, clean_region
from ..observation.region_sky import RegionSky, observe
from ..separation.partitions import COUNT, read_partitions
from ..sky.regions import full_sky
from ..spectra.residuals import with_statistical
from .plan import Plan
from .settings import load_settings, read_yaml


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    settings : dict
        See `settings.load_settings`.
    folder : Path
        Its results.
    """

    settings: dict
    folder: Path

    @classmethod
    def open(cls, config: str | Path, results: str | Path = "results") -> "Run":
        """The run that a configuration file describes.

        Raises
        ------
        SettingsError
            If the file cannot be used; its paths are relative to the working directory.
        FileNotFoundError
            If it has not been run to its end.
        """
        settings = load_settings(read_yaml(config), str(config))
        folder = Path(results) / settings["run"]
        if not (folder / "tables" / "configurations.csv").is_file():
            raise FileNotFoundError(
                f"{folder} has no tables yet; run snakemake --configfile {config}"
            )
        return cls(settings, folder)

    @property
    def configurations(self) -> pd.DataFrame:
        """Every configuration, see `tables.configuration_table`; the lowest r_upper68 first."""
        table = read_table(self.folder / "tables" / "configurations.csv")
        return table.sort_values("r_upper68", ignore_index=True)

    def spectra(self, method: str, region: str, configuration: str) -> pd.DataFrame:
        """Residual BB of a configuration in one region, as `beside_theory` has it."""
        table = self._residuals(method, region)
        own = table[table["configuration"] == configuration].reset_index(drop=True)
        residuals = own[["total", "systematic", "statistical"]]
        return beside_theory(residuals, self._theory(region), self.settings["cmb"]["r"])

    def r(self, method: str, region: str, configuration: str) -> pd.DataFrame:
        """Likelihood of r of a configuration in one region, with r_hat and its widths.

        What is left of the foregrounds is neglected, whatever the tables do.
        """
        likelihood, r_input = self.settings["likelihood"], self.settings["cmb"]["r"]
        estimate = estimate_r_of_configuration(
            configuration,
            self._residuals(method, region),
            self._theory(region),
            r_input,
            mock_spectra=[],
            amplitude_scatter=likelihood["amplitude_scatter"],
            **likelihood["r_grid"],
        )
        curve = pd.DataFrame({"r": estimate.r, "likelihood": estimate.likelihood})
        return curve.assign(**estimate.headline, r_input=r_input)

    def clean(self, method: str, region: str, configuration: str, realization=0) -> CleanedSky:
        """Fit a configuration again to one noise realisation, for its maps."""
        maps, plan = self.folder / "maps", Plan(self.settings)
        files = {name: maps / f"{name}.fits" for name in ("regions", "foregrounds", "cmb")}
        files["instrument"] = self.settings["instrument"]
        sky = RegionSky.read(region, self.settings["noise"]["seed"], files)
        patches = self.folder / "patches" / method / f"{region}.fits"
        return clean_region(
            configuration,
            read_partitions(patches, sky.pixels),
            sky,
            [realization],
            observe(sky, [realization]),
            plan.model,
            memory=self.settings["fit"]["memory"],
            **plan.fit,
        )

    def _residuals(self, method, region):
        path = self.folder / "residuals" / method / f"{region}_spectra.parquet"
        return with_statistical(read_table(path), self.settings["likelihood"]["statistical"])

    def _theory(self, region):
        theory = self.settings["likelihood"]["theory"][0]
        return read_table(self.folder / "spectra" / "theory" / theory / f"{region}.csv")


def look_at(run: Run, method: str, region: str, configuration: str, realization=0) -> Figure:
    """Patches, recovered parameters, residual map, spectra and r of one configuration."""
    options = run.settings["figures"]
    cleaned = run.clean(method, region, configuration, realization)
    colours = colours_of([configuration])
    spectra, curve = (
        table.assign(series=configuration)
        for table in (
            run.spectra(method, region, configuration),
            run.r(method, region, configuration),
        )
    )

    def on_the_sky(values):
        return full_sky(np.asarray(values, float), cleaned.pixels, run.settings["nside"], np.nan)

    def bar(mesh, axis, label):
        figure.colorbar(mesh, ax=axis, location="bottom", label=label, shrink=0.8, extend="both")

    with style(options["font_size"]):
        figure = plt.figure(figsize=(1.4 * FULL_WIDTH, 1.2 * FULL_WIDTH), layout="constrained")
        places = figure.add_gridspec(3, 3)
        for column, parameter in enumerate(Plan(run.settings).model.parameters):
            axis = figure.add_subplot(places[0, column], projection=options["projection"])
            n_patches = cleaned.n_patches[f"{COUNT}{parameter.name}"]
            order = np.random.default_rng(0).permutation(n_patches)
            draw_map(axis, on_the_sky(order[cleaned.patches[column]]), cmap="viridis")
            axis.set_title(f"{n_patches} patches")
            axis = figure.add_subplot(places[1, column], projection=options["projection"])
            values = cleaned.parameters[column]
            low, high = np.percentile(values, [5, 95])
            mesh = draw_map(axis, on_the_sky(values), cmap="cividis", vmin=low, vmax=high)
            bar(mesh, axis, parameter.label)
        residual = (cleaned.recovered[0] - cleaned.cmb)[0]
        limit = np.percentile(np.abs(residual), 95)
        axis = figure.add_subplot(places[2, 0], projection=options["projection"])
        mesh = draw_map(axis, on_the_sky(residual), cmap="RdBu_r", vmin=-limit, vmax=limit)
        bar(mesh, axis, r"residual $Q$ [$\mu\mathrm{K}_\mathrm{CMB}$]")
        axis = figure.add_subplot(places[2, 1])
        kinds = ["total", "systematic", "statistical"]
        draw_spectra(axis, spectra, kinds, colours)
        axis.set_xlabel(r"Multipole $\ell$")
        axis.legend(handles=spectra_handles(kinds), fontsize="x-small")
        axis = figure.add_subplot(places[2, 2])
        draw_likelihoods(axis, curve, colours)
        axis.set_xlabel(r"$10^3\,r$")
        figure.suptitle(f"{in_words(method)} {configuration}, {region_title(region)}")
    return figure
