"""What must not matter to fits: order, numbers, units, batches, memory, and more sky elsewhere."""

import jax
import numpy as np
import pytest
from bright_fits import fit, noise

from patchsep.separation import batches, problem
from patchsep.separation import fit as fit_module
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

PARAMETERS = DUST_AND_SYNCHROTRON.names
# Fits to it agree in all but rounding, however they are computed.
TO_ROUNDING = 1e-7


@pytest.fixture(scope="module")
def noisy(bright_sky):
    return bright_sky.data + noise(bright_sky, 10)


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


@pytest.mark.parametrize("double", [False, True])
def test_fits_are_in_double_precision_whatever_jax_is_set_to(bright_sky, noisy, reference, double):
    """The minimum is not resolved in single: NLL differences of 1e-3 in 1e8."""
    with jax.enable_x64(double):
        result = fit(bright_sky, noisy[:1], tolerance=1e-3)
        assert jax.config.jax_enable_x64 is double
    assert result.cmb.dtype == result.nll.dtype == float
    np.testing.assert_array_equal(result.nll, reference.nll)
