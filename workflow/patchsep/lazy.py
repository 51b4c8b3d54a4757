"""Libraries that take about a second to import, imported where they are first used.

Snakemake imports this package before every command, and few jobs need all of it.
"""

from importlib import import_module
from types import ModuleType


class Lazy(ModuleType):
    """Stands for the module of its name, which is imported when something of it is asked for."""

    def __getattr__(self, name):
        return getattr(import_module(self.__name__), name)


jax = Lazy("jax")
jnp = Lazy("jax.numpy")
colors = Lazy("matplotlib.colors")
fits = Lazy("astropy.io.fits")
healpy = Lazy("healpy")
linalg = Lazy("scipy.linalg")
lines = Lazy("matplotlib.lines")
optimize = Lazy("scipy.optimize")
pyplot = Lazy("matplotlib.pyplot")
sacc = Lazy("sacc")
shapes = Lazy("matplotlib.patches")
spatial = Lazy("scipy.spatial")
special = Lazy("scipy.special")
stats = Lazy("scipy.stats")
ticker = Lazy("matplotlib.ticker")
