"""Libraries that take about a second to import, imported where they are first used.

Snakemake imports this package before every command, and few jobs need all of it.
"""

from functools import cache
from importlib import import_module
from types import ModuleType


class Lazy(ModuleType):
    """Stands for the module of its name, which is imported when something of it is asked for."""

    def __getattr__(self, name):
        return getattr(import_module(self.__name__), name)


class LazyJax(Lazy):
    """jax.numpy in double precision, whichever module is the first to use it.

    Without, what a job computes would depend on whether it also imports the fits.
    """

    def __getattr__(self, name):
        _double_precision()
        return super().__getattr__(name)


@cache
def _double_precision():
    # Once: who switches it off afterwards is told by `separate`.
    import_module("jax").config.update("jax_enable_x64", True)


colors = Lazy("matplotlib.colors")
fits = Lazy("astropy.io.fits")
healpy = Lazy("healpy")
jnp = LazyJax("jax.numpy")
lines = Lazy("matplotlib.lines")
optimize = Lazy("scipy.optimize")
pyplot = Lazy("matplotlib.pyplot")
shapes = Lazy("matplotlib.patches")
spatial = Lazy("scipy.spatial")
special = Lazy("scipy.special")
stats = Lazy("scipy.stats")
ticker = Lazy("matplotlib.ticker")
