"""r of a set: from all its skies, its error, and the rows that figures show."""

import numpy as np
import pandas as pd
import pytest

from patchsep.inference.sets import (
    LABEL,
    estimate_r_of_set,
    estimate_r_of_skies,
    headline_tables,
    mean_spectra,
)

ELL = np.arange(2, 130)
REGIONS = ["hi", "combined"]


@pytest.fixture(scope="module")
def tensor(spectra):
    return spectra["bb_tensor"].to_numpy()[ELL]


STATISTICAL = np.full(len(ELL), np.radians(2 / 60) ** 2)


def sky(rng, systematic, n_realizations=10):
    """Spectra of residuals with the scatter of 60 % of the sky."""
    n_modes = 0.6 * (2 * ELL + 1)
    scatter = rng.chisquare(n_modes, (n_realizations, len(ELL))) / n_modes
    statistical = STATISTICAL * scatter
    return pd.DataFrame(
        {
            "region": "combined",
            "configuration": "1-1-1",
            "pixel_weights": "uniform",
            "mode_fraction": 1.0,
            "f_sky": 0.6,
            "variance": 1.0,
            "n_patches_beta_dust": 3,
            "n_patches_temp_dust": 3,
            "n_patches_beta_synch": 3,
            "n_unconverged": 0,
            "n_unconverged_systematic": 1,
            "n_unconverged_mocks": 2,
            "n_at_bounds": 2,
            "total": list(statistical + systematic),
            "statistical": list(statistical),
            "systematic": [systematic] * n_realizations,
            "mock_residual": [systematic / 1.5] * n_realizations,
        }
    )


@pytest.fixture(scope="module")
def theory(spectra, tensor):
    return pd.DataFrame(
        {
            "ell": ELL,
            "n_modes": 0.6 * (2 * ELL + 1),
            "bb_lensing": spectra["bb_lensing"].to_numpy()[ELL],
            "bb_tensor": tensor,
            "sky_bb_tensor": tensor,
            "used": True,
        }
    )


@pytest.fixture
def estimated(theory, tensor):
    """r of `n_skies` skies whose systematic residual looks like tensors of r = 2e-3."""

    def run(seed=0, n_skies=4, excess=2e-3 * tensor, resamplings=50, bootstrap_seed=0, **kinds):
        rng = np.random.default_rng(seed)
        skies = [sky(rng, excess) for _ in range(n_skies)]
        return estimate_r_of_skies(skies, theory, 0.0, resamplings, bootstrap_seed, **kinds)

    return run


def test_r_is_that_of_the_residual_within_its_error(estimated):
    row, estimate, samples = estimated()
    assert row["r_hat"] == pytest.approx(2e-3, abs=4 * row["r_hat_error"])
    assert row["r_upper68"] == row["r_hat"] + row["sigma_r_plus"] == estimate.r_upper68
    assert samples.shape == (50, 3)
    assert row["n_skies"] == 4
    assert row["n_realizations"] == 40
    assert row["n_unconverged_systematic"] == 4
    assert row["n_unconverged_mocks"] == 8
    assert row["r68_low"] < row["r_hat"] < row["r68_high"]
    assert row["r95_low"] < row["r68_low"]


def test_what_mock_skies_leave_is_allowed_for(estimated):
    """They leave two thirds of what the sky does, and that is within what the amplitude may be."""
    left = 5 * STATISTICAL * (10 / ELL) ** 2
    neglected, _, _ = estimated(excess=left)
    marginalised = {"foreground_residual": "marginalised", "amplitude_scatter": 0.7}
    allowed, _, samples = estimated(excess=left, **marginalised)
    assert neglected["r_hat"] > neglected["sigma_r_plus"]
    assert abs(allowed["r_hat"]) < 0.5 * allowed["sigma_r_plus"]
    assert samples[:, 0].std() == pytest.approx(allowed["r_hat_error"], rel=0.05)


def test_fewer_modes_make_wider_likelihoods(theory, tensor):
    of_sky = sky(np.random.default_rng(0), 0 * tensor)
    wide, narrow = (
        estimate_r_of_skies([of_sky.assign(mode_fraction=modes)], theory, 0.0, 2, 0)[1]
        for modes in (0.25, 1)
    )
    assert wide.r_hat == pytest.approx(narrow.r_hat, abs=1e-7)
    shared = np.interp(narrow.r, wide.r, wide.likelihood)
    np.testing.assert_allclose(shared, narrow.likelihood**0.25, atol=1e-3)


def test_an_interval_with_r_above_zero_starts_there(estimated):
    row, _, _ = estimated(excess=np.zeros(len(ELL)))
    assert row["r68_low"] < 0 <= row["r68_physical_low"]
    assert row["r95_physical_high"] > row["r68_physical_high"] > 0


