"""patchsep: sky patches for parametric foreground cleaning, from the sky to r.

The modules follow the data: `instrument`, `foregrounds`, `cmb` and `noise` make
the sky; `regions` and `patches` divide it; `spectral`, `newton` and `fit` clean it;
`residuals` and `likelihood` measure what is left and what it does to r;
`figures` and `tables` show it.
"""

__all__ = ["Separation", "separate"]


def __getattr__(name):
    # Only then is JAX imported, which takes seconds and which few stages need.
    if name not in __all__:
        raise AttributeError(f"module 'patchsep' has no attribute {name!r}")
    from . import fit

    return getattr(fit, name)
