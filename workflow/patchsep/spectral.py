"""The spectral likelihood: data = A(beta_dust, temp_dust, beta_synch) s + noise, per pixel.

A has one column each for the CMB (ones), dust (modified black body) and synchrotron
(power law), in µK_CMB per µK_CMB of CMB and per µK_RJ of foreground at its reference
frequency. Noise is white and diagonal in pixels, so everything here is closed form, pixel
by pixel. The likelihood is that of Stompor et al. 2009 (arXiv:0804.2645); equation numbers
are those of the first draft of arXiv:2604.08463.

Arrays have bands first and pixels last. Importing this module switches JAX to float64:
the minimum of the likelihood is not resolved in float32.
"""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

DUST_REFERENCE, SYNCH_REFERENCE = 160.0, 20.0  # GHz, arXiv:2604.08463
CMB_TEMPERATURE = 2.7255  # K, Fixsen 2009 (arXiv:0911.1955), as in astropy and PySM
PLANCK_OVER_BOLTZMANN = 6.62607015e-34 / 1.380649e-23 * 1e9  # K per GHz, exact in the SI


def rj_per_cmb(frequency):
    """µK_RJ per µK_CMB at `frequency` (GHz): x² eˣ / (eˣ - 1)², x = hν / kT_CMB."""
    x = PLANCK_OVER_BOLTZMANN * frequency / CMB_TEMPERATURE
    return x**2 * jnp.exp(x) / jnp.expm1(x) ** 2


def dust_sed(frequency, beta_dust, temp_dust):
    """Modified black body in µK_CMB per µK_RJ at 160 GHz; temp_dust in K, arguments broadcast."""
    x = PLANCK_OVER_BOLTZMANN * frequency / temp_dust
    reference = PLANCK_OVER_BOLTZMANN * DUST_REFERENCE / temp_dust
    power = (frequency / DUST_REFERENCE) ** (beta_dust + 1)
    return power * jnp.expm1(reference) / jnp.expm1(x) / rj_per_cmb(frequency)


def synch_sed(frequency, beta_synch):
    """Power law in µK_CMB per µK_RJ at 20 GHz; arguments broadcast."""
    return (frequency / SYNCH_REFERENCE) ** beta_synch / rj_per_cmb(frequency)


def whiten(data, sigma):
    """Data or columns of A over the noise rms, less what the CMB column explains.

    Parameters
    ----------
    data : array (n_bands, ...)
    sigma : array (n_bands,)

    Returns
    -------
    array (n_bands, ...)
        P⊥ N^(-1/2) data, with P⊥ the projector orthogonal to the whitened CMB column. That
        column does not depend on the parameters, so this is done to the data only once.
    """
    weight = (1 / sigma).reshape((-1,) + (1,) * (data.ndim - 1))
    cmb = weight / jnp.sqrt(jnp.sum(weight**2))
    white = weight * data
    return white - cmb * jnp.sum(cmb * white, axis=0)


def _foreground_columns(parameters, frequency, sigma):
    """Whitened dust and synchrotron columns, each (n_bands, n_pixels)."""
    beta_dust, temp_dust, beta_synch = parameters
    nu = frequency[:, None]
    dust = whiten(dust_sed(nu, beta_dust, temp_dust), sigma)
    synch = whiten(synch_sed(nu, beta_synch), sigma)
    return dust, synch


def _solve(dust, synch, dust_rhs, synch_rhs):
    """Solve the 2 × 2 normal equations of every pixel for (..., n_pixels) right-hand sides."""
    dd, ds, ss = (jnp.sum(a * b, axis=0) for a, b in ((dust, dust), (dust, synch), (synch, synch)))
    determinant = dd * ss - ds**2
    return (
        (ss * dust_rhs - ds * synch_rhs) / determinant,
        (dd * synch_rhs - ds * dust_rhs) / determinant,
    )


