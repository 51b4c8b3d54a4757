"""patchsep: sky patches for parametric foreground cleaning, from the sky to r.

The modules follow the data: `instrument`, `foregrounds` (with `parameter_fields`), `cmb`
and `noise` make the sky; `regions` and `patches` divide it; `spectral`, `newton` and `fit` clean
it; `spectra` and `residuals` measure what is left, over the whole `grid`, and `likelihood` what it
does to r; `rehearsal` makes skies like the observed one, with the help of which `choice` takes one
configuration per region, or `search` finds it; `trials` and `judging` say what it is worth on other
skies; `figures` and `tables` show it. `validation`, `known_patches` and `patch_classes` look where
the truth is known.
"""

import os

# A job's threads, which Snakemake tells in the one variable, and XLA reads from the other.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("NPROC", os.environ["OMP_NUM_THREADS"])

# PySM's loops run over frequencies, with NumPy inside. Numba would compile them anew in every
# process, which takes ten seconds, where all bands of a sky take half a second without it.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

__all__ = ["Separation", "separate"]


def __getattr__(name):
    # Only then is JAX imported, which takes seconds and which few stages need.
    if name not in __all__:
        raise AttributeError(f"module 'patchsep' has no attribute {name!r}")
    from .separation import fit

    return getattr(fit, name)
