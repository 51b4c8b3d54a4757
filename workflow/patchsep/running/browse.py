"""From a notebook: a finished run, its maps, spectra and r; and observed maps that are cleaned.

What a method recovers is read from its files; other configurations of a grid are fitted again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..analysis.analyse import Analysis
from ..analysis.certificate import Path as AnalysisPath
from ..analysis.cleaning import cleaner_of
from ..analysis.patch_selection import select_patches, selected_patches
from ..figures.maps import draw_map, shuffled
from ..figures.selected import draw_likelihoods, draw_spectra, spectra_handles
from ..figures.style import FULL_WIDTH, colours_of, in_words, region_title, style
from ..files.maps import read_maps
from ..files.tables import read_table
from ..inference.configurations import estimate_r_of_configuration
from ..inference.r_likelihood import beside_theory
from ..inference.sets import headline_tables
from ..observation.observation import Observation
from ..observation.region_sky import RegionSky, observe
from ..separation.partitions import read_partitions
from ..skies.cleaned_sky import clean_region, recovered_maps
from ..skies.foreground_fields import measure_foregrounds
from ..skies.whole_sky import WholeSky
from ..sky.cmb import cmb_spectra
from ..sky.regions import Regions, full_sky
from ..spectra.residuals import with_statistical
from .observed import ObservedPlan
from .plan import TRAINING, Plan
from .schema import read_yaml
from .settings import load_settings


@dataclass(frozen=True)
class Run:
    """A finished run.

    Methods take the name of a method and of a region, and that of a configuration of a grid;
    without it they tell of what the method selects, on the training sky.

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
        settings = load_settings(read_yaml(config), str(config), with_data=False)
        folder = Path(results) / settings["run"]
        if not (folder / "tables" / "summary.csv").is_file():
            raise FileNotFoundError(
                f"{folder} has no tables yet; run snakemake --configfile {config}"
            )
        return cls(settings, folder)

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.settings)

    @property
    def summary(self) -> pd.DataFrame:
        """r of every method, region and set, see `tables.summary_table`."""
        return read_table(self.folder / "tables" / "summary.csv")

    @property
    def configurations(self) -> pd.DataFrame:
        """All configurations of grids, `tables.configuration_table`; lowest r_upper68 first."""
        table = read_table(self.folder / "tables" / "configurations.csv")
        return table.sort_values("r_upper68", ignore_index=True)

    def spectra(self, method: str, region: str, configuration: str | None = None) -> pd.DataFrame:
        """Residual BB in one region, as `beside_theory` has it."""
        if configuration is None:
            return self._selected(method, region, "spectra")
        table = self._residuals(method, region)
        own = table[table["configuration"] == configuration].reset_index(drop=True)
        residuals = own[["total", "systematic", "statistical"]]
        return beside_theory(residuals, self._theory(region), self.settings["cmb"]["r"])

    def r(self, method: str, region: str, configuration: str | None = None) -> pd.DataFrame:
        """Likelihood of r in one region, with r_hat and its widths.

        Of a named configuration what is left of the foregrounds is neglected, whatever the tables
        do.
        """
        if configuration is None:
            return self._selected(method, region, "curves")
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

    def maps(
        self, method: str, region: str, configuration: str | None = None
    ) -> dict[str, np.ndarray]:
        """Maps (12 nside²,) of the first noise realisation by the names that files have for them.

        `CMB_Q`, `CMB_U`, what is left of foregrounds alone in `SYSTEMATIC_Q`, `SYSTEMATIC_U`, the
        true `TRUE_CMB_Q` and `TRUE_CMB_U`, spectral parameters and patches, where there are any.
        A named configuration is fitted again. NaN outside of the region.
        """
        folder = self.folder / "maps"
        true = {f"TRUE_{name}": values for name, values in read_maps(folder / "cmb.fits").items()}
        pixels = Regions.read(folder / "regions.fits").pixels(region)
        if configuration is None:
            found = read_maps(folder / f"recovered_{method}.fits")
        else:
            found = self._fitted_again(method, region, configuration)
        return {
            name: full_sky(values[pixels], pixels, self.nside, fill=np.nan)
            for name, values in (true | found).items()
        }

    @property
    def nside(self) -> int:
        return self.settings["nside"]

    def _fitted_again(self, method, region, configuration):
        maps = self.folder / "maps"
        files = {name: maps / f"{name}.fits" for name in ("regions", "foregrounds", "cmb")}
        files["instrument"] = self.settings["instrument"]
        sky = RegionSky.read(region, self.settings["noise"]["seed"], files, self.plan.model)
        patches = self.folder / "patches" / method / f"{region}.fits"
        cleaned = clean_region(
            configuration,
            read_partitions(patches, sky.pixels),
            sky,
            [0],
            observe(sky, [0]),
            self.plan.model,
            memory=self.settings["fit"]["memory"],
            **self.plan.fit,
        )
        return recovered_maps(cleaned, self.nside, self.plan.model)[0]

    def _selected(self, method, region, kind):
        """Rows of a table of the training sky, of what the first criterion selects."""
        path = self.folder / "r" / "sets" / TRAINING
        tables = read_table(path / f"{method}.csv"), read_table(path / f"{method}_{kind}.parquet")
        found = headline_tables(self.plan.criteria[0], {(TRAINING, method): tables})
        return found[found["region"] == region].reset_index(drop=True)

    def _residuals(self, method, region):
        path = self.folder / "residuals" / method / f"{region}_spectra.parquet"
        return with_statistical(read_table(path), self.settings["likelihood"]["statistical"])

    def _theory(self, region):
        theory = self.settings["likelihood"]["theory"][0]
        return read_table(self.folder / "spectra" / "theory" / theory / f"{region}.csv")


