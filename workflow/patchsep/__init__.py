"""patchsep: parametric foreground cleaning of CMB polarization maps, from the sky to r.

The sub-packages follow the data, each knowing only those before it: `files` (how all are read and
written); the `sky`, the `instrument` and an `observation` of the one with the other; `separation`
of the components, whose spectral parameters may be `fields`; power `spectra` of what is left;
`inference` of r, and the selection of a configuration. `studies` and `figures` stand beside the
chain, and `running` is what Snakemake needs to know of it. The docstring of each says what it takes
and hands on.
"""

__all__ = ["Separation", "separate"]


def __getattr__(name):
    # Only then is JAX imported, which takes seconds and which few stages need.
    if name not in __all__:
        raise AttributeError(f"module 'patchsep' has no attribute {name!r}")
    from .separation import fit

    return getattr(fit, name)
