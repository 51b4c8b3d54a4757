"""Components of the sky: their spectra, and the spectral parameters of these."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..instrument.bandpass import Bandpasses, over_band
from ..instrument.units import PLANCK_OVER_BOLTZMANN, rj_per_cmb
from ..lazy import jax, jnp


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
        Attribute of PySM's components that has it, if any does.
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
    pysm: str = ""
    unit: str = ""
    inverse: bool = False

    def scattered(self, factor: float) -> "Parameter":
        """The same with another scatter, by a factor."""
        return replace(self, scatter=factor * self.scatter)

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
    whitened columns are in units of the noise rms. `brightness` and `constants` are computed by
    NumPy, `column` and `spectra` by JAX, within what it compiles. Kinds of components define the
    same with an underscore, of all their quantities: parameters, and what is fixed.

    Attributes
    ----------
    name : str
    reference : float
        Frequency in GHz at which its amplitude is given, in µK_RJ.
    parameters : tuple of Parameter
    fixed : tuple of (int, float)
        Places among the kind's quantities, in increasing order, and the values there, of those that
        are no parameters.
    kind : str
        Word of configurations for its spectrum.
    """

    name: str
    reference: float
    parameters: tuple[Parameter, ...]
    fixed: tuple[tuple[int, float], ...] = ()
    kind: str = ""

    @property
    def start(self) -> list[float]:
        """Where fits of its parameters start."""
        return [parameter.start for parameter in self.parameters]

    @property
    def numbers(self) -> tuple:
        """What its spectrum depends on beside its parameters."""
        return ()

    @abstractmethod
    def _brightness(self, frequency, *quantities):
        pass

    @abstractmethod
    def constants(self, frequency, unit) -> tuple:
        """What the column at nodes of bandpasses needs, arrays that broadcast with both arguments.

        Parameters
        ----------
        frequency : array (n_bands, n_nodes, ...), GHz
        unit : array (n_bands, n_nodes, ...)
            Weight of the node over the noise rms: the column of a brightness of 1 µK_RJ.
        """

    @abstractmethod
    def _column(self, constants, *quantities):
        pass

    @abstractmethod
    def _spectra(self, *quantities):
        pass

    def brightness(self, frequency, *parameters):
        """µK_RJ at `frequency` (GHz) per µK_RJ at the reference frequency; arguments broadcast."""
        return self._brightness(frequency, *self._quantities(parameters))

    def sed(self, frequency, *parameters):
        """µK_CMB at `frequency` (GHz) per µK_RJ at the reference frequency; arguments broadcast."""
        return self.brightness(frequency, *parameters) / rj_per_cmb(frequency)

    def in_band(self, nodes, weights, *parameters):
        """µK_CMB in a band per µK_RJ at the reference frequency.

        Parameters
        ----------
        nodes, weights : arrays (n_nodes,)
            Of one of `Bandpasses`.
        """
        return over_band(lambda nu: self.brightness(nu, *parameters), nodes, weights)

    def in_bands(self, bandpasses: Bandpasses, *parameters) -> np.ndarray:
        """`in_band` of all bands, array (n_bands, ...)."""
        bands = zip(bandpasses.nodes, bandpasses.weights, strict=True)
        return np.array([self.in_band(*band, *parameters) for band in bands])

    def column(self, constants, *parameters):
        """Whitened column; constants (..., 1) broadcast with parameters."""
        return self._column(constants, *self._quantities(parameters))

    def spectra(self, *parameters):
        """A function of one node's constants to its `Spectrum`."""
        spectrum = self._spectra(*self._quantities(parameters))
        if not self.fixed:
            return spectrum
        known = [place for place, _ in self.fixed]
        free = [place for place in range(len(parameters) + len(known)) if place not in known]

        def spectrum_of_parameters(constants):
            value, first, second = spectrum(constants)
            pairs = {(k, m): v for (k, m), v in second.items() if k in free and m in free}
            return Spectrum(
                value,
                [first[k] for k in free],
                {(free.index(k), free.index(m)): v for (k, m), v in pairs.items()},
            )

        return spectrum_of_parameters

    def _quantities(self, parameters):
        """Values of all quantities of the kind."""
        values = list(parameters)
        for place, value in self.fixed:
            values.insert(place, value)
        return values


def _expm1(u):
    return jnp.exp(u) - 1  # u is never small, and expm1 takes four times as long