def look_at(run: Run, method: str, region: str, configuration: str | None = None) -> Figure:
    """Recovered parameters, patches, residual map, spectra and r of a method in a region.

    Parameters
    ----------
    run : Run
    method, region : str
    configuration : str, optional
        Of a grid; without it, the one that the method selects on the training sky.
    """
    label = configuration or method
    maps = run.maps(method, region, configuration)
    options, colours = run.settings["figures"], colours_of([label])
    spectra, curve = (
        table.assign(series=label)
        for table in (
            run.spectra(method, region, configuration),
            run.r(method, region, configuration),
        )
    )
    has_patches = any(name.startswith("PATCH_") for name in maps)

    def bar(mesh, axis, label):
        figure.colorbar(mesh, ax=axis, location="bottom", label=label, shrink=0.8, extend="both")

    with style(options["font_size"]):
        rows = 2 + has_patches
        size = 1.4 * FULL_WIDTH, 0.42 * rows * FULL_WIDTH
        figure = plt.figure(figsize=size, layout="constrained")
        places = figure.add_gridspec(rows, 3)

        def map_axis(row, column):
            return figure.add_subplot(places[row, column], projection=options["projection"])

        for column, parameter in enumerate(run.plan.model.parameters):
            name = parameter.name.upper()
            if name not in maps:
                continue
            axis, values = map_axis(0, column), maps[name]
            low, high = np.nanpercentile(values, [5, 95])
            mesh = draw_map(axis, values, cmap="cividis", vmin=low, vmax=high)
            bar(mesh, axis, parameter.label)
            if has_patches:
                axis, (patches, n_patches) = map_axis(1, column), shuffled(maps[f"PATCH_{name}"])
                draw_map(axis, patches, cmap="viridis")
                axis.set_title(f"{n_patches} patches")
        residual = maps["CMB_Q"] - maps["TRUE_CMB_Q"]
        limit = np.nanpercentile(np.abs(residual), 95)
        axis = map_axis(rows - 1, 0)
        mesh = draw_map(axis, residual, cmap="RdBu_r", vmin=-limit, vmax=limit)
        bar(mesh, axis, r"residual $Q$ [$\mu\mathrm{K}_\mathrm{CMB}$]")
        axis = figure.add_subplot(places[rows - 1, 1])
        kinds = ["total", "systematic", "statistical"]
        draw_spectra(axis, spectra, kinds, colours)
        axis.set_xlabel(r"Multipole $\ell$")
        axis.legend(handles=spectra_handles(kinds), fontsize="x-small")
        axis = figure.add_subplot(places[rows - 1, 2])
        draw_likelihoods(axis, curve, colours)
        axis.set_xlabel(r"$10^3\,r$")
        title = in_words(method) if configuration is None else f"{in_words(method)} {configuration}"
        figure.suptitle(f"{title}, {region_title(region)}")
    return figure


def clean(observation: Observation, method: Mapping | None = None, **sections) -> Analysis:
    """Clean observed maps and mock skies of them, and analyse what is left.

    Parameters
    ----------
    observation : Observation
    method : mapping, optional
        As an entry of `methods` in a configuration; without, fields. Patches have numbers for every
        region of the observation; of several, mock skies select one.
    sections :
        Other sections of a configuration, in its words, such as `mocks={"skies": 40}`,
        `spectra={"estimator": "pure", "bin_width": 6}` or `components`.

    Returns
    -------
    Analysis
        With `bandpowers`, `r_table()`, `curves()`, `null_tests()` and `influence()`.

    Raises
    ------
    SettingsError
        If a section cannot be used.
    """
    own = {"cleaned": dict(method)} if method else {}
    resolution = observation.resolution
    at = {"resolution": resolution.settings} if resolution else {}
    settings = load_settings(
        {
            "run": "notebook",
            "nside": observation.nside,
            "instrument": list(observation.instrument),
            "observation": {},
            "regions": {
                "method": "sky_cuts",
                "sky_cuts": {
                    one.region: {"galactic_latitude": [0, 90]} for one in observation.regions
                },
            },
            "methods": {"fields": {"strategy": "fields"}} | own,
        }
        | at
        | sections,
        "clean",
        with_data=False,
    )
    plan = ObservedPlan(settings)
    of_fields, asked = (SimpleNamespace(method=one) for one in ("fields", list(plan.methods)[-1]))
    choices, patches = plan.patch_choices(asked), plan.cleaning["patches"](asked)
    theory = cmb_spectra(settings["cmb"]["cosmology"], 3 * observation.nside - 1)
    analysis = {"spectra": plan.spectra, **plan.analysis}
    seed = settings["mocks"]["seed"]

    def cleaner(sky, measured):
        selection = select_patches(
            *(observation, sky, measured, choices, patches, theory, analysis),
            plan.selecting_mocks,
            seed,
            **plan.fit,
        )
        selected = selected_patches(selection)
        return cleaner_of(sky, measured.priors, selected, patches, **plan.fit)

    path = AnalysisPath(
        measure=partial(
            measure_foregrounds,
            options=plan.field_options(of_fields),
            templates={},
            seed=0,
            **plan.fit,
        ),
        cleaner=cleaner,
        theory=theory,
        analysis=analysis,
        n_mocks=settings["mocks"]["skies"],
    )
    sky = WholeSky(observation.regions, plan.model)
    return path.analyse(observation, sky, seed)
