"""Patches: complete, compact, repeatable, and as good as scikit-learn's and healpy's."""

import time
from itertools import combinations

import healpy as hp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from patchsep.separation import patches as module
from patchsep.separation.partitions import configuration_patches, configurations, partition
from patchsep.separation.patches import (
    STRATEGIES,
    equal_width_bins,
    kmeans,
    multiresolution,
)


def sky_above(nside, upper_fraction, lower_fraction=0.0):
    """Pixels between the |latitudes| that cut off two fractions of the sky."""
    height = np.abs(hp.pix2vec(nside, np.arange(hp.nside2npix(nside)))[2])
    return np.flatnonzero((height > 1 - upper_fraction) & (height <= 1 - lower_fraction))


def directions(nside, pixels):
    return np.stack(hp.pix2vec(nside, pixels), axis=1)


def centres(points, labels):
    """Normalised mean direction of every patch."""
    means = np.stack([points[labels == label].mean(axis=0) for label in np.unique(labels)])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def squared_distances(points, labels):
    return np.sum((points - centres(points, labels)[labels]) ** 2)


def one_to_one(first, second):
    """Whether two labellings make the same patches."""
    pairs = len(set(zip(first.tolist(), second.tolist(), strict=True)))
    return pairs == len(np.unique(first)) == len(np.unique(second))


PARAMETERS = ("beta_dust", "temp_dust", "beta_synch")
CAP, RING = (64, sky_above(64, 0.2)), (32, sky_above(32, 0.4, 0.2))
VALUES = [
    ("kmeans", 1),
    ("kmeans", 7),
    ("kmeans", 300),
    ("kmeans", "all but one"),
    ("kmeans", "all"),
    ("kmeans", 10**6),
    ("multiresolution", 0),
    ("multiresolution", 1),
    ("multiresolution", 8),
    ("multiresolution", 32),
    ("uniform", 1),
]


@pytest.mark.parametrize("nside, pixels", [(32, sky_above(32, 0.2)), RING], ids=["cap", "ring"])
@pytest.mark.parametrize("strategy, value", VALUES)
def test_labels_run_from_zero_with_none_left_out(nside, pixels, strategy, value):
    value = {"all but one": len(pixels) - 1, "all": len(pixels)}.get(value, value)
    labels = STRATEGIES[strategy].divide(nside, pixels, value, seed=0)
    assert labels.shape == pixels.shape
    used = np.unique(labels)
    np.testing.assert_array_equal(used, np.arange(len(used)))
    if strategy == "kmeans":
        assert len(used) == min(value, len(pixels))