def test_the_bootstraps_error_is_the_scatter_of_independent_sets(estimated):
    rows = [estimated(seed=seed, resamplings=30)[0] for seed in range(25)]
    r_hat = np.array([row["r_hat"] for row in rows])
    error = np.mean([row["r_hat_error"] for row in rows])
    # So many sets know their scatter to 14 %.
    assert error / r_hat.std(ddof=1) == pytest.approx(1, abs=0.45)


def test_single_realizations_scatter_by_more_than_their_mean(estimated):
    row, _, _ = estimated()
    assert row["r_single_scatter"] > 3 * row["r_hat_error"]
    assert row["r_single_bias"] == pytest.approx(2e-3, abs=4 * row["r_single_scatter"] / 40**0.5)


def test_the_same_seed_draws_the_same_realizations_for_every_method(estimated):
    """So that ratios of methods have no scatter of the draw."""
    one, other = estimated(bootstrap_seed=1)[2], estimated(bootstrap_seed=1)[2]
    np.testing.assert_array_equal(one, other)
    assert np.any(estimated(bootstrap_seed=2)[2] != one)


def test_mean_spectra_are_those_of_all_skies(theory, tensor):
    rng = np.random.default_rng(0)
    skies = [sky(rng, tensor, n) for n in (3, 5)]
    mean = mean_spectra(pd.concat(skies), theory, 1e-3)
    everything = np.concatenate([np.stack(table["total"]) for table in skies])
    np.testing.assert_allclose(mean["total"], everything.mean(axis=0))
    assert list(mean["ell"]) == list(ELL)
    of_sky = theory["bb_lensing"] + 1e-3 * theory["sky_bb_tensor"]
    np.testing.assert_allclose(mean["observed"], of_sky + mean["total"])


def test_every_selected_configuration_has_every_kind_of_estimate(theory, tensor):
    """What two criteria select is estimated once, and a row of each."""
    rng = np.random.default_rng(0)
    of_region = sky(rng, 2e-3 * tensor)
    tables = [
        of_region.assign(region=region, configuration=name, pixel_weights=weights)
        for region, name in (("hi", "1-1-1"), ("combined", "1-1-1"))
        for weights in ("uniform", "inverse_variance")
    ]
    selected = pd.DataFrame(
        {"criterion": ["oracle", "mocks"], "region": "hi", "configuration": "1-1-1"}
    )
    found = estimate_r_of_set(
        [pd.concat(tables)],
        selected,
        {(name, region): theory for name in ("consistent", "published") for region in REGIONS},
        0.0,
        ["uniform", "inverse_variance"],
        ["neglected", "marginalised"],
        resamplings=3,
        seed=0,
        amplitude_scatter=0.7,
    )
    assert len(found.estimates) == 2 * len(REGIONS) * 2 * 2 * 2
    assert list(found.estimates["criterion"][:2]) == ["oracle", "mocks"]
    row, _, samples = estimate_r_of_skies([of_region], theory, 0.0, 3, 0, "marginalised", 0.7)
    marginalised = found.estimates["foreground_residual"] == "marginalised"
    assert found.estimates["r_hat"][marginalised].eq(row["r_hat"]).all()
    assert len(found.samples) == 3 * 16
    drawn = found.samples[found.samples["foreground_residual"] == "marginalised"]
    assert set(drawn["r_upper68"]) == set(samples[:, 2])
    assert found.curves.groupby(LABEL).ngroups == found.spectra.groupby(LABEL).ngroups == 16


def test_headlines_are_what_a_criterion_selects_with_the_first_weights_and_theory():
    kinds = {
        "pixel_weights": ["uniform", "uniform", "inverse_variance", "uniform"],
        "foreground_residual": "neglected",
        "theory": ["consistent", "consistent", "consistent", "published"],
    }
    figures = dict.fromkeys(("r_hat", "sigma_r_minus", "sigma_r_plus", "r_upper68"), 0.0)
    estimates = pd.DataFrame(
        {
            "criterion": ["oracle", "variance", "variance", "variance"],
            "region": "hi",
            "configuration": ["2-1-1", "3-1-1", "3-1-1", "3-1-1"],
            **kinds,
            **figures,
            "r_input": 0.0,
        }
    )
    table = estimates[["region", "configuration", *kinds]].assign(x=range(4))
    table = pd.concat([table, table.assign(region="low", x=-1)])
    rows = headline_tables("variance", {("unseen", "kmeans"): (estimates, table)})
    assert rows[["set", "method", "configuration", "x"]].to_numpy().tolist() == [
        ["unseen", "kmeans", "3-1-1", 1]
    ]
