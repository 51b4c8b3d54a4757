"""The likelihood of r: its formula, its peak, its widths, and that it is unbiased."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, norm, truncnorm

from patchsep.inference.r_likelihood import (
    REstimate,
    estimate_r,
    log_likelihood,
    measure_r,
    residual_of_unknown_amplitude,
)

ELL = np.arange(2, 130)
F_SKY = 0.6
N_MODES = F_SKY * (2 * ELL + 1)
N_DRAWS = 400


@pytest.fixture(scope="module")
def tensor(spectra):
    return spectra["bb_tensor"].to_numpy()[ELL]


@pytest.fixture(scope="module")
def floor(spectra):
    """Lensing and a white statistical residual of 2 µK arcmin."""
    return spectra["bb_lensing"].to_numpy()[ELL] + np.radians(2 / 60) ** 2


def draw(rng, model, f_sky=F_SKY):
    """A masked spectrum: C_model times χ² over its f_sky (2 ell + 1) degrees of freedom."""
    n_modes = f_sky * (2 * ELL + 1)
    return model * rng.chisquare(n_modes) / n_modes


@pytest.fixture(scope="module")
def estimates(tensor, floor):
    """Estimates from as many draws, by the true r."""
    rng = np.random.default_rng(0)
    columns = ["r_hat", "sigma_minus", "sigma_plus"]

    def table(r):
        spectra = [draw(rng, r * tensor + floor) for _ in range(N_DRAWS)]
        found = [estimate_r(observed, tensor, floor, N_MODES) for observed in spectra]
        return pd.DataFrame(
            [[getattr(row, key) for key in columns] for row in found], None, columns
        )

    return {r: table(r) for r in (0.0, 3e-3)}


@pytest.fixture(scope="module")
def observed(tensor, floor):
    return draw(np.random.default_rng(5), 3e-3 * tensor + floor)


# The formula


def test_likelihood_is_the_published_sum(tensor, floor, observed):
    for r in (-1e-4, 0.0, 3e-3, 0.1):
        minus_two = 0.0
        for i, ell in enumerate(ELL):
            model = r * tensor[i] + floor[i]
            minus_two += F_SKY * (2 * ell + 1) * (observed[i] / model + np.log(model))
        found = log_likelihood(r, observed, tensor, floor, N_MODES)
        assert found == pytest.approx(-minus_two / 2, rel=1e-12)


def test_likelihood_is_the_gamma_distribution_of_a_spectrum(tensor, floor, observed):
    """Of f_sky (2 ell + 1) degrees of freedom, up to a constant free of r."""
    r = np.array([0.0, 1e-3, 3e-3, 1e-2])
    shape = F_SKY * (2 * ELL + 1) / 2
    model = r[:, None] * tensor + floor
    expected = gamma.logpdf(observed, shape, scale=model / shape).sum(axis=1)
    found = log_likelihood(r, observed, tensor, floor, N_MODES)
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=1e-9, atol=1e-7)


def test_likelihood_is_zero_where_the_model_is_not_positive(tensor, floor, observed):
    r = -2 * np.min(floor / tensor)
    assert log_likelihood(r, observed, tensor, floor, N_MODES) == -np.inf


# The estimate


@pytest.mark.parametrize("r", [0.0, 1e-4, 3e-3, 0.1, 3.0])
def test_peak_is_at_the_true_r_wherever_that_is(tensor, floor, r):
    estimate = estimate_r(r * tensor + floor, tensor, floor, N_MODES)
    assert estimate.r_hat == pytest.approx(r, abs=1e-4 * estimate.sigma_plus)
    assert estimate.r[0] < r < estimate.r[-1]
    assert estimate.likelihood.max() == pytest.approx(1)
    assert np.all(np.diff(estimate.r) > 0)


# The last draw has a low quadrupole, and with it a second, lower peak at the edge.
@pytest.mark.parametrize(
    "f_sky, r, seed", [*((0.6, 1e-3, seed) for seed in range(5)), (0.05, 0.01, 3)]
)
def test_peak_is_the_highest_point_of_a_grid(tensor, floor, f_sky, r, seed):
    observed = draw(np.random.default_rng(seed), r * tensor + floor, f_sky)
    n_modes = f_sky * (2 * ELL + 1)
    estimate = estimate_r(observed, tensor, floor, n_modes)
    grid = np.linspace(1e-6 - np.min(floor / tensor), 2 * r, 2000)
    highest = log_likelihood(grid, observed, tensor, floor, n_modes).max()
    assert log_likelihood(estimate.r_hat, observed, tensor, floor, n_modes) > highest - 1e-6


@pytest.mark.parametrize("r", [0.0, 3e-3])
def test_r_is_unbiased(estimates, r):
    r_hat = estimates[r]["r_hat"]
    assert abs(r_hat.mean() - r) < 3 * r_hat.sem()


def test_sigma_is_the_scatter_of_r_where_the_likelihood_is_nearly_symmetric(estimates):
    found = estimates[3e-3]
    sigma = found[["sigma_minus", "sigma_plus"]].to_numpy().mean()
    assert sigma / found["r_hat"].std() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("r", [0.0, 3e-3, 0.1])
def test_each_sigma_holds_68_percent_of_its_side_of_the_likelihood(tensor, floor, r):
    observed = draw(np.random.default_rng(1), r * tensor + floor)
    estimate = estimate_r(observed, tensor, floor, N_MODES)
    peak = log_likelihood(estimate.r_hat, observed, tensor, floor, N_MODES)

    def content(start, end):
        def likelihood(r):
            return np.exp(log_likelihood(r, observed, tensor, floor, N_MODES) - peak)

        return quad(likelihood, start, end, epsrel=1e-10, limit=500)[0]

    r_hat, width = estimate.r_hat, estimate.sigma_plus
    above = content(r_hat, r_hat + width) / content(r_hat, r_hat + 12 * width)
    assert above == pytest.approx(0.68, abs=1e-4)
    lowest = max(-np.min(floor / tensor), r_hat - 12 * estimate.sigma_minus)
    below = content(r_hat - estimate.sigma_minus, r_hat) / content(lowest, r_hat)
    assert below == pytest.approx(0.68, abs=1e-4)
    assert estimate.r_upper68 == r_hat + estimate.sigma_plus


def test_result_does_not_depend_on_the_grid(tensor, floor, observed):
    coarse = estimate_r(observed, tensor, floor, N_MODES)
    for settings in ({"n_points": 8001}, {"delta_chi2": 60.0}):
        fine = estimate_r(observed, tensor, floor, N_MODES, **settings)
        assert fine.r_hat == pytest.approx(coarse.r_hat, abs=1e-3 * coarse.sigma_plus)
        assert fine.sigma_plus == pytest.approx(coarse.sigma_plus, rel=1e-3)
        assert fine.sigma_minus == pytest.approx(coarse.sigma_minus, rel=1e-3)


@pytest.mark.parametrize("name", ["observed", "tensor", "floor"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_spectra_that_cannot_be_used_are_refused_by_name(tensor, floor, observed, name, value):
    spectra = {"observed": observed.copy(), "tensor": tensor.copy(), "floor": floor.copy()}
    spectra[name][10] = value
    with pytest.raises(ValueError, match=name):
        estimate_r(**spectra, n_modes=N_MODES)


# Intervals


def test_intervals_of_a_gaussian_likelihood_are_those_of_a_gaussian():
    r = np.linspace(-8, 8, 2001)
    estimate = REstimate(0.3, 1, 1, 0.3 + r, np.exp(-(r**2) / 2))
    for content in (0.68, 0.95):
        half = norm.ppf(0.5 + content / 2)
        assert estimate.interval(content) == pytest.approx((0.3 - half, 0.3 + half), abs=2e-3)
        truncated = truncnorm(-0.3, np.inf, loc=0.3)
        low, high = estimate.interval(content, lowest=0.0)
        assert truncated.cdf(high) - truncated.cdf(low) == pytest.approx(content, abs=1e-3)
        # The shortest: its ends are equally likely, or it starts where r does.
        assert low == 0 or truncated.pdf(low) == pytest.approx(truncated.pdf(high), rel=0.02)


def test_an_interval_above_all_likelihood_is_its_lowest_point():
    r = np.linspace(-3, -1, 101)
    assert REstimate(-2, 1, 1, r, np.exp(-((r + 2) ** 2) * 50)).interval(0.68, 0.0) == (0, 0)


def test_68_percent_intervals_hold_the_truth_in_68_percent_of_draws(tensor, floor):
    """Noise and CMB drawn from the likelihood's own model, without foregrounds."""
    rng, r, n_draws = np.random.default_rng(3), 3e-3, 400
    covered = 0
    for _ in range(n_draws):
        low, high = estimate_r(draw(rng, r * tensor + floor), tensor, floor, N_MODES).interval(0.68)
        covered += low <= r <= high
    assert covered == pytest.approx(0.68 * n_draws, abs=3 * np.sqrt(n_draws * 0.68 * 0.32))


