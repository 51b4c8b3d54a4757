"""Samples by perturbation are samples of the posterior: against NumPyro's NUTS of all of it."""

from types import SimpleNamespace

import healpy as hp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

from patchsep.fields.basis import Basis, Variation
from patchsep.fields.fit import curvature_of, maximize, recover_cmb, whitened
from patchsep.fields.prior import field_spectrum
from patchsep.fields.samples import posterior_samples
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.bands import Bands
from patchsep.separation.likelihood import expand
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

pytestmark = pytest.mark.usefixtures("double_precision")

MODEL = DUST_AND_SYNCHROTRON
MEANS = np.array([[1.54], [20.0], [-3.0]])
NSIDE, N_SAMPLES, N_STEPS = 8, 120, 1500
# beta_dust has in every pixel something of its own beside the field.
REMAINDER = 0.02
# What samples by perturbation may be off, though noise is small, as the likelihood is not quite
# that of a linear model: means in standard deviations, and widths relative to them.
OFF_MEAN, OFF_WIDTH = 0.10, 0.05
# Standard deviations of Monte Carlo errors that a pixel may be off.
ALLOWED = 4.5


@pytest.fixture(scope="module")
def problem(dense):
    """Two places of eight pixels each, a prior of three fields, and the maximum."""
    rng = np.random.default_rng(1)
    discs = [
        hp.query_disc(NSIDE, hp.ang2vec(*cap, lonlat=True), np.radians(20))[:8]
        for cap in ((20, 60), (200, -30))
    ]
    pixels = np.concatenate(discs)
    powers = [field_spectrum(NSIDE, scatter, -2.0)[:4] for scatter in (0.05, 1.5, 0.1)]
    basis = Basis(
        (
            Variation(1.54, offset=0.1, power=powers[0], remainder=REMAINDER),
            Variation(20.0, offset=1.0, power=powers[1]),
            Variation(-3.0, offset=0.1, power=powers[2]),
        ),
        pixels,
        NSIDE,
    )
    parameters = basis.means() + basis.maps(rng.standard_normal(basis.size))
    parameters[0] += REMAINDER * rng.standard_normal(len(pixels))
    turn = rng.uniform(0, 2 * np.pi, len(pixels))
    amplitude = np.array([1.0, 30.0, 300.0])[:, None, None]
    maps = amplitude * np.stack([np.cos(turn), np.sin(turn)])
    noise = WhiteNoise(dense.sigma)
    data = dense.sky(parameters, maps) + noise.draw(len(pixels), 2, 0, "sky")
    bands = Bands.of(dense.frequency, noise, MODEL)
    found = maximize(whitened(data, bands), bands, basis, tolerance=1e-6)
    return SimpleNamespace(basis=basis, data=data, noise=noise, bands=bands, found=found)


@pytest.fixture(scope="module")
def perturbed(problem):
    return posterior_samples(
        problem.data, problem.basis, problem.noise, problem.bands, problem.found, N_SAMPLES, seed=3
    )


@pytest.fixture(scope="module")
def sampled(problem):
    """Parameters and CMB of NUTS, and how many independent samples there are of each of them.

    The unknowns are the whitened coefficients and the pixels' own values, in units of the
    remainder; they are turned and stretched to what the curvature at the maximum says, which does
    not change the posterior. Amplitudes are at their maximum, as our likelihood has them, and
    those of the CMB scatter about it by what noise leaves.
    """
    basis, bands, n_pixels = problem.basis, problem.bands, len(problem.basis.pixels)
    white = whitened(problem.data, bands)
    of_fields = np.stack([basis.maps(one) for one in np.eye(basis.size)], axis=-1)
    of_pixels = np.zeros((3, n_pixels, n_pixels))
    of_pixels[0] = REMAINDER * np.eye(n_pixels)
    columns = np.concatenate([of_fields, of_pixels], axis=-1)
    own = np.asarray(problem.found.at.parameters) - MEANS - basis.maps(problem.found.coefficients)
    centre = np.concatenate([problem.found.coefficients, own[0] / REMAINDER])

    def nll(unknowns):
        parameters = MEANS + jnp.asarray(columns) @ unknowns
        return jnp.sum(expand(parameters, white, bands).value) + 0.5 * jnp.sum(unknowns**2)

    curvature = np.asarray(jax.jit(jax.hessian(nll))(centre))
    assert np.allclose(jax.jit(jax.grad(nll))(centre), 0, atol=1e-3 * np.sqrt(np.diag(curvature)))
    stretch = np.linalg.inv(np.linalg.cholesky(curvature)).T

    def potential(z):
        return nll(centre + jnp.asarray(stretch) @ z)

    sampler = MCMC(
        NUTS(potential_fn=potential), num_warmup=200, num_samples=N_STEPS, progress_bar=False
    )
    sampler.run(jax.random.key(4), init_params=jnp.zeros(len(centre)))
    z = np.asarray(sampler.get_samples())
    parameters = MEANS + np.einsum("kpc,cd,sd->skp", columns, stretch, z)
    parameters += np.einsum("kpc,c->kp", columns, centre)

    rng = np.random.default_rng(5)
    cmb = []
    for one in parameters:
        at = SimpleNamespace(at=SimpleNamespace(parameters=jnp.asarray(one)))
        cmb.append(np.stack(recover_cmb(at.at.parameters, problem.data, bands).cmb))
    cmb = np.stack(cmb)
    return parameters, cmb, rng


