"""jax.numpy in double precision, imported where it is first used."""

from functools import cache
from importlib import import_module

from ..lazy import Lazy


class DoublePrecision(Lazy):
    """jax.numpy, whichever module is the first to use it.

    Without, what a job computes would depend on whether it also imports the fits.
    """

    def __getattr__(self, name):
        _switch_on()
        return super().__getattr__(name)


@cache
def _switch_on():
    # Once: who switches it off afterwards is told by `separate`.
    import_module("jax").config.update("jax_enable_x64", True)


jnp = DoublePrecision("jax.numpy")
