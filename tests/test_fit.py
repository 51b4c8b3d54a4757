"""Fits: known skies recovered, errors that are errors, bounds, bad input and bad luck."""

import healpy as hp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bright_fits import fit, noise
from scipy.optimize import minimize
from scipy.stats import chi2

from patchsep.instrument.noise import WhiteNoise
from patchsep.instrument.units import PLANCK_OVER_BOLTZMANN, rj_per_cmb
from patchsep.separation import fit as fit_module
from patchsep.separation.fit import parameter_maps
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

N_REALIZATIONS = 40
PARAMETERS = DUST_AND_SYNCHROTRON.names


@pytest.fixture(scope="module")
def noisy(bright_sky):
    return bright_sky.data + noise(bright_sky, N_REALIZATIONS)


@pytest.fixture(scope="module")
def fitted(bright_sky, noisy):
    return fit(bright_sky, noisy)


def as_vector(by_parameter):
    """Parameters of all patches, (..., n_unknowns), in the order of PARAMETERS."""
    return np.concatenate([by_parameter[name] for name in PARAMETERS], axis=-1)


def fisher_matrix(dense, sky):
    """Σ over pixels, Q and U of (P⊥ ∂(As)/∂i) · (P⊥ ∂(As)/∂j) at the truth, all unknowns."""
    counts = [len(sky.truth[name]) for name in PARAMETERS]
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    matrix = np.zeros((sum(counts), sum(counts)))
    for pixel, values in enumerate(sky.parameters.T):
        basis = np.linalg.qr(dense.white_mixing(*values))[0]
        change = np.stack(
            [dense.white_derivative(values, i) @ sky.maps[..., pixel] for i in range(3)]
        )
        change -= basis @ (basis.T @ change)
        unknowns = [
            offset + sky.patches[name][pixel]
            for offset, name in zip(offsets, PARAMETERS, strict=True)
        ]
        matrix[np.ix_(unknowns, unknowns)] += np.einsum("ibs,jbs->ij", change, change)
    return matrix


# What is recovered


def test_noiseless_sky_is_recovered(bright_sky):
    result = fit(bright_sky, bright_sky.data[None], tolerance=1e-3)
    assert result.converged.all()
    for name, truth in bright_sky.truth.items():
        np.testing.assert_allclose(result.parameters[name][0], truth, rtol=1e-4)
    np.testing.assert_allclose(result.cmb[0], bright_sky.maps[0], atol=0.01)


def test_parameters_scatter_about_the_truth_by_the_full_covariance(dense, bright_sky, fitted):
    """χ² of the recovered parameters, with a dense Fisher matrix, is χ²-distributed."""
    difference = as_vector(fitted.parameters) - as_vector(bright_sky.truth)
    fisher = fisher_matrix(dense, bright_sky)
    values = np.einsum("ri,ij,rj->r", difference, fisher, difference)
    n_unknowns = len(fisher)
    assert fitted.converged.all()
    expected, spread = chi2.stats(n_unknowns)
    assert abs(values.mean() - expected) < 3 * np.sqrt(spread / N_REALIZATIONS)
    # No single parameter is biased.
    pulls = difference.mean(axis=0) / np.sqrt(np.diag(np.linalg.inv(fisher)) / N_REALIZATIONS)
    assert np.sum(pulls**2) < chi2.ppf(0.999, n_unknowns)


@pytest.mark.parametrize("free", PARAMETERS)
def test_errors_are_the_scatter_of_a_parameter_with_all_others_fixed(dense, bright_sky, free):
    """The others have one value on this sky, to which their bounds hold them."""
    value = {"beta_dust": 1.54, "temp_dust": 20.0, "beta_synch": -3.0}
    values = {name: np.full(64, value[name]) for name in PARAMETERS}
    values[free] = bright_sky.truth[free][bright_sky.patches[free]]
    data = dense.sky(np.stack([values[name] for name in PARAMETERS]), bright_sky.maps)
    bounds = {
        name: limits if name == free else (value[name] - 1e-7, value[name] + 1e-7)
        for name, limits in bright_sky.model.bounds.items()
    }
    noisy = data + noise(bright_sky, N_REALIZATIONS)
    result = fit(bright_sky, noisy, model=bright_sky.model.with_limits(bounds, value))
    pulls = (result.parameters[free] - bright_sky.truth[free]) / result.errors[free]
    assert abs(pulls.mean()) < 3 / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < 3 / np.sqrt(2 * pulls.size)


