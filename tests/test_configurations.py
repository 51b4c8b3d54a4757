"""Configurations on one sky: what a shard computes, keeps, and takes up again after a stop."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import healpy as hp
import numpy as np
import pandas as pd
import pytest

from patchsep.files import store
from patchsep.files.fingerprints import fingerprint
from patchsep.inference import configurations as module
from patchsep.inference.configurations import fit_configuration, fit_shard, gather
from patchsep.instrument.noise import FOREGROUNDS_ONLY, WhiteNoise
from patchsep.observation.region_sky import observe, observe_halves
from patchsep.separation.cleaning import aic, clean, cross_validation_misfit, evidence
from patchsep.separation.fit import separate
from patchsep.separation.partitions import partition, patch_labels
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON
from patchsep.spectra.estimator import Estimator
from patchsep.spectra.residuals import residual_spectra

NSIDE = 16
NAMES = ["0-0-0", "16-0-0"]


@pytest.fixture(scope="module")
def sky(few_pixels):
    """Foregrounds of one spectrum everywhere."""
    return few_pixels(np.arange(100), seed=1)


MODEL = DUST_AND_SYNCHROTRON
TOLERANCE = {"tolerance": 1e-3}
VALUES = {"beta_dust": [0, 16], "temp_dust": [0], "beta_synch": [0]}
REALIZATIONS = [0, 1]
SPECTRA = {"estimator": "pseudo", "apodization": 10.0, "bin_width": 4}


def estimator(sky):
    return Estimator.of(sky.pixels, NSIDE, **SPECTRA)


@pytest.fixture(scope="module")
def draws(sky):
    return partition("multiresolution", NSIDE, sky.pixels, VALUES, seed=0)


@pytest.fixture(scope="module")
def data(sky):
    return observe(sky, REALIZATIONS)


@pytest.fixture
def shard(sky, draws, tmp_path):
    """Run a shard in a folder of its own, with some `changes`; returns its table."""

    def run(names=NAMES, sky=sky, realizations=REALIZATIONS, code="code", **changes):
        settings = TOLERANCE | {"spectra": SPECTRA, "model": MODEL} | changes
        folder, progress = tmp_path / "kept", tmp_path / "progress.json"
        return fit_shard(names, draws, sky, realizations, folder, code, progress, **settings)

    run.folder = tmp_path / "kept"
    return run


@pytest.fixture
def fitted(monkeypatch):
    """Names of the configurations that have been fitted, as they are."""
    names, original = [], module.fit_configuration

    def counted(name, *arguments, **settings):
        names.append(name)
        return original(name, *arguments, **settings)

    monkeypatch.setattr(module, "fit_configuration", counted)
    return names


# What is measured


def test_one_patch_leaves_no_systematic_residual_where_the_spectrum_is_one(sky, draws, data):
    """Next to the statistical residual, which no patches can avoid."""
    systematic, noisy, _ = clean("0-0-0", draws, sky, data, MODEL, **TOLERANCE).cmb
    assert systematic.std() < 1e-3 * (noisy - sky.cmb - systematic).std()


def test_a_configuration_has_the_spectra_of_the_maps_that_its_fit_leaves(sky, draws, data):
    table = fit_configuration(
        "16-0-0", draws, sky, REALIZATIONS, data, estimator(sky), MODEL, **TOLERANCE
    )
    patches = {name: draws[0][name, value] for name, value in zip(VALUES, (16, 0, 0))}
    fit = separate(data, sky.noise, sky.bandpasses, patches, MODEL, **TOLERANCE)
    assert list(table["realization"]) == [FOREGROUNDS_ONLY, 0, 1]
    np.testing.assert_array_equal(table["nll"], fit.nll)
    expected = residual_spectra(fit.cmb[1:], sky.cmb, fit.cmb[0], sky.pixels, estimator(sky))
    np.testing.assert_array_equal(np.stack(table["total"][1:]), expected.total)
    np.testing.assert_array_equal(np.stack(table["statistical"][1:]), expected.statistical)
    np.testing.assert_array_equal(table["systematic"][0], expected.systematic)


def test_a_shard_counts_patches_and_what_did_not_converge(shard):
    row = shard(max_iterations=1).iloc[1]
    assert row["n_patches_beta_dust"] == 100
    assert row["n_patches_temp_dust"] == row["n_patches_beta_synch"] == 1
    assert row["n_realizations"] == row["n_unconverged"] == 2
    assert row["n_unconverged_systematic"] == 1
    assert row["f_sky"] == pytest.approx(100 / hp.nside2npix(NSIDE))


def test_an_ensemble_is_the_mean_of_its_draws(sky, data):
    """Each draw as `separate` has it by itself; a maximum for what tells of convergence."""
    values = {"beta_dust": [8], "temp_dust": [1], "beta_synch": [2]}
    draws = partition("kmeans", NSIDE, sky.pixels, values, seed=0, n_draws=3)
    together = clean("8-1-2", draws, sky, data, MODEL, **TOLERANCE)
    alone = [
        separate(
            data,
            sky.noise,
            sky.bandpasses,
            {name: labels for (name, _), labels in draw.items()},
            MODEL,
            **TOLERANCE,
        )
        for draw in draws
    ]
    np.testing.assert_allclose(together.cmb, np.mean([fit.cmb for fit in alone], axis=0))
    np.testing.assert_allclose(together.nll, np.mean([fit.nll for fit in alone], axis=0))
    np.testing.assert_array_equal(together.iterations, np.max([f.iterations for f in alone], 0))
    assert together.converged.all()
    # Another draw is another ensemble, even of the same first one.
    assert fingerprint(*patch_labels("8-1-2", draws)) != fingerprint(
        *patch_labels("8-1-2", draws[:2])
    )


def test_noise_may_be_propagated_instead_of_fitted(sky, draws, data):
    fits, linear = (
        fit_configuration(
            "16-0-0",
            draws,
            sky,
            REALIZATIONS,
            data,
            estimator(sky),
            MODEL,
            propagation=propagation,
            **TOLERANCE,
        ).set_index("realization")
        for propagation in ("nonlinear", "linear")
    )
    assert list(linear.index[linear["nll"].notna()]) == [FOREGROUNDS_ONLY]
    for number in REALIZATIONS:
        expected = np.sum(fits.loc[number, "statistical"])
        assert np.sum(linear.loc[number, "statistical"]) == pytest.approx(expected, rel=0.1)


def test_shards_together_are_averages_over_all_their_realizations(sky, draws, tmp_path):
    def run(name, realizations):
        return fit_shard(
            NAMES,
            draws,
            sky,
            realizations,
            tmp_path / name,
            "",
            tmp_path / "p",
            SPECTRA,
            MODEL,
            **TOLERANCE,
        )

    apart = gather([run("first", [0, 1]), run("second", [2])], NAMES)
    together = gather([run("all", [0, 1, 2])], NAMES)
    for one, other in zip(apart, together, strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-6)


def test_a_shard_may_be_empty(shard):
    """Of few configurations divided into many shards."""
    metrics, _ = gather([shard(names=[]), shard()], NAMES)
    assert list(metrics["configuration"]) == NAMES


def test_only_configurations_that_are_wanted_are_gathered(shard):
    metrics, spectra = gather([shard()], NAMES[1:])
    assert list(metrics["configuration"]) == list(spectra["configuration"].unique()) == NAMES[1:]


# What can select without the truth


def test_halves_are_independent_and_their_mean_is_the_data(sky):
    sky = replace(sky, noise=WhiteNoise(np.full(len(sky.bandpasses), 2.0)))
    numbers = list(range(20))
    halves, data = observe_halves(sky, numbers), observe(sky, numbers)
    np.testing.assert_allclose(halves.mean(axis=0), data, rtol=1e-12, atol=1e-9)
    noise = (halves - sky.foregrounds - sky.cmb)[:, 1:]
    n_values = noise[0].size
    assert noise.std() == pytest.approx(np.sqrt(2) * 2, abs=4 * 2 / np.sqrt(2 * n_values))
    correlation = np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(n_values)


@pytest.fixture(scope="module")
def patchy(dense, sky):
    """A sky whose parameters are those of a known configuration, and the partitions of others."""
    pixels = hp.nest2ring(NSIDE, np.arange(256))
    rng = np.random.default_rng(4)
    values = {"beta_dust": [0, 4, 16], "temp_dust": [0, 2], "beta_synch": [0, 4]}
    draws = partition("multiresolution", NSIDE, pixels, values, seed=0)
    truth = {"beta_dust": (1.54, 0.1, 4), "temp_dust": (20, 2, 2), "beta_synch": (-3, 0.1, 0)}
    parameters = np.stack(
        [
            (mean + scatter * rng.standard_normal(256))[draws[0][name, value]]
            for name, (mean, scatter, value) in truth.items()
        ]
    )
    amplitude = np.array([0, 10, 100])[:, None, None]
    foregrounds = dense.sky(parameters, amplitude * rng.standard_normal((3, 2, 256)))
    cmb = rng.standard_normal((2, 256))
    return replace(sky, pixels=pixels, foregrounds=foregrounds, cmb=cmb), draws


@pytest.mark.parametrize("criterion", ["aic", "evidence", "cross_validation"])
def test_criteria_without_truth_find_the_truth_on_a_bright_sky(patchy, criterion):
    sky, draws = patchy
    data, halves = observe(sky, REALIZATIONS), observe_halves(sky, REALIZATIONS)
    names = ["0-0-0", "4-0-0", "4-2-0", "16-2-0", "4-2-4", "16-2-4"]
    tables = {
        name: fit_configuration(
            name, draws, sky, REALIZATIONS, data, estimator(sky), MODEL, halves, **TOLERANCE
        )
        for name in names
    }
    values = {name: table[criterion][1:].mean() for name, table in tables.items()}
    assert min(values, key=values.get) == "4-2-0"


def test_cross_validation_misfit_is_that_of_dense_least_squares(dense, sky, draws):
    halves = observe_halves(sky, [0])
    (_, found) = cross_validation_misfit("0-0-0", draws, sky, halves, MODEL, **TOLERANCE)
    root2 = replace(dense, sigma=np.sqrt(2) * dense.sigma)
    patches = {name: draws[0][name, 0] for name in VALUES}
    noise = WhiteNoise(root2.sigma)
    fit = separate(halves[0], noise, sky.bandpasses, patches, MODEL, **TOLERANCE)
    parameters = np.repeat([fit.parameters[name][1] for name in VALUES], len(sky.pixels), axis=1)
    assert found == pytest.approx(root2.solve(parameters, halves[1, 1])[1], rel=1e-9)


def test_a_parameter_that_nothing_constrains_counts_for_nothing():
    """Of three: one well measured, one without signal, one whose error is beyond its bounds."""
    errors = {"beta_dust": [[0.1, np.inf, 50.0, np.nan]]}
    fit = SimpleNamespace(
        nll=np.array([100.0]),
        errors={name: np.array(values) for name, values in errors.items()},
        n_at_bounds=np.array([1]),
    )
    assert aic(fit) == [100 + 2 - 1]
    volume = np.sqrt(2 * np.pi) * 0.1 / 2.5
    assert evidence(fit, MODEL) == pytest.approx(100 - np.log(volume))


# What is computed again


def test_what_is_done_is_not_done_again(shard, fitted):
    first = shard()
    pd.testing.assert_frame_equal(first, shard())
    assert fitted == NAMES


def test_a_new_configuration_alone_is_fitted(shard, fitted):
    shard(NAMES[:1])
    shard(NAMES)
    assert fitted == NAMES


def test_a_shard_that_was_stopped_goes_on_where_it_was(shard, fitted, monkeypatch):
    write = store.write_table

    def full_disk(path, table):
        if path.stem == NAMES[1]:
            raise OSError(28, "No space left on device")
        write(path, table)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(store, "write_table", full_disk)
        shard()
    assert [path.name for path in shard.folder.iterdir()] == [f"{NAMES[0]}.parquet"]
    shard()
    assert fitted == [*NAMES, NAMES[1]]


@pytest.mark.parametrize(
    "change",
    [
        {"code": "other code"},
        {"tolerance": 1e-4},
        {"realizations": [0, 2]},
        {"model": MODEL.with_limits(start={"temp_dust": 21.0})},
        {"cross_validation": True, "propagation": "nonlinear"},
        {"spectra": SPECTRA | {"estimator": "pure"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_depends_on_a_change_is_fitted_again(shard, fitted, change):
    shard(NAMES[:1])
    shard(NAMES[:1], **change)
    assert len(fitted) == 2


def test_memory_is_no_reason_to_fit_again(shard, fitted):
    shard(NAMES[:1], memory=2.0)
    shard(NAMES[:1], memory=1.0)
    assert len(fitted) == 1


def flip(path, position):
    """Turn over one bit of a file, `position` between 0 and 1 along it."""
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1 << 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty"])
def test_a_damaged_file_is_set_aside_and_fitted_again(shard, fitted, caplog, damage):
    first = shard()
    path = shard.folder / f"{NAMES[0]}.parquet"
    if damage == "one bit":
        flip(path, 0.3)
    else:
        path.write_bytes(path.read_bytes()[: 1000 if damage == "truncated" else 0])
    with caplog.at_level(logging.WARNING):
        pd.testing.assert_frame_equal(first, shard())
    assert fitted == [*NAMES, NAMES[0]]
    assert f"{path} is damaged" in caplog.text
    assert path.with_name(f"{path.name}.damaged").is_file()
