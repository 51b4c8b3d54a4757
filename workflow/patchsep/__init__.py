"""patchsep: parametric foreground cleaning of CMB polarization maps, from the sky to r.

The sub-packages follow the data, each knowing only those before it: `files` (how all are read and
written); the `sky`, the `instrument` and an `observation` of the one with the other; `separation`
of the components, whose spectral parameters may be `fields`; power `spectra` of what is left;
`inference` of r, and the selection of a configuration; the `analysis` of maps that are observed.
`studies` and `figures` stand beside the chain, and `running` is what Snakemake needs to know of it.
The docstring of each says what it takes and hands on.
"""

from importlib import import_module

# What notebooks use most, by the module that has it.
EXPORTED = {
    "Separation": ".separation.fit",
    "separate": ".separation.fit",
    "Observation": ".observation.observation",
    "clean": ".running.browse",
}
__all__ = [*EXPORTED]


def __getattr__(name):
    # Only then is JAX imported, which takes seconds and which few stages need.
    if name not in EXPORTED:
        raise AttributeError(f"module 'patchsep' has no attribute {name!r}")
    return getattr(import_module(EXPORTED[name], __name__), name)
