"""Libraries that take about a second to import, imported where they are first used.

Snakemake imports this package before every command, and few jobs need all of it.
"""

from importlib import import_module
from types import ModuleType


class Lazy(ModuleType):
    """Stands for the module of its name, which is imported when something of it is asked for."""

    def __getattr__(self, name):
        return getattr(import_module(self.__name__), name)


fits = Lazy("astropy.io.fits")
healpy = Lazy("healpy")
jnp = Lazy("jax.numpy")
optimize = Lazy("scipy.optimize")
spatial = Lazy("scipy.spatial")
