"""Skies of known patches: what they are made of, and what is found on them."""

import numpy as np
import pytest

from patchsep.separation.partitions import configuration_patches, configurations, partition
from patchsep.separation.patches import kmeans
from patchsep.sky.foregrounds import foreground_sky
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.spectra.estimator import Estimator
from patchsep.studies.known_patches import (
    draw_parameters,
    make_sky,
    pulls,
    select_on_sky,
    values_around,
)

NSIDE, PIXELS = 16, np.arange(400, 1000)
SCATTER = {"beta_dust": 0.2, "temp_dust": 2.0, "beta_synch": 0.2}
SETTINGS = {"max_iterations": 200, "tolerance": 1e-3}
MODEL = DUST_AND_SYNCHROTRON


def sky_of(instrument, true, seed=0):
    values = values_around(true, [0.5, 3], MODEL.names)
    names = configurations([values], "axes")
    draws = partition("kmeans", NSIDE, PIXELS, values, seed)
    patches = configuration_patches(names[0], draws[0])
    galaxy = foreground_sky("embedded", NSIDE, 1)
    sky, truth = make_sky(galaxy, instrument, "hi", PIXELS, patches, SCATTER, seed, MODEL)
    return sky, truth, draws, names


def test_a_scan_goes_through_the_truth_one_parameter_at_a_time():
    assert values_around([10, 2, 1], [0.1, 0.5, 3], MODEL.names) == {
        "beta_dust": [10, 1, 5, 30],
        "temp_dust": [2, 1, 6],
        "beta_synch": [1, 3],
    }


def test_parameters_differ_from_patch_to_patch_and_stay_within_twice_the_scatter():
    labels = {
        name: kmeans(NSIDE, PIXELS, n, 0)
        for name, n in {"beta_dust": 300, "temp_dust": 300, "beta_synch": 1}.items()
    }
    values = draw_parameters(labels, SCATTER, 5, MODEL)
    for name in ("beta_dust", "temp_dust"):
        deviations = (values[name] - MODEL.start[name]) / SCATTER[name]
        assert len(np.unique(deviations)) == 300
        assert np.abs(deviations).max() <= 2
        # A Gaussian cut off at 2 has a scatter of 0.88.
        assert deviations.std() == pytest.approx(0.88, abs=0.15)
    assert values["beta_synch"] == MODEL.start["beta_synch"]


def test_a_sky_is_bright_in_its_own_patches_parameters(litebird, dense):
    """Two component maps of the dense model fit all bands of PySM's emission."""
    sky, truth, draws, names = sky_of(litebird, [4, 2, 2])
    patches = configuration_patches(names[0], draws[0])
    parameters = np.stack([truth[name][labels] for name, labels in patches.items()])
    _, misfit = dense.solve(parameters[:, :50], sky.foregrounds[..., :50])
    assert misfit < 1e-6 * np.sum((sky.foregrounds[..., :50] / dense.sigma[:, None, None]) ** 2)
    _, wrong = dense.solve(np.roll(parameters, 200, axis=1)[:, :50], sky.foregrounds[..., :50])
    assert wrong > 100 * misfit


def test_criteria_find_the_truth_where_patches_differ_much(litebird, spectra):
    sky, _, draws, names = sky_of(litebird, [4, 2, 2])
    estimator = Estimator.of(PIXELS, NSIDE, "pseudo", 0.0, 1)
    criteria = ["oracle", "mocks", "aic"]
    estimates, selected = select_on_sky(
        sky,
        draws,
        names,
        criteria,
        [0, 1],
        {"skies": 1, "realizations": 2, "seed": 90},
        estimator,
        estimator.binned_theory(spectra, spectra, 0, 0),
        MODEL,
        **SETTINGS,
    )
    assert list(estimates["configuration"]) == names
    assert estimates["mocks"].notna().all()
    selected = selected.set_index("criterion")
    assert list(selected.index) == criteria
    assert selected.loc["aic", "configuration"] == names[0]
    assert selected.loc["aic", "true"]
    assert selected.loc["oracle", "loss"] == 1
    assert selected["loss"].ge(1).all()


def test_pulls_are_those_of_students_t(litebird):
    """With five realisations 62.6 % of the means lie within one error of the truth."""
    sky, truth, draws, names = sky_of(litebird, [40, 30, 20])
    table = pulls(sky, names[0], draws[0], truth, list(range(5)), MODEL, **SETTINGS)
    assert len(table) == 90
    inside = table["pull"].abs().lt(1).mean()
    assert inside == pytest.approx(0.626, abs=4 * np.sqrt(0.626 * 0.374 / 90))
    # Errors with all other parameters fixed are the smaller ones.
    assert (table["scatter"] / table["error"]).median() > 0.9
