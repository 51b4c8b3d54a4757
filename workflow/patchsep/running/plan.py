"""The plan of a run: its skies, sets and shards, and what every rule needs of them.

Files lie below the run's folder. A sky has a folder of its own below it, with the same layout: the
training sky, on which configurations are selected, has the run's folder itself, `""`; mock skies,
drawn from a model of its foregrounds, have `mocks/sky_<n>/`, and the skies of a test set
`test/<set>/sky_<n>/`. Methods that take `wildcards` are input functions and params of rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from ..fields.prior import FIELDS, kinds_of
from ..separation.ilc import ILC
from ..separation.partitions import configurations, values_of
from ..separation.patches import STRATEGIES
from ..sky.regions import COMBINED, area_of_regions, region_files
from ..sky.spectral_model import SpectralModel, spectral_model
from .checks import TRAINING
from .schema import read_yaml
from .shards import Shards, Sky


@dataclass(frozen=True)
class Plan(Shards):
    """The plan of a run, of `settings` that `load_settings` returned."""

    settings: Mapping
    is_observed = False
    # What a run ends with, below its folder `tables`.
    tables = (
        *("summary.csv", "summary.parquet", "configurations.csv"),
        *("selection.csv", "gains.csv", "summary.txt"),
    )

    @property
    def results(self) -> str:
        """Folder of the run."""
        return f"results/{self.settings['run']}"

    @cached_property
    def model(self) -> SpectralModel:
        """Components and their spectral parameters."""
        return spectral_model(**self.model_settings)

    @property
    def components(self) -> dict[str, dict]:
        """`model_settings` for rules that bounds and starts are nothing to."""
        return {"components": self.settings["components"]}

    @property
    def model_settings(self) -> dict[str, dict]:
        """What `spectral_model` takes."""
        return self.components | {key: self.settings["fit"][key] for key in ("bounds", "start")}

    @property
    def fit(self) -> dict:
        """How long a fit searches, and when it has converged."""
        return {key: self.settings["fit"][key] for key in ("max_iterations", "tolerance")}

    @property
    def spectra(self) -> dict:
        """How BB is estimated, as `Estimator.of` has it."""
        keys = ("estimator", "apodization", "bin_width")
        how = {key: self.settings["spectra"][key] for key in keys}
        return how | {"resolution": self.settings.get("resolution")}

    @cached_property
    def areas(self) -> dict[str, str]:
        """The ring or cut of the sky of every region, by the region's name."""
        return area_of_regions(self.settings["regions"])

    @property
    def regions(self) -> list[str]:
        """Names of the regions."""
        return list(self.areas)

    @property
    def methods(self) -> dict[str, dict]:
        return self.settings["methods"]

    @property
    def patch_methods(self) -> list[str]:
        """Methods that divide regions into patches; each has a grid of configurations."""
        return [name for name, one in self.methods.items() if one["strategy"] in STRATEGIES]

    @property
    def field_methods(self) -> list[str]:
        """Methods whose parameters are fields of the whole sky; there is nothing to select."""
        return [name for name, one in self.methods.items() if one["strategy"] == FIELDS]

    @property
    def ilc_methods(self) -> list[str]:
        """Methods that weigh bands and fit no spectral parameters; there is nothing to select."""
        return [name for name, one in self.methods.items() if one["strategy"] in ILC]

    @property
    def fitted_methods(self) -> list[str]:
        """Methods that fit spectral parameters, with which mock skies are drawn."""
        return [name for name in self.methods if name not in self.ilc_methods]

    @property
    def criteria(self) -> list[str]:
        """Criteria of selection; the first is that of summary and figures."""
        return self.settings["selection"]["criteria"]

    @property
    def theory(self) -> list[str]:
        """Theory spectra that r is measured with; the first are those of selection."""
        return self.settings["likelihood"]["theory"]

    # Skies and sets

    @cached_property
    def sets(self) -> dict[str, list[str]]:
        """Skies, by folder, of every set: the training sky, and the test sets."""
        tests = {
            name: [f"test/{name}/sky_{n}/" for n in range(len(one["cmb_seeds"]))]
            for name, one in self.settings["test_sets"].items()
        }
        return {TRAINING: [""]} | tests

    @cached_property
    def skies(self) -> dict[str, Sky]:
        """The training sky and all test skies, by folder."""
        cmb, noise = self.settings["cmb"], self.settings["noise"]
        skies = {"": Sky(noise["seed"], noise["realizations"], cmb["seed"], cmb["r"])}
        for name, one in self.settings["test_sets"].items():
            seeds = zip(one["noise_seeds"], one["cmb_seeds"], one["patch_seeds"], strict=True)
            for folder, (noise_seed, cmb_seed, patch_seed) in zip(self.sets[name], seeds):
                skies[folder] = Sky(noise_seed, one["realizations"], cmb_seed, one["r"], patch_seed)
        return skies

    @cached_property
    def mocks(self) -> list[str]:
        """Mock skies that the whole grid is fitted to, by folder, where selection needs them."""
        needed = "mocks" in self.criteria or self._selection_is_marginalised
        n_skies = self.settings["mocks"]["skies"] if needed else 0
        return [f"mocks/sky_{number}/" for number in range(n_skies)]

    @cached_property
    def gridded(self) -> dict[str, Sky]:
        """Skies that the whole grid is fitted to, by folder: training and mock skies."""
        mocks = self.settings["mocks"]
        return {"": self.skies[""]} | {
            folder: Sky(mocks["seed"] + number, mocks["realizations"])
            for number, folder in enumerate(self.mocks)
        }

    @cached_property
    def galaxies(self) -> dict[str, dict]:
        """Settings of simulated foregrounds, by folder: the skies of a test set share them."""
        galaxies = {"": self.settings["foregrounds"]}
        for name, one in self.settings["test_sets"].items():
            built = {"miscalibration": one["miscalibration"]} if "miscalibration" in one else {}
            if built or "foregrounds" in one:
                galaxies[f"test/{name}/"] = one.get("foregrounds", galaxies[""]) | built
        return galaxies

    def galaxy_of(self, sky: str) -> str:
        """Folder of the foregrounds of a sky: its set's, or that of the training sky."""
        galaxy = f"{Path(sky).parent}/" if sky else ""
        return galaxy if galaxy in self.galaxies else ""

    def r_input(self, name: str) -> float:
        """Tensor-to-scalar ratio of the skies of a set."""
        return self.skies[self.sets[name][0]].r

    @cached_property
    def estimated(self) -> list[tuple[str, str]]:
        """Every (set, method) whose r is estimated."""
        tests = self.settings["test_sets"]
        return [
            (name, method)
            for name in self.sets
            for method in (tests[name]["methods"] if name in tests else self.methods)
        ]

    @property
    def _selection_is_marginalised(self):
        return self.settings["likelihood"]["foreground_residual"][0] == "marginalised"

    @property
    def mocks_everywhere(self) -> bool:
        """Whether selected configurations are fitted to mock skies of every sky."""
        likelihood, spectra = self.settings["likelihood"], self.settings["spectra"]
        are_weighed = spectra["pixel_weights"] != ["uniform"]
        return are_weighed or "marginalised" in likelihood["foreground_residual"]

    # Configurations of patches

    def configurations(self, method: str, region: str) -> list[str]:
        """All configurations of a method in a region."""
        settings = self.methods[method]
        if method not in self.patch_methods:
            return [settings["strategy"]]
        return configurations(settings["patches"][self.areas[region]], settings["grid"])

    def has_choice(self, method: str, region: str) -> bool:
        return len(self.configurations(method, region)) > 1

    @cached_property
    def grid_methods(self) -> list[str]:
        """Methods that have several configurations in some region: all of these are fitted."""
        return [
            method
            for method in self.patch_methods
            if any(self.has_choice(method, region) for region in self.regions)
        ]

    def values(self, wildcards) -> dict[str, list[int]]:
        """Numbers of patches of every parameter that the configurations need."""
        names = self.configurations(wildcards.method, wildcards.region)
        return values_of(names, self.model.names)

    def patch_options(self, wildcards) -> dict:
        """How the patches of a method are drawn, as `partitions.partition` has it."""
        keys = ("strategy", "n_draws", "independent_patches")
        return {key: self.methods[wildcards.method][key] for key in keys}

    def patch_seed(self, wildcards) -> int:
        """Seed of the patches of a sky; on the training sky, that of the method."""
        seed = self.skies[wildcards.get("sky", "")].patch_seed
        return self.methods[wildcards.method]["seed"] if seed is None else seed

    # Maps that patches follow

    def _maps_from(self, method):
        strategy = self.methods[method]["strategy"]
        if strategy in STRATEGIES:
            return STRATEGIES[strategy].maps_from
        return "template" if self.methods[method]["maps"] else None

    def template_sources(self, wildcards) -> dict[str, str]:
        """Map files of a method's templates, by parameter; `true` is what the sky has."""
        true = f"{self.results}/{self.galaxy_of(wildcards.sky)}maps/spectral_parameters.fits"
        maps = self.methods[wildcards.method]["maps"]
        return {name: true if path == "true" else path for name, path in maps.items()}

    def template_options(self, wildcards) -> dict:
        """How a method's templates are prepared; errors are added to those that are true maps."""
        method = self.methods[wildcards.method]
        errors = {
            name: error
            for name, error in method["errors"].items()
            if method["maps"][name] == "true"
        }
        options = {key: method[key] for key in ("smoothing", "coherence")}
        return {"nside": self.settings["nside"], "errors": errors, **options}

    def templates(self, wildcards) -> dict[str, str]:
        """The maps of spectral parameters that the patches of a method follow on a sky."""
        method, sky = wildcards.method, wildcards.get("sky", "")
        source = {
            None: None,
            "template": f"{sky}maps/templates_{method}.fits",
            "recovered": f"{sky}maps/recovered_{self.methods[method]['recovered_by']}.fits",
            "true": f"{self.galaxy_of(sky)}maps/spectral_parameters.fits",
        }[self._maps_from(method)]
        return {"templates": f"{self.results}/{source}"} if source else {}

    # Fields

    def field_options(self, wildcards) -> dict:
        """How the parameters of a method vary, and what is known of the fields before any data."""
        method = self.methods[wildcards.method]
        return {
            "kinds": kinds_of(self.model, "resolution" in self.settings)
            | method.get("parameters", {}),
            "n_patches": method.get("n_patches", {}),
            "errors": method["errors"] if method["maps"] else {},
            "coherence": method["coherence"],
            "nuisance": method.get("nuisance", {}),
            **self.settings["fields"],
        }

    # Foreground models and mock skies

    def foreground_model(self, wildcards) -> dict[str, str]:
        """The foreground model of a sky, for mock skies like it."""
        path = f"{self.results}/{wildcards.sky}maps/foreground_model.fits"
        return {"foreground_model": path} if self.mocks_everywhere else {}

    def mock_options(self, wildcards) -> dict:
        """How mock skies are drawn for a method, as `mocks.mock_data` has it."""
        if not self.mocks_everywhere:
            return {}
        options = {key: self.settings["mocks"][key] for key in ("skies", "seed")}
        if self._maps_from(wildcards.method) == "template":
            method = self.methods[wildcards.method]
            options |= {key: method[key] for key in ("smoothing", "errors", "coherence")}
        return options

    def mock_estimates(self, wildcards) -> list[str]:
        """Estimates of r on mock skies, of a region where a method has a choice."""
        needed = wildcards.sky == "" and "mocks" in self.criteria
        if not (needed and self.has_choice(wildcards.method, wildcards.region)):
            return []
        return [self.r_of_grid(wildcards.method, wildcards.region, sky) for sky in self.mocks]

    def mock_spectra(self, wildcards) -> list[str]:
        """Residual spectra on all other mock skies, where a selection allows for them."""
        needed = self._selection_is_marginalised
        if not (needed and self.has_choice(wildcards.method, wildcards.region)):
            return []
        path = f"residuals/{wildcards.method}/{wildcards.region}_spectra.parquet"
        return [f"{self.results}/{sky}{path}" for sky in self.mocks if sky != wildcards.sky]

    def pixel_weights(self, wildcards) -> list[str]:
        """Weights of pixels that a method is measured with; uniform where it has no mock skies."""
        if wildcards.method in self.fitted_methods:
            return self.settings["spectra"]["pixel_weights"]
        return ["uniform"]

    def foreground_residual(self, wildcards) -> list[str]:
        """Treatments of what a method leaves; it is neglected where there are no mock skies."""
        if wildcards.method in self.fitted_methods:
            return self.settings["likelihood"]["foreground_residual"]
        return ["neglected"]

    # r

    def r_of_grid(self, method: str, region: str, sky: str = "") -> str:
        """Estimates of r of all configurations of a method in a region."""
        return f"{self.results}/{sky}r/configurations/{method}/{region}.csv"

    def contested_estimates(self, wildcards) -> list[str]:
        """Estimates of r in those regions where a method has a choice of configurations."""
        return [
            self.r_of_grid(wildcards.method, region)
            for region in self.regions
            if self.has_choice(wildcards.method, region)
        ]

    def cleaned_skies(self, wildcards) -> list[str]:
        """Spectra of all skies of a set."""
        return [
            f"{self.results}/{sky}residuals/{wildcards.method}_cleaned.parquet"
            for sky in self.sets[wildcards.set]
        ]

    def r_of_sets(self, pairs: list[tuple[str, str]], suffix: str) -> list[str]:
        """Files of r, or what goes with it, of every (set, method)."""
        return [f"{self.results}/r/sets/{name}/{method}{suffix}" for name, method in pairs]

    @cached_property
    def moment_tests(self) -> list[tuple[str, str, str]]:
        """Set, method with fields and file of the tests of the spectral model on all skies."""
        return [
            (name, method, f"{self.results}/{sky}fields/{method}_moments.csv")
            for name, method in self.estimated
            if method in self.field_methods
            for sky in self.sets[name]
        ]

    def theory_files(self) -> list[str]:
        """Binned theory spectra of all regions and of all of them together."""
        regions = [*self.regions, COMBINED]
        return [
            f"{self.results}/spectra/theory/{theory}/{region}.csv"
            for theory, region in product(self.theory, regions)
        ]

    @cached_property
    def truths(self) -> dict[str, list[int]]:
        """True numbers of known patches by name: "100-15-5" and the like."""
        truths = self.settings["validation"]["known_patches"]["truths"]
        return {"-".join(map(str, true)): true for true in truths}

    # Files from elsewhere

    def region_input(self) -> dict[str, str]:
        """What the regions are drawn from; of the foregrounds only where they need dust levels."""
        return region_files(self.settings["regions"], f"{self.results}/maps/dust_intensity.fits")

    def published(self) -> tuple[list[str], list[str]]:
        """Files of published numbers, and the tables of the run that have ours."""
        files = [self.settings["published"]] if self.settings["published"] else []
        tables = sorted({number["table"] for path in files for number in read_yaml(path)})
        return files, [f"{self.results}/{table}" for table in tables]
