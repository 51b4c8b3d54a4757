"""The benchmark's tables: every optimiser on the same data, with the machine."""

import numpy as np
import pytest

from patchsep.instrument.bandpass import Bandpasses
from patchsep.observation.region_sky import RegionSky
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.studies.benchmark import machine, time_fits, trace_fits

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