def test_likelihood_of_the_fit_is_the_dense_misfit(dense, bright_sky, noisy, fitted):
    for realization in range(2):
        values = {name: array[realization] for name, array in fitted.parameters.items()}
        maps, misfit = dense.solve(parameter_maps(values, bright_sky.patches), noisy[realization])
        assert fitted.nll[realization] == pytest.approx(misfit, rel=1e-9)
        np.testing.assert_allclose(fitted.cmb[realization], maps[0], atol=1e-8)


def test_components_are_those_asked_for(bright_sky):
    result = fit(bright_sky, bright_sky.data[None], components=("synch", "cmb"), tolerance=1e-6)
    assert set(result.maps) == {"synch", "cmb"}
    for name, expected in (("synch", bright_sky.maps[2]), ("cmb", bright_sky.maps[0])):
        np.testing.assert_allclose(result.maps[name][0], expected, atol=1e-2)


# The minimum that is found


def scipy_minima(sky, data, patches, errors):
    """Lowest NLL of every realisation that SciPy's L-BFGS-B finds within the bounds.

    The unknowns are scaled by `errors` (n_realizations, n_unknowns).
    """
    counts = [labels.max() + 1 for labels in patches.values()]
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    labels = np.stack([patch + first for patch, first in zip(patches.values(), offsets)])
    kind = np.repeat(PARAMETERS, counts)
    lower, upper = np.array([sky.model.bounds[name] for name in kind]).T
    start = np.array([sky.model.start[name] for name in kind])
    sigma, nu = sky.noise.sigma[:, None], sky.bandpasses[:, None]
    dust, synch = sky.model.components
    photon, to_rj = PLANCK_OVER_BOLTZMANN * nu, rj_per_cmb(nu)

    def dust_sed(beta, temperature):
        thermal = jnp.expm1(photon / nu * dust.reference / temperature)
        power = (nu / dust.reference) ** (beta + 1)
        return power * thermal / jnp.expm1(photon / temperature) / to_rj

    def synch_sed(beta):
        return (nu / synch.reference) ** beta / to_rj

    @jax.enable_x64(True)
    @jax.jit
    @jax.value_and_grad
    def objective(scaled, unit, observation):
        beta_dust, temp_dust, beta_synch = (unit * scaled)[labels]
        cmb = jnp.ones_like(nu * beta_dust)
        seds = dust_sed(beta_dust, temp_dust), synch_sed(beta_synch)
        columns = jnp.stack([cmb, *seds]) / sigma
        white = observation / sigma[..., None]
        normal = jnp.einsum("ibp,jbp->pij", columns, columns)
        maps = jnp.linalg.solve(normal, jnp.einsum("ibp,bsp->pis", columns, white))
        return jnp.sum((white - jnp.einsum("ibp,pis->bsp", columns, maps)) ** 2) / 2

    def minimum(observation, unit):
        return minimize(
            lambda scaled: tuple(map(np.asarray, objective(scaled, unit, observation))),
            start / unit,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([lower, upper], axis=1) / unit[:, None],
            options={"maxiter": 5000, "maxfun": 20000, "ftol": 0, "gtol": 1e-6, "maxcor": 30},
        ).fun

    units = np.minimum(errors, (upper - lower) / 4)
    return [minimum(*arguments) for arguments in zip(data, units, strict=True)]