def conditional_noise(dense, parameters):
    """Noise rms (n_samples, n_pixels) of the CMB of known parameters."""
    matrix = dense.white_mixing(*np.moveaxis(parameters, 1, 0))
    return np.sqrt(np.linalg.inv(np.swapaxes(matrix, -1, -2) @ matrix)[..., 0, 0])


def differences(samples, chain):
    """Means off in standard deviations, logarithms of widths' ratios, and Monte Carlo errors."""
    independent = np.minimum(effective_sample_size(chain[None]), len(chain))
    width = chain.std(axis=0)
    mean = (samples.mean(axis=0) - chain.mean(axis=0)) / width
    error = np.sqrt(1 / len(samples) + 1 / independent)
    return mean, np.log(samples.std(axis=0, ddof=1) / width), error


def assert_agree(samples, chain, name):
    mean, width, error = differences(samples, chain)
    report = (
        f"{name}: means off by at most {np.abs(mean).max():.2f} sigma (Monte Carlo error "
        f"{error.max():.2f}), widths by {width.mean():+.1%} on average, {np.abs(width).max():.1%} "
        f"at most (Monte Carlo error {error.max() / np.sqrt(2):.1%})"
    )
    print(report)
    assert np.all(np.abs(mean) < ALLOWED * error + OFF_MEAN), report
    assert np.all(np.abs(width) < ALLOWED * error / np.sqrt(2) + OFF_WIDTH), report
    # On average over pixels the widths are better known, how much depends on correlations.
    assert abs(width.mean()) < ALLOWED * error.max() / np.sqrt(2) / np.sqrt(4) + OFF_WIDTH, report


def test_the_chain_has_converged(sampled):
    parameters = sampled[0]
    assert np.all(split_gelman_rubin(parameters[None]) < 1.02)
    assert np.all(effective_sample_size(parameters[None]) > 300)


@pytest.mark.parametrize("k", range(3), ids=MODEL.names)
def test_parameters_have_the_posteriors_means_and_widths(perturbed, sampled, k):
    parameters, _, converged = perturbed
    assert converged.all()
    assert_agree(parameters[:, k], sampled[0][:, k], MODEL.names[k])


def test_the_cmb_has_the_posteriors_means_and_widths(dense, perturbed, sampled):
    parameters, cmb, rng = sampled
    noise = conditional_noise(dense, parameters)[:, None]
    chain = cmb + noise * rng.standard_normal(cmb.shape)
    assert_agree(perturbed[1], chain, "CMB")
    # Parameters that are not known make the CMB less well known, and samples tell it.
    assert perturbed[1].std(axis=0).mean() > 1.05 * noise.mean()


def test_widths_of_parameters_are_those_of_the_curvature(problem, perturbed):
    """Of a linear model: (1 + SᵀHS)⁻¹ in maps, with what pixels' own values have eliminated."""
    basis, found = problem.basis, problem.found
    times = curvature_of(basis, np.asarray(found.at.curvature)[1])
    covariance = np.linalg.inv(np.stack([times(one) for one in np.eye(basis.size)]))
    columns = np.stack([basis.maps(one) for one in np.eye(basis.size)], axis=-1)
    for k in (1, 2):
        expected = np.sqrt(np.einsum("pc,cd,pd->p", columns[k], covariance, columns[k]))
        found_width = perturbed[0][:, k].std(axis=0, ddof=1)
        tolerance = ALLOWED / np.sqrt(2 * N_SAMPLES) + OFF_WIDTH
        assert np.all(np.abs(np.log(found_width / expected)) < tolerance)


def test_samples_are_the_same_twice_and_any_number_can_be_drawn(problem, perturbed):
    few = posterior_samples(
        problem.data, problem.basis, problem.noise, problem.bands, problem.found, 3, seed=3
    )
    for one, first in zip(few, perturbed, strict=True):
        np.testing.assert_array_equal(one, first[:3])