# From residual spectra to r


@pytest.fixture
def theory(spectra, tensor):
    return pd.DataFrame(
        {
            "ell": ELL,
            "n_modes": N_MODES,
            "bb_lensing": spectra["bb_lensing"].to_numpy()[ELL],
            "bb_tensor": tensor,
            "sky_bb_tensor": tensor,
            "used": True,
        }
    )


STATISTICAL = np.full(len(ELL), np.radians(2 / 60) ** 2)


@pytest.mark.parametrize("r", [0.0, 3e-3])
def test_residuals_without_a_systematic_part_give_back_the_r_of_the_sky(theory, r):
    estimate = measure_r(STATISTICAL, STATISTICAL, theory, r)
    assert estimate.r_hat == pytest.approx(r, abs=1e-4 * estimate.sigma_plus)


def test_a_systematic_residual_that_looks_like_tensors_adds_to_r(theory, tensor):
    estimate = measure_r(STATISTICAL + 2e-3 * tensor, STATISTICAL, theory, 1e-3)
    assert estimate.r_hat == pytest.approx(3e-3, abs=1e-4 * estimate.sigma_plus)


def test_another_theory_than_the_skys_measures_another_r(theory):
    """One with twice the sky's tensor power finds half its r."""
    doubled = theory.assign(bb_tensor=2 * theory["bb_tensor"])
    estimate = measure_r(STATISTICAL, STATISTICAL, doubled, 3e-3)
    assert estimate.r_hat == pytest.approx(1.5e-3, abs=1e-4 * estimate.sigma_plus)


