"""The benchmark's tables: every optimiser on the same data, with the machine."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from refusals import config_with

from patchsep.figures.validation import plot_nside_costs
from patchsep.instrument.bandpass import Bandpasses
from patchsep.observation.region_sky import RegionSky
from patchsep.running.settings import load_settings
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.studies.benchmark import machine, time_fits, trace_fits
from patchsep.studies.nside_costs import SKY_FRACTION, cost_at_nside

OPTIMIZERS = {
    "newton": {"n_realizations": 2, "max_iterations": 100},
    "optax_lbfgs": {"n_realizations": 1, "max_iterations": 500},
}


@pytest.fixture(scope="module")
def sky(bright_sky):
    return RegionSky(
        region="low",
        nside=8,
        pixels=np.arange(100, 164),
        bandpasses=Bandpasses.narrow(bright_sky.bandpasses),
        noise=bright_sky.noise,
        foregrounds=bright_sky.data,
        cmb=np.zeros((2, 64)),
        noise_seed=1,
    )


def test_times_are_per_optimizer_and_configuration(sky):
    times = time_fits(sky, [(1, 1, 1), (4, 2, 3)], OPTIMIZERS, 1, DUST_AND_SYNCHROTRON)
    fits = times.groupby(["n_patches_beta_dust", "optimizer"]).size()
    assert fits.to_dict() == {
        (1, "newton"): 2, (1, "optax_lbfgs"): 1, (4, "newton"): 2, (4, "optax_lbfgs"): 1,
    }  # fmt: skip
    assert (times["seconds_per_fit"] > 0).all()
    assert times["converged"].all()
    first = times[times["realization"] == 0].pivot(
        index="n_patches_beta_dust", columns="optimizer", values="nll"
    )
    np.testing.assert_allclose(first["newton"], first["optax_lbfgs"], atol=1e-3, rtol=0)
    for name, value in machine().items():
        assert (times[name] == value).all()


def test_traces_end_in_the_minimum(sky):
    traces = trace_fits(sky, (4, 2, 3), OPTIMIZERS, 1, DUST_AND_SYNCHROTRON)
    for _, rows in traces.groupby("optimizer"):
        assert rows["iterations"].is_monotonic_increasing
        assert rows["nll"].is_monotonic_decreasing
        assert rows["gradient"].iloc[-1] < 1e-3 < rows["gradient"].iloc[0]


@pytest.mark.usefixtures("repository")
def test_steps_are_timed_at_every_nside_and_drawn(litebird):
    fields = load_settings(config_with(), "config")["fields"]
    limits = dict(max_iterations=200, tolerance=0.01)
    costs = [
        cost_at_nside(
            method, nside, litebird, DUST_AND_SYNCHROTRON, (20, 5, 5), fields, 1, **limits
        )
        for method in ("kmeans", "fields")
        for nside in (8, 16)
    ]
    for table, method, nside in zip(
        costs, ("kmeans", "kmeans", "fields", "fields"), (8, 16, 8, 16), strict=True
    ):
        first = "patches" if method == "kmeans" else "spectra of parameters"
        assert list(table["step"]) == [first, "fit"]
        assert (table["seconds"] > 0).all() and table["memory_gb"].is_monotonic_increasing
        assert table["converged"].all()
        assert table["n_pixels"][0] == pytest.approx(12 * nside**2 * SKY_FRACTION, rel=0.1)
    together = pd.concat(costs, ignore_index=True)
    figure = plot_nside_costs(together, {})
    above, below = figure.axes
    assert len(above.lines) == 4 and len(below.lines) == 2
    drawn = np.concatenate([line.get_ydata() for line in above.lines])
    np.testing.assert_allclose(np.sort(drawn), np.sort(together["seconds"]))
    plt.close(figure)
