"""How complex the embedded sky is."""

from dataclasses import dataclass

# What complexity 2 has: as many dust layers as PySM's d12, the mean curvature of s3, and spinning
# dust that is polarized as a2's.
LAYERS, MEAN_CURVATURE, SPINNING_POLARIZATION = 6, -0.052, 0.02


@dataclass(frozen=True)
class Complexity:
    """How far a sky is from one modified black body and one power law with equal spectra.

    Attributes
    ----------
    scatter : float
        Of the spectral parameters over the sky, over that of published maps.
    layers : int
        Of dust along the line of sight, each with an equal part of the power and polarization
        angles of its own.
    layer_scatter : float
        Of dust's parameters between layers, over the published one over the sky: half of its
        variance is between their means, half in fields of their own.
    curvature : float
        Mean of the synchrotron's; it varies over the sky as much as published, for its size.
    spinning_dust : float
        Its polarized fraction, along the polarization of dust.
    """

    scatter: float = 1.0
    layers: int = 1
    layer_scatter: float = 0.0
    curvature: float = 0.0
    spinning_dust: float = 0.0

    @classmethod
    def of(cls, complexity: float = 1.0, **given) -> "Complexity":
        """By one number, but for what is given.

        0 has the same spectra everywhere (as PySM's d0s0), 1 those that vary over the sky (d1s1),
        and 2 layers, curvature and spinning dust as strong as the most complex skies in use
        (d12s7a2). In between and beyond, what grows does so in proportion.
        """
        beyond = max(complexity - 1, 0.0)
        by_number = {
            "scatter": min(complexity, 1.0),
            "layers": LAYERS if beyond else 1,
            "layer_scatter": beyond,
            "curvature": MEAN_CURVATURE * beyond,
            "spinning_dust": SPINNING_POLARIZATION * beyond,
        }
        return cls(**by_number | given)

    @property
    def unknown(self) -> tuple[str, ...]:
        """PySM's attributes of spectral parameters that such a sky has no one map of."""
        dust = ("mbb_index", "mbb_temperature") if self.layers > 1 else ()
        return dust if self.curvature else (*dust, "spectral_curvature")