def test_bins_without_modes_are_left_out(theory):
    """Whatever stands in them: on a small sky it may be anything."""
    theory = theory.assign(used=ELL > 4)
    total = np.where(ELL > 4, STATISTICAL, -1.0)
    estimate = measure_r(total, total, theory, 3e-3)
    assert estimate.r_hat == pytest.approx(3e-3, abs=1e-4 * estimate.sigma_plus)


def test_spectra_of_no_bin_are_refused():
    nothing = np.array([])
    with pytest.raises(ValueError, match="use wider bins or a larger sky"):
        estimate_r(nothing, nothing, nothing, nothing)


# What foregrounds leave, with an amplitude that is roughly known


@pytest.fixture(scope="module")
def residual(floor):
    """A third of the floor at ell = 10, and steeper."""
    return floor[8] / 3 * (ELL / 10.0) ** -2.5


def test_a_known_amplitude_is_part_of_the_floor(tensor, floor, residual, observed):
    nuisance = residual_of_unknown_amplitude(floor, residual, 1e-9)
    one = estimate_r(observed, tensor, nuisance, N_MODES)
    other = estimate_r(observed, tensor, floor + residual, N_MODES)
    # Where a sum of a hundred is least, float64 tells to 1e-7 of its width at best.
    assert one.r_hat == pytest.approx(other.r_hat, abs=1e-5 * other.sigma_plus)
    assert one.sigma_plus == pytest.approx(other.sigma_plus, rel=1e-5)


def test_the_likelihood_is_averaged_over_the_amplitude(tensor, floor, residual, observed):
    """By adaptive quadrature over ln A."""
    scatter = 0.7
    found = estimate_r(
        observed, tensor, residual_of_unknown_amplitude(floor, residual, scatter), N_MODES
    )

    def likelihood(r):
        def integrand(x):
            ln = log_likelihood(r, observed, tensor, floor + np.exp(x) * residual, N_MODES)
            return np.exp(ln - peak) * norm.pdf(x, scale=scatter)

        return quad(integrand, -3 * scatter, 3 * scatter, epsabs=0)[0]

    peak = log_likelihood(found.r_hat, observed, tensor, floor + residual, N_MODES)
    at = np.array([found.r_hat + k * found.sigma_plus for k in (-0.5, 0, 1, 2)])
    expected = np.array([likelihood(r) for r in at]) / likelihood(found.r_hat)
    np.testing.assert_allclose(np.interp(at, found.r, found.likelihood), expected, rtol=5e-3)


def test_r_is_unbiased_where_the_amplitude_is_another(tensor, floor, residual):
    """With 1.5 of the expected residual; neglected, it pushes r up by several times as much."""
    rng = np.random.default_rng(8)
    model = 3e-3 * tensor + floor + 1.5 * residual
    observed = [draw(rng, model) for _ in range(100)]
    nuisance = residual_of_unknown_amplitude(floor, residual, 0.7)
    allowed, neglected = (
        [estimate_r(one, tensor, floors, N_MODES, n_points=101) for one in observed]
        for floors in (nuisance, floor)
    )
    bias = np.mean([one.r_hat for one in allowed]) - 3e-3
    sigma = np.mean([one.sigma_plus for one in allowed])
    assert abs(bias) < 0.3 * sigma
    assert np.mean([one.r_hat for one in neglected]) - 3e-3 > 3 * abs(bias)