class ModifiedBlackBody(Component):
    """A modified black body: thermal dust, of spectral index and temperature (K)."""

    @property
    def _photon(self):
        return PLANCK_OVER_BOLTZMANN * self.reference

    def _brightness(self, frequency, beta, temperature):
        x = PLANCK_OVER_BOLTZMANN * frequency / temperature
        reference = PLANCK_OVER_BOLTZMANN * self.reference / temperature
        power = (frequency / self.reference) ** (beta + 1)
        return power * np.expm1(reference) / np.expm1(x)

    def constants(self, frequency, unit):
        """hν / k in K, ln(ν / ν_ref), and the unit but for the power of ν / ν_ref."""
        return (
            PLANCK_OVER_BOLTZMANN * frequency,
            np.log(frequency / self.reference),
            unit * frequency / self.reference,
        )

    def _column(self, constants, beta, temperature):
        photon, slope, unit = constants
        thermal = _expm1(self._photon / temperature) / _expm1(photon / temperature)
        return unit * jnp.exp(beta * slope) * thermal

    def _spectra(self, beta, temperature):
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

    def _brightness(self, frequency, beta):
        return (frequency / self.reference) ** beta

    def constants(self, frequency, unit):
        """ln(ν / ν_ref), and the unit."""
        return np.log(frequency / self.reference), unit

    def _column(self, constants, beta):
        slope, unit = constants
        return unit * jnp.exp(beta * slope)

    def _spectra(self, beta):
        def spectrum(constants):
            slope, _ = constants
            value = self._column(constants, beta)
            return Spectrum(value, [value * slope], {(0, 0): value * slope**2})

        return spectrum


@dataclass(frozen=True, kw_only=True)
class Analytic(Component):
    """A component of any spectrum that is written with `jax.numpy`; JAX derives it.

    Attributes
    ----------
    function : callable
        Of frequency and reference in GHz and the quantities, elementwise: µK_RJ per µK_RJ at the
        reference.
    """

    function: Callable

    @property
    def numbers(self) -> tuple:
        return getattr(self.function, "numbers", ())

    def _brightness(self, frequency, *quantities):
        with jax.enable_x64(True):
            arguments = map(jnp.asarray, (frequency, self.reference, *quantities))
            return np.asarray(self.function(*arguments))

    def constants(self, frequency, unit):
        """The frequency, and the unit."""
        return frequency, unit

    def _column(self, constants, *quantities):
        frequency, unit = constants
        return unit * self.function(frequency, self.reference, *quantities)

    def _spectra(self, *quantities):
        quantities = [jnp.asarray(value, dtype=float) for value in quantities]
        n = len(quantities)

        def derived(function, k):
            """The derivative of a function by its k-th argument, elementwise."""
            tangents = tuple(jnp.full_like(q, k == m) for m, q in enumerate(quantities))
            return lambda *values: jax.jvp(function, values, tangents)[1]

        def spectrum(constants):
            def value(*values):
                return self._column(constants, *values)

            first = [derived(value, k) for k in range(n)]
            second = {
                (k, m): derived(first[k], m)(*quantities) for k in range(n) for m in range(k, n)
            }
            return Spectrum(value(*quantities), [one(*quantities) for one in first], second)

        return spectrum


def curved_power_law(frequency, reference, beta, curvature):
    """A power law whose index changes by the curvature for every e-fold of frequency.

    (ν / ν_ref)^(β + C ln(ν / ν_ref)), as in PySM's s3 (Kogut 2012, arXiv:1205.4041, eq. 2).
    """
    slope = jnp.log(frequency / reference)
    return jnp.exp((beta + curvature * slope) * slope)


def spinning_dust(frequency, reference, peak, width):
    """A flux that is log-normal in frequency: spinning dust, of peak frequency and width.

    S ∝ exp(-½ (ln(ν / ν_peak) / W)²) (Stevenson 2014, ApJ 781, 113), over ν² for brightness.
    """
    off, at = jnp.log(frequency / peak), jnp.log(reference / peak)
    return jnp.exp((at**2 - off**2) / (2 * width**2) - 2 * (off - at))


@dataclass(frozen=True)
class Tabulated:
    """A spectrum without parameters, of a table: linear between points in logarithms of both.

    Attributes
    ----------
    frequency : tuple of float, GHz
        In increasing order.
    brightness : tuple of float
        In µK_RJ, of any sky.
    """

    frequency: tuple[float, ...]
    brightness: tuple[float, ...]

    @classmethod
    def of(cls, frequency, brightness) -> "Tabulated":
        """Of sequences (n_points,).

        Raises
        ------
        ValueError
            If frequencies do not increase, or not all numbers are finite and above 0.
        """
        both = np.array([frequency, brightness], dtype=float)
        if not (np.isfinite(both).all() and np.all(both > 0) and np.all(np.diff(both[0]) > 0)):
            raise ValueError("its frequencies must increase, and all numbers be finite and above 0")
        return cls(*map(tuple, both.tolist()))

    @property
    def numbers(self) -> tuple:
        return self.frequency, self.brightness

    def __call__(self, frequency, reference):
        """Brightness over that at the reference."""
        logs = jnp.log(jnp.array(self.frequency)), jnp.log(jnp.array(self.brightness))
        there, here = (jnp.interp(jnp.log(nu), *logs) for nu in (frequency, reference))
        return jnp.exp(there - here)