def _amplitudes(dust, synch, white_data):
    """Maximum-likelihood dust and synchrotron, each (2, n_pixels), of whitened data."""
    dust_rhs = jnp.sum(dust[:, None] * white_data, axis=0)
    synch_rhs = jnp.sum(synch[:, None] * white_data, axis=0)
    return _solve(dust, synch, dust_rhs, synch_rhs)


def negative_log_likelihood(parameters, white_data, frequency, sigma):
    """½ Σ ‖P⊥ y‖²: half the misfit left once the component maps are solved for.

    Parameters
    ----------
    parameters : array (3, n_pixels)
        beta_dust, temp_dust (K), beta_synch of every pixel.
    white_data : array (n_bands, 2, n_pixels)
        `whiten(data, sigma)`.
    frequency, sigma : arrays (n_bands,)
        GHz; µK_CMB per pixel.

    Returns
    -------
    float
        ½ dᵀN⁻¹d - ln L, with ln L of arXiv:2604.08463 eq. 5 (and its factor ½).
    """
    dust, synch = _foreground_columns(parameters, frequency, sigma)
    # The maps sit at their own minimum, so derivatives through them vanish (variable
    # projection, Golub & Pereyra 1973).
    s_dust, s_synch = jax.lax.stop_gradient(_amplitudes(dust, synch, white_data))
    residual = white_data - dust[:, None] * s_dust - synch[:, None] * s_synch
    return 0.5 * jnp.sum(residual**2)


def curvature(parameters, white_data, frequency, sigma):
    """Gauss-Newton curvature of the likelihood, pixel by pixel, along each parameter.

    Σ over Q, U of ‖P⊥ (∂A/∂β) ŝ‖²: variable projection's curvature without the terms that
    vanish with the residual (Golub & Pereyra 1973).

    Returns
    -------
    array (3, n_pixels)
    """
    dust, synch = _foreground_columns(parameters, frequency, sigma)
    s_dust, s_synch = _amplitudes(dust, synch, white_data)

    def orthogonal_norm(index, column):
        """‖P⊥ ∂(column)/∂(parameter)‖² of every pixel."""
        tangent = jnp.zeros_like(parameters).at[index].set(1.0)
        derivative = jax.jvp(
            lambda p: _foreground_columns(p, frequency, sigma)[column], (parameters,), (tangent,)
        )[1]
        on_dust, on_synch = _solve(
            dust, synch, jnp.sum(dust * derivative, axis=0), jnp.sum(synch * derivative, axis=0)
        )
        return jnp.sum((derivative - dust * on_dust - synch * on_synch) ** 2, axis=0)

    dust_power, synch_power = jnp.sum(s_dust**2, axis=0), jnp.sum(s_synch**2, axis=0)
    return jnp.stack(
        [
            orthogonal_norm(0, 0) * dust_power,
            orthogonal_norm(1, 0) * dust_power,
            orthogonal_norm(2, 1) * synch_power,
        ]
    )


@jax.jit
def component_maps(parameters, data, frequency, sigma):
    """Maximum-likelihood component maps ŝ = W(β) d (arXiv:2604.08463 eqs. 4, 7, 8).

    Parameters
    ----------
    parameters : array (3, n_pixels)
    data : array (n_bands, 2, n_pixels), µK_CMB
    frequency, sigma : arrays (n_bands,), GHz and µK_CMB per pixel

    Returns
    -------
    array (3, 2, n_pixels)
        CMB in µK_CMB, dust in µK_RJ at 160 GHz, synchrotron in µK_RJ at 20 GHz.
    """
    beta_dust, temp_dust, beta_synch = parameters
    white_columns = _foreground_columns(parameters, frequency, sigma)
    s_dust, s_synch = _amplitudes(*white_columns, whiten(data, sigma))
    nu = frequency[:, None, None]
    cleaned = (
        data - dust_sed(nu, beta_dust, temp_dust) * s_dust - synch_sed(nu, beta_synch) * s_synch
    )
    cmb = jnp.average(cleaned, axis=0, weights=1 / sigma**2)
    return jnp.stack([cmb, s_dust, s_synch])
