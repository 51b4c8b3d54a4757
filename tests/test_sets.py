"""r of a set: from all its skies, its error, and the rows that figures show."""

import numpy as np
import pandas as pd
import pytest

from patchsep.inference.sets import (
    LABEL,
    estimate_r_of_set,
    estimate_r_of_skies,
    headline,
    headline_tables,
    mean_spectra,
)
from patchsep.inference.tables import (
    configuration_table,
    gains_table,
    relative_to_first,
    selection_table,
    summary_table,
    summary_text,
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


# A method without mock skies has fewer kinds of rows than others.


@pytest.fixture(scope="module")
def with_and_without_mocks(theory, tensor):
    """`SetTables` of two methods by (set, method); of "blind" there is one kind of row."""

    def tables(configuration, weights, residuals, columns):
        of_sky = sky(np.random.default_rng(0), 2e-3 * tensor)[columns]
        of_sky = [
            of_sky.assign(region=region, configuration=configuration, pixel_weights=one)
            for region in REGIONS
            for one in weights
        ]
        return estimate_r_of_set(
            [pd.concat(of_sky)],
            pd.DataFrame({"criterion": ["oracle"], "region": "hi", "configuration": configuration}),
            {("consistent", region): theory for region in REGIONS},
            0.0,
            weights,
            residuals,
            resamplings=3,
            seed=0,
            amplitude_scatter=0.7,
        )

    columns = list(sky(np.random.default_rng(0), tensor))
    without = [name for name in columns if not name.startswith(("mock", "n_patches"))]
    weights, residuals = ["inverse_variance", "uniform"], ["marginalised", "neglected"]
    return {
        ("unseen", "kmeans"): tables("1-1-1", weights, residuals, columns),
        ("unseen", "blind"): tables("nilc", ["uniform"], ["neglected"], without),
    }


@pytest.fixture(params=[1, -1], ids=["fitted_first", "blind_first"])
def in_some_order(with_and_without_mocks, request):
    return dict(list(with_and_without_mocks.items())[:: request.param])


def test_a_method_without_mocks_is_in_the_summary_with_what_it_has(in_some_order):
    estimates = {key: tables.estimates for key, tables in in_some_order.items()}
    summary = summary_table(selection_table(estimates), "oracle")
    assert len(summary) == 2 * len(REGIONS)
    kinds = summary.set_index("method")[["pixel_weights", "foreground_residual"]]
    assert (kinds.loc["kmeans"] == ["inverse_variance", "marginalised"]).all(axis=None)
    assert (kinds.loc["blind"] == ["uniform", "neglected"]).all(axis=None)
    text = summary_text(summary, "run", "consistent", "figures")
    words = {
        "kmeans": "inverse_variance weights, foreground residual marginalised",
        "blind": "uniform weights, foreground residual neglected",
    }
    (_, first), (_, other) = in_some_order
    assert f"\n*: {words[other]}; without *: {words[first]}\n" in text
    assert text.count(f"\n{other}* ") == text.count(f"\n{first} ") == len(REGIONS)
    assert " - " in text and " 3/3/3 " in text


def test_a_summary_of_one_kind_marks_nothing(in_some_order):
    estimates = {key: headline("oracle", one.estimates) for key, one in in_some_order.items()}
    summary = selection_table(estimates).assign(pixel_weights="x", foreground_residual="x")
    assert "*" not in summary_text(summary, "run", "consistent", "figures")


def test_a_method_without_mocks_is_compared_with_the_same_rows_of_others(in_some_order):
    selection = selection_table({key: one.estimates for key, one in in_some_order.items()})
    samples = {key: one.samples for key, one in in_some_order.items()}
    gains = gains_table(selection, samples)
    assert len(gains) == len(REGIONS)
    assert (
        gains[["pixel_weights", "foreground_residual"]].eq(["uniform", "neglected"]).all(axis=None)
    )
    assert gains["ratio"].to_numpy() == pytest.approx(1)
    rows = selection[selection["region"] == "combined"]
    relative = relative_to_first(rows, samples)
    assert list(relative["method"]) == list(rows["method"])
    of_blind = relative[relative["method"] == "blind"]
    assert of_blind["ratio"].to_numpy() == pytest.approx([1])


def test_curves_of_a_method_without_mocks_are_those_of_its_own_first_kind(in_some_order):
    tables = {key: (one.estimates, one.curves) for key, one in in_some_order.items()}
    curves = headline_tables("oracle", tables)
    assert curves.groupby(["method", "region", *LABEL[2:]]).ngroups == 2 * len(REGIONS)


def test_without_a_grid_the_table_of_configurations_is_empty():
    table = configuration_table({})
    assert table.empty
    assert {"method", "region", "configuration", "r_hat"} <= set(table)