@pytest.mark.parametrize("n_patches", [5, 40, 200, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_kmeans_is_as_good_as_scikit_learns(n_patches, seed):
    """Within 1 % of the sum of squared distances that scikit-learn reaches from 10 starts."""
    points = directions(*CAP)
    labels = kmeans(*CAP, n_patches, seed)
    n_starts = 10 if n_patches <= 200 else 1
    peer = KMeans(n_patches, n_init=n_starts, random_state=seed).fit(points).labels_
    assert squared_distances(points, labels) < 1.01 * squared_distances(points, peer)


@pytest.mark.parametrize("nside, pixels", [CAP, RING], ids=["cap", "ring"])
@pytest.mark.parametrize("n_patches", [2, 30, 500])
def test_every_pixel_is_in_the_patch_of_the_nearest_centre(nside, pixels, n_patches):
    points = directions(nside, pixels)
    labels = kmeans(nside, pixels, n_patches, seed=0)
    distance = np.linalg.norm(points[:, None] - centres(points, labels), axis=2)
    own = distance[np.arange(len(points)), labels]
    np.testing.assert_allclose(own, distance.min(axis=1), rtol=1e-9)


@pytest.mark.parametrize("n_patches", [200, 500, 1500, 3000])
def test_centres_drawn_part_by_part_are_as_good_as_those_drawn_at_once(monkeypatch, n_patches):
    """Within 1 % of the sum of squared distances, for published numbers of patches."""
    points = directions(*CAP)
    by_parts = [squared_distances(points, kmeans(*CAP, n_patches, seed)) for seed in range(3)]
    monkeypatch.setattr(module, "DRAWN_AT_ONCE", n_patches)
    at_once = [squared_distances(points, kmeans(*CAP, n_patches, seed)) for seed in range(3)]
    assert np.mean(by_parts) < 1.01 * np.mean(at_once)


@pytest.mark.parametrize("n_patches", [5, 20, 50])
def test_the_best_of_several_starts_is_found_on_some_of_the_pixels(monkeypatch, n_patches):
    points = directions(*CAP)
    on_all = squared_distances(points, kmeans(*CAP, n_patches, seed=0))
    monkeypatch.setattr(module, "SAMPLED", 2000)
    labels = kmeans(*CAP, n_patches, seed=0)
    assert len(np.unique(labels)) == n_patches
    assert squared_distances(points, labels) < 1.01 * on_all


def test_many_patches_of_many_pixels_take_seconds():
    """10,000 of 157,000 pixels: what costs pixels × patches takes minutes."""
    sky = 128, sky_above(128, 0.8)
    begin = time.process_time()
    assert len(np.unique(kmeans(*sky, 10_000, seed=0))) == 10_000
    assert time.process_time() - begin < 20


def test_patches_without_pixels_get_the_farthest_that_are_shared():
    labels, distance = np.array([0, 0, 0, 2, 3]), np.array([0.1, 0.3, 0.2, 0.9, 0.0])
    module._fill_empty(labels, distance, 5)
    # The pixel of patch 2 is the farthest of all, and its only one.
    np.testing.assert_array_equal(labels, [0, 1, 4, 2, 3])


@pytest.mark.parametrize("n_patches", [5, 300])
def test_kmeans_is_repeatable_and_its_seed_matters(n_patches):
    first = kmeans(*RING, n_patches, seed=0)
    np.testing.assert_array_equal(kmeans(*RING, n_patches, seed=0), first)
    assert not one_to_one(kmeans(*RING, n_patches, seed=1), first)


def test_kmeans_of_one_patch_per_pixel_separates_all_pixels():
    labels = kmeans(*RING, 10**6, seed=0)
    assert len(np.unique(labels)) == len(RING[1])


@pytest.mark.parametrize("coarse_nside", [1, 2, 4, 16, 32])
def test_multiresolution_patches_are_healpys_coarse_pixels(coarse_nside):
    nside, pixels = RING
    coarse = np.arange(hp.nside2npix(coarse_nside))
    parent = hp.ud_grade(coarse.astype(float), nside)[pixels].astype(int)
    labels = multiresolution(nside, pixels, coarse_nside, seed=0)
    assert one_to_one(labels, parent)
    # Numbered in RING order of the coarse pixels.
    assert np.all(np.diff(parent[np.argsort(labels, kind="stable")]) >= 0)


def test_multiresolution_zero_is_one_patch():
    assert not multiresolution(*RING, 0, seed=0).any()


def test_multiresolution_finer_than_the_maps_is_refused():
    with pytest.raises(ValueError, match="64 are finer than the maps' 32"):
        multiresolution(*RING, 64, seed=0)


def test_uniform_is_one_patch():
    assert not STRATEGIES["uniform"].divide(*RING, 1, seed=0).any()


GRID = {"beta_dust": [8, 16], "temp_dust": [0], "beta_synch": [2, 0, 8]}


def test_configurations_are_all_combinations_named_in_the_order_of_the_parameters():
    names = configurations([GRID])
    expected = {f"{dust}-0-{synch}" for dust in (8, 16) for synch in (2, 0, 8)}
    assert len(names) == 6
    assert set(names) == expected


def test_there_is_a_partition_for_every_value_of_every_parameter():
    (partitions,) = partition("multiresolution", *RING, GRID, seed=0)
    assert set(partitions) == {(name, value) for name, values in GRID.items() for value in values}
    # Of one value there is one partition.
    assert partitions["beta_dust", 8] is partitions["beta_synch", 8]


def test_a_configuration_has_the_patches_of_its_values():
    (partitions,) = partition("multiresolution", *RING, GRID, seed=0)
    for name in configurations([GRID]):
        patches = configuration_patches(name, partitions)
        for parameter, value in zip(PARAMETERS, name.split("-"), strict=True):
            expected = multiresolution(*RING, int(value), seed=0)
            np.testing.assert_array_equal(patches[parameter], expected)


def test_axes_are_scans_of_one_parameter_through_the_first_values():
    values = {"beta_dust": [100, 50, 200], "temp_dust": [20], "beta_synch": [10, 5]}
    assert configurations([values], "axes") == [
        "100-20-10",
        "100-20-5",
        "50-20-10",
        "200-20-10",
    ]


def test_every_draw_of_an_ensemble_has_other_patches():
    values = {name: [20] for name in PARAMETERS}
    (alone,) = partition("kmeans", *RING, values, seed=1)
    draws = partition("kmeans", *RING, values, seed=1, n_draws=3)
    assert_same_labels(draws[0], alone)
    for one, other in combinations(draws, 2):
        assert not one_to_one(one["temp_dust", 20], other["temp_dust", 20])
    for draw in draws:
        assert draw["temp_dust", 20] is draw["beta_synch", 20]


def test_parameters_may_have_independent_patches():
    values = {name: [20] for name in PARAMETERS}
    first, second = partition("kmeans", *RING, values, seed=1, n_draws=2, independent_patches=True)
    drawn = [draw[name, 20] for draw in (first, second) for name in PARAMETERS]
    assert not any(one_to_one(one, other) for one, other in combinations(drawn, 2))
    # Whatever else is drawn.
    (again,) = partition("kmeans", *RING, values, seed=1, independent_patches=True)
    assert_same_labels(again, first)


def assert_same_labels(one, other):
    assert set(one) == set(other)
    for key, labels in one.items():
        np.testing.assert_array_equal(labels, other[key])


def test_bins_of_true_parameters_are_those_of_numpy():
    values = np.random.default_rng(0).normal(1.54, 0.04, 5000)
    (partitions,) = partition(
        "true_parameters",
        *RING,
        {name: [30] for name in PARAMETERS},
        0,
        dict.fromkeys(PARAMETERS, values),
    )
    labels = partitions["beta_dust", 30]
    edges = np.linspace(values.min(), values.max(), 31)
    assert one_to_one(labels, np.digitize(values, edges[1:-1]))
    # Numbered from zero, without those that are empty.
    assert set(labels) == set(range(labels.max() + 1))


def test_bins_of_pysms_parameters_are_those_that_the_reference_code_ships(shared):
    """Spectral parameters of d1 and s1 in 100 bins each (furax-cs), within GAL060."""
    reference = np.load(shared / "sky/reference/furaxcs_true_d1s1_bins100.npz")
    templates = shared / "sky/pysm/pysm_2"
    for key, file in (("Bd", "dust_beta"), ("Td", "dust_temp"), ("Bs", "synch_beta")):
        theirs = reference[key]
        kept = theirs != 0
        ours = equal_width_bins(hp.read_map(templates / f"{file}.fits")[kept], 100)
        ranks = np.unique(theirs[kept], return_inverse=True)[1]
        assert np.mean(ours == ranks) > 0.995, key


def test_a_parameter_that_does_not_vary_is_one_patch():
    assert not equal_width_bins(np.full(10, 1.5), 30).any()


def test_a_parameter_that_is_not_known_cannot_be_followed():
    with pytest.raises(ValueError, match="not known everywhere"):
        equal_width_bins(np.array([1.5, np.nan]), 30)


def test_parameters_without_a_template_have_compact_patches():
    pixels = np.arange(600)
    template = np.sin(pixels / 30)
    values = {name: [5] for name in PARAMETERS}
    (patches,) = partition("template", 16, pixels, values, 4, {"temp_dust": template})
    np.testing.assert_array_equal(patches["temp_dust", 5], equal_width_bins(template, 5))
    for name in ("beta_dust", "beta_synch"):
        np.testing.assert_array_equal(patches[name, 5], kmeans(16, pixels, 5, 4))