@pytest.mark.parametrize(
    "brightness, n_dust_patches",
    [
        pytest.param(1.0, 4, id="bright"),
        pytest.param(0.01, 4, id="faint"),
        pytest.param(0.01, 64, id="faint, per pixel"),
    ],
)
def test_no_fit_is_worse_than_scipys(bright_sky, brightness, n_dust_patches):
    patches = bright_sky.patches | {"beta_dust": np.arange(64) // (64 // n_dust_patches)}
    data = brightness * bright_sky.data + noise(bright_sky, 3)
    result = fit(bright_sky, data, patches=patches)
    best = scipy_minima(bright_sky, data, patches, as_vector(result.errors))
    assert result.converged.all()
    assert np.all(result.nll - best < 1e-3)


@pytest.mark.parametrize(
    "limits, outside",
    [((-7.0, -2.95), [False, False, True]), ((-3.1, -0.5), [True, False, False])],
    ids=["upper", "lower"],
)
def test_parameters_stay_within_bounds_and_are_counted_there(bright_sky, limits, outside):
    """One of beta_synch = -3.2, -3, -2.9 lies outside."""
    model = bright_sky.model.with_limits({"beta_synch": limits})
    result = fit(bright_sky, bright_sky.data[None], model=model)
    assert result.converged.all()
    for name, (lower, upper) in model.bounds.items():
        assert np.all((result.parameters[name] >= lower) & (result.parameters[name] <= upper))
    found = result.parameters["beta_synch"][0]
    distance = np.minimum(found - limits[0], limits[1] - found)
    assert (distance < 1e-3 * result.errors["beta_synch"][0]).tolist() == outside
    assert result.n_at_bounds.tolist() == [1]


def test_a_fit_that_is_cut_short_is_kept_and_marked(bright_sky, noisy, fitted):
    result = fit(bright_sky, noisy[:3], max_iterations=2)
    assert not result.converged.any()
    assert np.all(result.iterations <= 2)
    assert np.all(result.gradient > 0.01)
    assert np.isfinite(as_vector(result.parameters)).all()
    assert np.isfinite(result.cmb).all()
    assert fitted.converged.all()


def test_pulls_are_unit_normal(bright_sky, dense):
    """Of 200 realisations, per parameter, with marginal errors of the dense Fisher matrix."""
    n_realizations = 200
    result = fit(bright_sky, bright_sky.data + noise(bright_sky, n_realizations, seed=1))
    assert result.converged.all()
    errors = np.sqrt(np.diag(np.linalg.inv(fisher_matrix(dense, bright_sky))))
    pulls = (as_vector(result.parameters) - as_vector(bright_sky.truth)) / errors
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(n_realizations)
    assert np.abs(pulls.std(axis=0) - 1).max() < 4 / np.sqrt(2 * n_realizations)


@pytest.mark.parametrize("optimizer", fit_module.OPTIMIZERS)
def test_every_optimizer_ends_in_the_same_minimum(bright_sky, noisy, fitted, optimizer):
    if optimizer == "furax_active_set":
        pytest.importorskip("furax_cs", reason="needs furax-cs (envs/peers.txt)")
    result = fit(bright_sky, noisy[:2], optimizer=optimizer, max_iterations=5000)
    np.testing.assert_allclose(result.nll, fitted.nll[:2], atol=1e-3, rtol=0)
    assert np.all(result.gradient < 0.1)


# Input that cannot be fitted


def spoiled(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    "message, change",
    [
        ("data has shape", lambda sky: {"data": sky.data}),
        ("data has shape", lambda sky: {"data": sky.data[None, :, [0, 1, 1]]}),
        ("3 bands", lambda sky: {"data": sky.data[None, :3]}),
        ("sigma has shape", lambda sky: sigma(sky, lambda sigma: sigma[:-1])),
        *(
            ("sigma must be in µK_CMB, from 1e-09", lambda sky, bad=bad: sigma(sky, in_band_2(bad)))
            for bad in (0, -1, 1e-30, 1e30, np.inf, np.nan)
        ),
        ("bandpasses are", lambda sky: {"bandpasses": sky.bandpasses[:-1]}),
        *(
            (
                "frequencies must be in GHz, from 1 to 10000",
                lambda sky, bad=bad: {"bandpasses": spoiled(sky.bandpasses, 0, bad)},
            )
            for bad in (-1, 0, np.nan, np.inf, 40e3)
        ),
        # Hz, MHz, THz.
        *(
            ("must be in GHz", lambda sky, unit=unit: {"bandpasses": sky.bandpasses * unit})
            for unit in (1e9, 1e3, 1e-3)
        ),
        ("not finite in 1 pixels, the first 7", lambda sky: {"data": at_7(sky, np.nan)}),
        ("not finite in 1 pixels, the first 7: mask", lambda sky: {"data": at_7(sky, -np.inf)}),
        (
            "times the noise in 1 pixels, the first 7: mask what is UNSEEN",
            lambda sky: {"data": at_7(sky, hp.UNSEEN)},
        ),
        ("data is a masked array: cut", lambda sky: {"data": masked(sky.data[None])}),
        ("sigma is a masked array", lambda sky: sigma(sky, masked)),
        ("frequencies is a masked", lambda sky: {"bandpasses": masked(sky.bandpasses)}),
        ("patches of beta_synch is a masked", lambda sky: beta_synch(sky, masked)),
        ("patches are given for", lambda sky: {"patches": without(sky.patches, "temp_dust")}),
        ("patches are given for", lambda sky: {"patches": sky.patches | {"beta": 0}}),
        ("'cmbs' is not known", lambda sky: {"components": ["cmbs"]}),
        ("'lbfgs' is not known", lambda sky: {"optimizer": "lbfgs"}),
        ("beta_synch: int64 array", lambda sky: beta_synch(sky, lambda labels: labels[:-1])),
        ("beta_synch: float64 array", lambda sky: beta_synch(sky, lambda labels: labels * 1.0)),
        ("beta_synch: negative label -1", lambda sky: beta_synch(sky, lambda labels: labels - 1)),
    ],
)
def test_input_that_cannot_be_fitted_is_refused_by_name(bright_sky, message, change):
    with pytest.raises(ValueError, match=message):
        fit(bright_sky, **{"data": bright_sky.data[None]} | change(bright_sky))


def test_a_masked_array_without_masked_values_is_an_array(bright_sky, noisy, fitted):
    result = fit(bright_sky, np.ma.masked_invalid(noisy[:1]))
    np.testing.assert_allclose(result.nll, fitted.nll[:1], rtol=1e-9)


def test_what_is_not_finite_is_not_converged(bright_sky, noisy, monkeypatch):
    """However it came about: here the CMB of one of two realisations is lost on the way."""
    recover_maps = fit_module.recover_maps

    def lost(*arguments):
        recovery = recover_maps(*arguments)
        lost = [np.asarray(cmb).copy() for cmb in recovery.cmb]
        lost[1][0, 5] = np.nan
        return recovery._replace(cmb=tuple(lost))

    monkeypatch.setattr(fit_module, "recover_maps", lost)
    result = fit(bright_sky, noisy[:2], tolerance=1e-3)
    assert np.all(result.gradient < 1e-3)
    np.testing.assert_array_equal(result.converged, [False, True])


def at_7(sky, value):
    """Data with a value in pixel 7."""
    return spoiled(sky.data, (3, 1, 7), value)[None]


def in_band_2(value):
    return lambda sigma: spoiled(sigma, 2, value)


def masked(values):
    """The first value is masked."""
    return np.ma.masked_array(values, np.arange(values.size).reshape(values.shape) == 0)


def without(patches, name):
    return {key: labels for key, labels in patches.items() if key != name}


def sigma(sky, change):
    return {"noise": WhiteNoise(change(sky.noise.sigma))}


def beta_synch(sky, change):
    return {"patches": sky.patches | {"beta_synch": change(sky.patches["beta_synch"])}}
