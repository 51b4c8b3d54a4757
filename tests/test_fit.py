"""Fits: known skies recovered, errors that are errors, bounds, bad input and bad luck."""

import healpy as hp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

from patchsep.instrument.noise import WhiteNoise
from patchsep.instrument.units import PLANCK_OVER_BOLTZMANN, rj_per_cmb
from patchsep.separation import batches, problem
from patchsep.separation import fit as fit_module
from patchsep.separation.fit import parameter_maps, separate
from patchsep.sky.spectral_model import (
    DUST_AND_SYNCHROTRON,
)

N_REALIZATIONS = 40
PARAMETERS = DUST_AND_SYNCHROTRON.names


# Fits to it agree in all but rounding, however they are computed.
TO_ROUNDING = 1e-7


def fit(sky, data, **changes):
    """`separate` with the settings of the sky and some `changes`."""
    names = ("noise", "bandpasses", "patches", "model")
    settings = {name: getattr(sky, name) for name in names}
    return separate(data, **settings | changes)


def noise(sky, n_realizations, seed=0):
    rng = np.random.default_rng(seed)
    return sky.noise.sigma[:, None, None] * rng.standard_normal((n_realizations, *sky.data.shape))


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


# What must not matter


def assert_same_fit(found, expected, errors):
    """Equal within the tolerance: a fiftieth of an error with all other parameters fixed."""
    np.testing.assert_allclose(found / errors, expected / errors, atol=0.02)


@pytest.fixture(scope="module")
def reference(bright_sky, noisy):
    return fit(bright_sky, noisy[:1], tolerance=1e-3)


def test_a_label_without_pixels_is_nan_and_changes_nothing_else(bright_sky, noisy, reference):
    """Label 2 of beta_dust is skipped, and the two last patches follow it."""
    labels = bright_sky.patches["beta_dust"]
    patches = bright_sky.patches | {"beta_dust": labels + (labels >= 2)}
    result = fit(bright_sky, noisy[:1], patches=patches, tolerance=1e-3)
    for table, expected in (
        (result.parameters, reference.parameters),
        (result.errors, reference.errors),
    ):
        beta_dust = table["beta_dust"][0]
        assert np.isnan(beta_dust).tolist() == [False, False, True, False, False]
        np.testing.assert_allclose(np.delete(beta_dust, 2), expected["beta_dust"][0], rtol=1e-6)
        np.testing.assert_allclose(table["temp_dust"], expected["temp_dust"], rtol=1e-6)
    assert result.nll[0] == pytest.approx(reference.nll[0], rel=1e-9)
    assert result.converged.all()


def test_a_patch_without_signal_keeps_the_start_and_holds_up_nothing(bright_sky):
    """The first patch of beta_dust is dark; the rest of the sky is fitted as ever."""
    data = np.where(bright_sky.patches["beta_dust"] == 0, 0.0, bright_sky.data)
    result = fit(bright_sky, data[None], tolerance=1e-3)
    beta_dust = result.parameters["beta_dust"][0]
    assert result.converged.all()
    assert beta_dust[0] == pytest.approx(bright_sky.model.start["beta_dust"])
    assert np.isinf(result.errors["beta_dust"][0, 0])
    np.testing.assert_allclose(beta_dust[1:], bright_sky.truth["beta_dust"][1:], rtol=1e-4)
    assert result.n_at_bounds.tolist() == [0]


def test_the_order_of_pixels_does_not_matter(bright_sky, noisy, reference):
    order = np.random.default_rng(0).permutation(64)
    patches = {name: labels[order] for name, labels in bright_sky.patches.items()}
    result = fit(bright_sky, noisy[:1][..., order], patches=patches, tolerance=1e-3)
    for name in PARAMETERS:
        assert_same_fit(result.parameters[name], reference.parameters[name], reference.errors[name])
    np.testing.assert_allclose(result.cmb[0], reference.cmb[0][:, order], atol=1e-3)


def test_the_numbering_of_patches_does_not_matter(bright_sky, noisy, reference):
    patches = {name: labels.max() - labels for name, labels in bright_sky.patches.items()}
    result = fit(bright_sky, noisy[:1], patches=patches, tolerance=1e-3)
    for name in PARAMETERS:
        found = result.parameters[name][:, ::-1]
        assert_same_fit(found, reference.parameters[name], reference.errors[name])
    np.testing.assert_allclose(result.cmb, reference.cmb, atol=1e-3)


def test_realizations_do_not_influence_each_other(bright_sky, noisy):
    """To the last bit among as many others; XLA may round one by itself differently."""
    beside = [fit(bright_sky, noisy[[5, *others]]).parameters for others in ((0, 1), (7, 8))]
    alone = fit(bright_sky, noisy[5:6], tolerance=TO_ROUNDING).parameters
    together = fit(bright_sky, noisy[:10], tolerance=TO_ROUNDING).parameters
    for name in PARAMETERS:
        np.testing.assert_array_equal(beside[0][name][0], beside[1][name][0])
        np.testing.assert_allclose(alone[name][0], together[name][5], rtol=1e-9)


