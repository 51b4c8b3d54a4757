"""The spectral model: the components of the sky beside the CMB, with their spectral parameters.

A parameter or a component more is described here and in `components`, and nowhere else: whatever
has a value, a patch, a column or a label per spectral parameter takes them from a `SpectralModel`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from .components import (
    Analytic,
    Component,
    ModifiedBlackBody,
    Parameter,
    PowerLaw,
    Tabulated,
    curved_power_law,
    spinning_dust,
)


@dataclass(frozen=True)
class SpectralModel:
    """The components of the sky beside the CMB.

    Attributes
    ----------
    components : tuple of Component
    """

    components: tuple[Component, ...]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of all components; arrays over parameters have this order."""
        return tuple(one for component in self.components for one in component.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def component_names(self) -> tuple[str, ...]:
        return tuple(component.name for component in self.components)

    @cached_property
    def owners(self) -> tuple[int, ...]:
        """Number of the component whose spectrum each parameter shapes."""
        return tuple(n for n, one in enumerate(self.components) for _ in one.parameters)

    @property
    def content(self) -> list[tuple]:
        """What the model is, in numbers and text, for fingerprints."""
        return [
            (one.kind, one.name, one.reference, *one.fixed, *one.numbers) for one in self.components
        ]

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        return {parameter.name: parameter.bounds for parameter in self.parameters}

    @property
    def start(self) -> dict[str, float]:
        return {parameter.name: parameter.start for parameter in self.parameters}

    def of_component(self, values):
        """Split a sequence over parameters into one per component."""
        values, split = list(values), []
        for component in self.components:
            n = len(component.parameters)
            split.append(values[:n])
            values = values[n:]
        return split

    def with_limits(
        self, bounds: Mapping | None = None, start: Mapping | None = None
    ) -> "SpectralModel":
        """The model with other bounds and starts, by name of the parameter."""
        bounds, start = self.bounds | dict(bounds or {}), self.start | dict(start or {})

        def with_own(parameter):
            name = parameter.name
            return replace(parameter, bounds=tuple(bounds[name]), start=start[name])

        return SpectralModel(
            tuple(
                replace(one, parameters=tuple(map(with_own, one.parameters)))
                for one in self.components
            )
        )


# Scatter and slope of C_ell of published maps are those of PySM's d1 and s1 maps on GAL060 (which
# go back to Planck 2015 X, arXiv:1502.01588, and Miville-Deschênes et al. 2008, arXiv:0802.3345);
# slopes of the two dust maps are fitted to ell = 4 … 100. s1's beta has no structure below
# 5°; its slope is what S-PASS suggests, -2.6 (arXiv:1802.01145). Reference frequencies, bounds and
# starts of dust and synchrotron are those of arXiv:2604.08463.
BETA_OF_DUST = Parameter(
    name="beta",
    symbol=r"\beta",
    bounds=(0.5, 3.0),
    start=1.54,
    reach=0.5,
    mean=1.54,
    mean_error=0.2,
    scatter=0.029,
    slope=-2.0,
    pysm="mbb_index",
)
TEMPERATURE = Parameter(
    name="temp",
    symbol="T",
    unit="K",
    bounds=(10.0, 40.0),
    start=20.0,
    reach=6.0,
    mean=22.1,
    mean_error=3.0,
    scatter=1.56,
    slope=-2.3,
    pysm="mbb_temperature",
    inverse=True,
)
BETA_OF_SYNCHROTRON = Parameter(
    name="beta",
    symbol=r"\beta",
    bounds=(-7.0, -0.5),
    start=-3.0,
    reach=0.6,
    mean=-3.0,
    mean_error=0.3,
    scatter=0.047,
    slope=-2.6,
    pysm="pl_index",
)
# The mean is that of PySM's s3, -0.052 (Kogut 2012, arXiv:1205.4041); of its scatter s7 has maps.
CURVATURE = Parameter(
    name="curvature",
    symbol="C",
    bounds=(-1.0, 1.0),
    start=0.0,
    reach=0.2,
    mean=-0.05,
    mean_error=0.1,
    scatter=0.05,
    slope=-2.6,
    pysm="spectral_curvature",
)
# Peaks and widths of the Galactic plane's sources (Poidevin et al. 2023, arXiv:2211.07594).
PEAK = Parameter(
    name="peak",
    symbol=r"\nu",
    unit="GHz",
    bounds=(10.0, 50.0),
    start=22.0,
    reach=5.0,
    mean=23.0,
    mean_error=5.0,
    scatter=2.0,
    slope=-2.6,
)
WIDTH = Parameter(
    name="width",
    symbol="W",
    bounds=(0.2, 1.2),
    start=0.55,
    reach=0.2,
    mean=0.55,
    mean_error=0.1,
    scatter=0.05,
    slope=-2.6,
)
# Electrons of 7000 K (Draine 2011, ch. 10; Planck 2015 X).
BETA_OF_FREE_FREE = replace(
    BETA_OF_SYNCHROTRON,
    bounds=(-2.4, -1.9),
    start=-2.13,
    reach=0.1,
    mean=-2.13,
    mean_error=0.02,
    scatter=0.01,
    pysm="",
)


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes
    ----------
    make : callable
        Of the attributes of `Component`.
    reference : float
        Reference frequency in GHz, if none is given.
    quantities : tuple of Parameter
        What its spectrum depends on; names and symbols are to be completed by the component's.
    """

    make: type[Component] | partial
    reference: float
    quantities: tuple[Parameter, ...]


SPECTRA = {
    "modified_black_body": Kind(ModifiedBlackBody, 160.0, (BETA_OF_DUST, TEMPERATURE)),
    "power_law": Kind(PowerLaw, 20.0, (BETA_OF_SYNCHROTRON,)),
    "curved_power_law": Kind(
        partial(Analytic, function=curved_power_law), 20.0, (BETA_OF_SYNCHROTRON, CURVATURE)
    ),
    "spinning_dust": Kind(partial(Analytic, function=spinning_dust), 30.0, (PEAK, WIDTH)),
    "free_free": Kind(PowerLaw, 30.0, (BETA_OF_FREE_FREE,)),
    "tabulated": Kind(Analytic, 100.0, ()),
}
# In figures; other components have their own name.
SHORT = {"dust": "d", "synch": "s"}


def component(
    name: str,
    spectrum: str,
    reference: float | None = None,
    fixed: Mapping[str, float] | None = None,
    table: Sequence[Sequence[float]] | None = None,
) -> Component:
    """A component of a kind of `SPECTRA`.

    Parameters
    ----------
    name : str
        Its parameters are called after it: `beta_dust`.
    spectrum : str
    reference : float, optional
        Frequency of its amplitude in GHz, if not that of its kind.
    fixed : dict, optional
        Values of parameters that are known, by name.
    table : frequencies in GHz and brightnesses in µK_RJ, optional
        The spectrum of a component that is `tabulated`.

    Raises
    ------
    ValueError
        If something is fixed that the spectrum does not depend on.
    """
    kind, fixed = SPECTRA[spectrum], dict(fixed or {})
    of_name = [
        replace(
            one,
            name=f"{one.name}_{name}",
            symbol=rf"${one.symbol}_\mathrm{{{SHORT.get(name, name)}}}$",
        )
        for one in kind.quantities
    ]
    if unknown := set(fixed) - {one.name for one in of_name}:
        known = ", ".join(one.name for one in of_name) or "nothing"
        raise ValueError(f"{spectrum} has no {', '.join(sorted(unknown))}, but {known}")
    places = tuple((k, fixed[one.name]) for k, one in enumerate(of_name) if one.name in fixed)
    return kind.make(
        name=name,
        reference=kind.reference if reference is None else reference,
        parameters=tuple(one for one in of_name if one.name not in fixed),
        fixed=places,
        kind=spectrum,
        **({"function": Tabulated.of(*table)} if table else {}),
    )


DUST_AND_SYNCHROTRON = SpectralModel(
    (component("dust", "modified_black_body"), component("synch", "power_law"))
)


def spectral_model(
    components: Mapping[str, Mapping],
    bounds: Mapping | None = None,
    start: Mapping | None = None,
) -> SpectralModel:
    """The model of a configuration.

    Parameters
    ----------
    components : dict
        By name, what `component` takes.
    bounds, start :
        See `SpectralModel.with_limits`.
    """
    made = tuple(component(name, **settings) for name, settings in components.items())
    return SpectralModel(made).with_limits(bounds, start)
