"""The spectral model: components of the sky, their spectral energy distributions and parameters.

A parameter or a component more is described here and nowhere else: whatever has a value, a patch,
a column or a label per spectral parameter takes them from a `SpectralModel`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..lazy import jnp

CMB_TEMPERATURE = 2.7255  # K, Fixsen 2009 (arXiv:0911.1955), as in astropy and PySM
PLANCK_OVER_BOLTZMANN = 6.62607015e-34 / 1.380649e-23 * 1e9  # K per GHz, exact in the SI


def rj_per_cmb(frequency):
    """µK_RJ per µK_CMB at `frequency` (GHz): x² eˣ / (eˣ - 1)², x = hν / kT_CMB."""
    x = PLANCK_OVER_BOLTZMANN * frequency / CMB_TEMPERATURE
    return x**2 * np.exp(x) / np.expm1(x) ** 2


@dataclass(frozen=True)
class Parameter:
    """A spectral parameter.

    Attributes
    ----------
    name : str
        In configurations, tables and, in capitals, map files.
    symbol, unit : str
        Symbol in TeX; `K`, or empty.
    bounds : tuple of two floats
        Interval in which fits look for it.
    start : float
        Where they start.
    reach : float
        Step over which the component's spectrum changes by a factor of two or so.
    mean, mean_error, scatter, slope : float
        Of published maps of it: their mean over the sky and how far it may be wrong, their rms on
        all scales, and the slope of C_ell.
    pysm : str
        Attribute of PySM's components that has it.
    inverse : bool
        Whether it is the inverse to which the component's spectrum answers linearly.
    """

    name: str
    symbol: str
    bounds: tuple[float, float]
    start: float
    reach: float
    mean: float
    mean_error: float
    scatter: float
    slope: float
    pysm: str
    unit: str = ""
    inverse: bool = False

    @property
    def label(self) -> str:
        """Symbol with its unit, for figures."""
        return f"{self.symbol} [{self.unit}]" if self.unit else self.symbol


class Spectrum(NamedTuple):
    """A component's whitened column in one band, and its derivatives: arrays (n_pixels,).

    Attributes
    ----------
    value : array
    first : list of arrays
        Along each parameter.
    second : dict of (int, int) to array
        Along pairs of parameters, by their numbers, where it is not zero.
    """

    value: object
    first: list
    second: dict


@dataclass(frozen=True)
class Component(ABC):
    """A component, and what the likelihood asks of it.

    Parameters of its methods are arrays (n_pixels,) or numbers, in the order of `parameters`;
    whitened columns are in units of the noise rms. `sed` and `constants` are computed by NumPy,
    `column` and `spectra` by JAX, within what it compiles.

    Attributes
    ----------
    name : str
    reference : float
        Frequency in GHz at which its amplitude is given, in µK_RJ.
    parameters : tuple of Parameter
    """

    name: str
    reference: float
    parameters: tuple[Parameter, ...]

    @abstractmethod
    def sed(self, frequency, *parameters):
        """µK_CMB at `frequency` (GHz) per µK_RJ at the reference frequency; arguments broadcast."""

    @abstractmethod
    def constants(self, frequency, unit) -> tuple:
        """What a band's column needs, arrays (n_bands,); `unit` is the noise rms per µK_RJ."""

    @abstractmethod
    def column(self, constants, *parameters):
        """Whitened column; constants (…, 1) broadcast with parameters."""

    @abstractmethod
    def spectra(self, *parameters):
        """A function of one band's constants to its `Spectrum`."""


def _expm1(u):
    return jnp.exp(u) - 1  # u is never small, and expm1 takes four times as long


class ModifiedBlackBody(Component):
    """A modified black body: thermal dust, of spectral index and temperature (K)."""

    @property
    def _photon(self):
        return PLANCK_OVER_BOLTZMANN * self.reference

    def sed(self, frequency, beta, temperature):
        x = PLANCK_OVER_BOLTZMANN * frequency / temperature
        reference = PLANCK_OVER_BOLTZMANN * self.reference / temperature
        power = (frequency / self.reference) ** (beta + 1)
        return power * np.expm1(reference) / np.expm1(x) / rj_per_cmb(frequency)

    def constants(self, frequency, unit):
        """hν / k in K, ln(ν / ν_ref), and the unit but for the power of ν / ν_ref."""
        return (
            PLANCK_OVER_BOLTZMANN * frequency,
            np.log(frequency / self.reference),
            unit * frequency / self.reference,
        )

    def column(self, constants, beta, temperature):
        photon, slope, unit = constants
        thermal = _expm1(self._photon / temperature) / _expm1(photon / temperature)
        return unit * jnp.exp(beta * slope) * thermal

    def spectra(self, beta, temperature):
        def log_expm1(photon):
            """ln(eᵘ - 1), u = hν / kT, as eᵘ - 1 and its first and second derivative by T."""
            u = photon / temperature
            power = _expm1(u)
            excess = 1 + 1 / power
            return (
                power,
                -u * excess / temperature,
                (2 * u * excess - u**2 * (excess - 1) * excess) / temperature**2,
            )

        reference = log_expm1(self._photon)

        def spectrum(constants):
            photon, slope, unit = constants
            thermal = log_expm1(photon)
            by_temp = reference[1] - thermal[1]
            value = unit * jnp.exp(beta * slope) * (reference[0] / thermal[0])
            first = [value * slope, value * by_temp]
            second = {
                (0, 0): value * slope**2,
                (0, 1): value * by_temp * slope,
                (1, 1): value * (by_temp**2 + reference[2] - thermal[2]),
            }
            return Spectrum(value, first, second)

        return spectrum


class PowerLaw(Component):
    """A power law: synchrotron, of one spectral index."""

    def sed(self, frequency, beta):
        return (frequency / self.reference) ** beta / rj_per_cmb(frequency)

    def constants(self, frequency, unit):
        """ln(ν / ν_ref), and the unit."""
        return np.log(frequency / self.reference), unit

    def column(self, constants, beta):
        slope, unit = constants
        return unit * jnp.exp(beta * slope)

    def spectra(self, beta):
        def spectrum(constants):
            slope, _ = constants
            value = self.column(constants, beta)
            return Spectrum(value, [value * slope], {(0, 0): value * slope**2})

        return spectrum


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
# slopes of the two dust maps are fitted to ell = 4 … 100. s1's beta_synch has no structure below
# 5°; its slope is what S-PASS suggests, -2.6 (arXiv:1802.01145). Reference frequencies, bounds and
# starts are those of arXiv:2604.08463.
DUST_AND_SYNCHROTRON = SpectralModel(
    (
        ModifiedBlackBody(
            name="dust",
            reference=160.0,
            parameters=(
                Parameter(
                    name="beta_dust",
                    symbol=r"$\beta_\mathrm{d}$",
                    bounds=(0.5, 3.0),
                    start=1.54,
                    reach=0.5,
                    mean=1.54,
                    mean_error=0.2,
                    scatter=0.029,
                    slope=-2.0,
                    pysm="mbb_index",
                ),
                Parameter(
                    name="temp_dust",
                    symbol=r"$T_\mathrm{d}$",
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
                ),
            ),
        ),
        PowerLaw(
            name="synch",
            reference=20.0,
            parameters=(
                Parameter(
                    name="beta_synch",
                    symbol=r"$\beta_\mathrm{s}$",
                    bounds=(-7.0, -0.5),
                    start=-3.0,
                    reach=0.6,
                    mean=-3.0,
                    mean_error=0.3,
                    scatter=0.047,
                    slope=-2.6,
                    pysm="pl_index",
                ),
            ),
        ),
    )
)