@pytest.mark.parametrize("memory", [1e-6, 10.0], ids=["one by one", "all at once"])
def test_the_size_of_batches_does_not_matter(bright_sky, noisy, memory, monkeypatch):
    together = fit(bright_sky, noisy[:10], tolerance=TO_ROUNDING)
    monkeypatch.setattr(batches, "CELLS_IN_CACHE", 10**9)
    result = fit(bright_sky, noisy[:10], memory=memory, tolerance=TO_ROUNDING)
    for name in PARAMETERS:
        np.testing.assert_allclose(result.parameters[name], together.parameters[name], rtol=1e-9)


def test_the_parts_that_a_sky_is_computed_in_do_not_matter(bright_sky, noisy, monkeypatch):
    monkeypatch.setattr(problem, "WORTH_MERGING", 0)
    whole = fit(bright_sky, noisy[:2], tolerance=TO_ROUNDING)
    monkeypatch.setattr(problem, "PIXELS_IN_PART", 50)
    parts = fit(bright_sky, noisy[:2], tolerance=TO_ROUNDING)
    for name in PARAMETERS:
        np.testing.assert_allclose(parts.parameters[name], whole.parameters[name], rtol=1e-9)


def test_when_memory_runs_out_batches_are_halved(bright_sky, noisy, monkeypatch, caplog):
    sizes, enough = [], fit_module._fit
    together = fit(bright_sky, noisy[:10], tolerance=TO_ROUNDING)

    def fit_in_little_memory(data, *arguments):
        sizes.append(len(data))
        if len(data) > 3:
            raise MemoryError
        return enough(data, *arguments)

    monkeypatch.setattr(batches, "CELLS_IN_CACHE", 10**9)
    monkeypatch.setattr(fit_module, "_fit", fit_in_little_memory)
    result = fit(bright_sky, noisy[:10], tolerance=TO_ROUNDING)
    assert sizes == [10, 5, 3, 3, 3, 3]
    assert "out of memory: 3 realisations at once from here on" in caplog.text
    np.testing.assert_allclose(result.nll, together.nll, rtol=1e-12)


def test_one_fit_that_does_not_fit_in_memory_is_an_error(bright_sky, noisy, monkeypatch):
    def without_memory(*arguments):
        raise MemoryError

    monkeypatch.setattr(fit_module, "_fit", without_memory)
    with pytest.raises(MemoryError):
        fit(bright_sky, noisy[:2])


def test_units_do_not_matter(bright_sky, noisy, reference):
    """K instead of µK, in data and noise alike."""
    result = fit(bright_sky, 1e-6 * noisy[:1], noise=bright_sky.noise.scaled(1e-6), tolerance=1e-3)
    for name in PARAMETERS:
        assert_same_fit(result.parameters[name], reference.parameters[name], reference.errors[name])
    np.testing.assert_allclose(result.nll, reference.nll, rtol=1e-9)
    np.testing.assert_allclose(1e6 * result.cmb, reference.cmb, atol=1e-3)


def test_more_sky_elsewhere_does_not_matter(bright_sky, noisy, reference):
    """Five copies of the sky, each with patches of its own: other padding, other merging."""
    data = np.tile(noisy[:1], 5)
    patches = {
        name: np.concatenate([labels + i * (labels.max() + 1) for i in range(5)])
        for name, labels in bright_sky.patches.items()
    }
    result = fit(bright_sky, data, patches=patches, tolerance=1e-3)
    assert result.nll[0] == pytest.approx(5 * reference.nll[0], rel=1e-9)
    for name in PARAMETERS:
        for found in np.split(result.parameters[name], 5, axis=1):
            assert_same_fit(found, reference.parameters[name], reference.errors[name])


def test_merging_pixels_does_not_matter(bright_sky, noisy, reference, monkeypatch):
    """None merged, and all that can be."""
    for part in (0.0, 1.0):
        monkeypatch.setattr(problem, "WORTH_MERGING", part)
        result = fit(bright_sky, noisy[:1], tolerance=1e-3)
        for name in PARAMETERS:
            found = result.parameters[name]
            assert_same_fit(found, reference.parameters[name], reference.errors[name])
        np.testing.assert_allclose(result.nll, reference.nll, rtol=1e-9)


def test_components_are_those_asked_for(bright_sky):
    result = fit(bright_sky, bright_sky.data[None], components=("synch", "cmb"), tolerance=1e-6)
    assert set(result.maps) == {"synch", "cmb"}
    for name, expected in (("synch", bright_sky.maps[2]), ("cmb", bright_sky.maps[0])):
        np.testing.assert_allclose(result.maps[name][0], expected, atol=1e-2)


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


@pytest.mark.parametrize("double", [False, True])
def test_fits_are_in_double_precision_whatever_jax_is_set_to(bright_sky, noisy, reference, double):
    """The minimum is not resolved in single: NLL differences of 1e-3 in 1e8."""
    with jax.enable_x64(double):
        result = fit(bright_sky, noisy[:1], tolerance=1e-3)
        assert jax.config.jax_enable_x64 is double
    assert result.cmb.dtype == result.nll.dtype == float
    np.testing.assert_array_equal(result.nll, reference.nll)
