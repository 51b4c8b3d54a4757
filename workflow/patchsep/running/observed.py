"""Runs of observed maps: what is asked of their configuration, and the plan of their jobs."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from ..fields.prior import FIELDS
from ..observation.observed_files import band_files
from ..sky.regions import DUST_INTENSITY, cuts_of
from ..studies.exported import OBSERVABLE
from .plan import Plan
from .schema import all_of, as_list
from .shards import realization_shards

# Section of the maps, and those of simulated skies, which a run with them has not.
OBSERVATION = "observation"
SIMULATED = (
    *("foregrounds", "noise", "test_sets", "published"),
    *("selection", "search", "benchmark"),
)
# Keys of sections that are of simulated skies.
OF_SIMULATED = {
    "cmb": ("seed", "r"),
    "likelihood": ("foreground_residual", "statistical", "bootstrap", "r_grid"),
    "spectra": ("modes",),
}
# Of a run, if it does not say others: figures, mock skies, and those of a certificate's sky.
DRAWN = ["regions", "cleaned_maps", "bandpowers", "null_tests", "influence"]
N_MOCKS, N_OF_CERTIFICATE = 100, 20
# How spectra are measured of them: those of simulated skies may be of residuals, without E modes.
SPECTRA = {"estimator": "pure", "bin_width": 6, "pixel_weights": ["inverse_variance"]}


def is_observed(config: Mapping) -> bool:
    """Whether a configuration has maps to analyse, and simulates none."""
    return OBSERVATION in config


def needed_problems(config: Mapping) -> list[str]:
    """Sections that a configuration has not, or has and may not have.

    Parameters
    ----------
    config : mapping
        As it is given, without defaults.
    """
    if not is_observed(config):
        missing = [name for name in ("foregrounds", "cmb", "noise") if name not in config]
        cmb = config.get("cmb", {"seed"})
        # What is no section is a problem of another kind.
        if isinstance(cmb, Mapping) and "seed" not in cmb:
            missing.append("cmb.seed")
        return [f"{name}: missing; add this key" for name in missing]
    sections = {name: config.get(name, {}) for name in OF_SIMULATED}
    of_simulated = [name for name in SIMULATED if name in config]
    of_simulated += [
        f"{name}.{key}"
        for name, section in sections.items()
        if isinstance(section, Mapping)
        for key in OF_SIMULATED[name]
        if key in section
    ]
    return [
        f"{name}: of simulated skies, and observation has maps; remove one of the two keys"
        for name in of_simulated
    ]


def with_observed_defaults(config: Mapping) -> Mapping:
    """A configuration with what observed maps have where it does not say so."""
    if not is_observed(config):
        return config
    defaults = {
        "figures": {"drawn": DRAWN},
        "mocks": {"skies": N_MOCKS},
        "spectra": SPECTRA,
        "validation": {"mocks": N_OF_CERTIFICATE},
    }
    return config | {name: own | config.get(name, {}) for name, own in defaults.items()}


def observed_problems(settings: Mapping) -> list[str]:
    """What in complete settings does not go with observed maps."""
    methods = settings["methods"]
    problems = [
        f"methods.{name}.strategy: {method['strategy']} is for simulated skies; observed maps "
        f"are cleaned with {all_of(OBSERVABLE)}"
        for name, method in methods.items()
        if method["strategy"] not in OBSERVABLE
    ]
    if not any(method["strategy"] == FIELDS for method in methods.values()):
        problems.append(
            f"methods: none has the strategy {FIELDS}, with which mock skies of the observation "
            "are drawn; add one"
        )
    problems += [
        f"methods.{name}.nuisance: not for observed maps yet; remove this key"
        for name, method in methods.items()
        if method.get("nuisance")
    ]
    problems += [
        f"methods.{name}.maps.{parameter}: true is of simulated skies; give the path of a map"
        for name, method in methods.items()
        for parameter, path in method["maps"].items()
        if path in (True, "true")
    ]
    if len(weights := settings["spectra"]["pixel_weights"]) > 1:
        problems.append(
            f"spectra.pixel_weights: {', '.join(weights)}; observed maps are measured with one"
        )
    if len(theory := as_list(settings["likelihood"]["theory"])) > 1:
        problems.append(
            f"likelihood.theory: {', '.join(theory)}; r of observed maps is measured with one"
        )
    regions = settings["regions"]
    if regions["method"] == DUST_INTENSITY:
        problems.append(
            "regions.method: dust_intensity is that of a simulated sky; use sky_cuts or "
            "planck_masks"
        )
    problems += [
        f"regions.{key}.dust_fraction: of a simulated sky; use mask, hits or galactic_latitude"
        for key, cut in cuts_of(regions).items()
        if "dust_fraction" in cut
    ]
    return problems


def observed_files(settings: Mapping, labels: Sequence[str]) -> list[str]:
    """Files of observed maps and splits of bands; none of a run of simulated ones."""
    if not is_observed(settings):
        return []
    of_keys = band_files(settings[OBSERVATION], labels).values()
    return sorted({file.path for of_key in of_keys for file in of_key})


def plan_of(settings: Mapping) -> Plan:
    """The plan of a run, of simulated or of observed maps."""
    return ObservedPlan(settings) if is_observed(settings) else Plan(settings)


class ObservedPlan(Plan):
    """The plan of a run of observed maps: no skies are simulated, and nothing is selected."""

    is_observed = True
    tables = "summary.csv", "summary.txt", "provenance.json"
    sets, skies, gridded, galaxies = {}, {}, {}, {}

    @property
    def observed_maps(self) -> dict[str, str | list[str]]:
        """Maps as the analysis takes them: `maps`, and `splits` where there are any."""
        folder = f"{self.results}/maps/observed"
        splits = "splits" in self.settings[OBSERVATION]
        numbered = [f"{folder}_split_{number}.fits" for number in (1, 2)] if splits else []
        return {"maps": f"{folder}.fits", "splits": numbered}

    @cached_property
    def mock_shards(self) -> dict[str, list[int]]:
        """Mock skies of a job, by its name."""
        per_shard = self.settings["fit"]["realizations_per_shard"]
        return realization_shards(self.settings["mocks"]["skies"], per_shard)

    @cached_property
    def certificate_shards(self) -> dict[str, list[int]]:
        """Mock skies that are analysed as the observation is, of a job, by its name."""
        per_shard = self.settings["fit"]["realizations_per_shard"]
        return realization_shards(self.settings["validation"]["realizations"], per_shard)

    def patch_choices(self, wildcards) -> dict[str, list[str]]:
        """Configurations of patches in every region, of which one is selected; of fields none."""
        if wildcards.method in self.field_methods:
            return {}
        return {region: self.configurations(wildcards.method, region) for region in self.regions}

    @property
    def selecting_mocks(self) -> list[int]:
        """Numbers of mock skies by which patches are selected: none of the analysis itself."""
        mocks = self.settings["mocks"]
        return list(range(mocks["skies"], mocks["skies"] + mocks["realizations"]))

    def _patches(self, wildcards):
        """How the patches of a method are drawn, as `partitions.partition` has it."""
        seed = self.methods[wildcards.method]["seed"]
        return self.patch_options(wildcards) | {"seed": seed}

    @property
    def cleaning(self) -> dict:
        """Params of rules that clean maps with any method."""
        return {
            "patches": self._patches,
            "model": self.model_settings,
            "fit": self.fit,
        }

    @property
    def analysis(self) -> dict:
        """Params of r, as `analysis.Analysis` has them."""
        likelihood = self.settings["likelihood"]
        return {
            "pixel_weights": self.settings["spectra"]["pixel_weights"][0],
            **{key: likelihood[key] for key in ("amplitude_scatter", "multipole_ranges")},
        }

    def priors(self, wildcards) -> dict[str, str]:
        """Spectra of the fields of mock skies, and of the method; of patches the same."""
        folder = f"{self.results}/observed"
        method = (
            wildcards.method if wildcards.method in self.field_methods else self.field_methods[0]
        )
        return {
            "foregrounds": f"{folder}/{self.field_methods[0]}/priors.npz",
            "priors": f"{folder}/{method}/priors.npz",
        }

    def cleaning_files(self, wildcards) -> dict[str, str]:
        """What tells how a method cleans: `priors`, and of patches the selection among them."""
        selection = f"{self.results}/observed/{wildcards.method}/selection.csv"
        selected = {"selection": selection} if wildcards.method in self.patch_methods else {}
        return self.priors(wildcards) | selected

    def mock_files(self, wildcards) -> list[str]:
        """Cleaned mock skies of all jobs of a method."""
        folder = f"{self.results}/observed/{wildcards.method}/mocks"
        return [f"{folder}/{shard}.npz" for shard in self.mock_shards]

    @property
    def samples(self) -> list[str]:
        """Samples of the posterior of every method with fields, where they are asked for."""
        methods = self.field_methods if self.settings["fields"]["samples"] else []
        return [f"{self.results}/observed/{method}/samples.fits" for method in methods]
