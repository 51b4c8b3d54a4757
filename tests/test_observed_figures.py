"""Figures of observed maps: they show what the tables of an analysis have."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from workflows import ROOT

from patchsep.figures import observed
from patchsep.figures.observed import (
    bandpower_table,
    cleaned_table,
    null_test_table,
    plot_bandpowers,
    plot_cleaned_maps,
    plot_coverage,
    plot_influence,
    plot_null_tests,
)
from patchsep.files.maps import write_maps
from patchsep.files.tables import write_table
from patchsep.inference.r_likelihood import estimate_r

ELL = np.arange(6.5, 100, 10)
REGIONS = ("hi_north", "hi_south", "combined")
SHOWN = {
    "components": {"dust": 353.0, "synch": 22.8},
    "labels": {"beta_dust": "b", "temp_dust": "T [K]", "beta_synch": "s"},
    "projection": "hammer",
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def tables_of(regions):
    """Bandpowers, r and its likelihood of regions; the first bin of each is below 0."""
    rng = np.random.default_rng(2)
    tensor, expected = 0.1 * ELL**-2.5, np.full(len(ELL), 4e-6)
    bandpowers, r, curves = [], [], []
    for number, region in enumerate(regions):
        columns = {"lensing": 2e-6, "other_bias": 0.0, "residual": 1e-6, "noise_bias": 1e-6}
        bb = expected * (1 + 0.1 * rng.normal(size=len(ELL))) - columns["noise_bias"]
        bb[0] = -1e-6
        one = estimate_r(bb + 2e-6, tensor, expected + 1e-6, 10 * ELL)
        rows = pd.DataFrame({"region": region, "ell": ELL, "bb": bb, "error": 1e-6, **columns})
        bandpowers.append(rows.assign(tensor=tensor, used=np.arange(len(ELL)) < 8 + number % 2))
        r.append({"region": region, **one.headline, **one.intervals()})
        curves.append(pd.DataFrame({"region": region, "r": one.r, "likelihood": one.likelihood}))
    r = pd.DataFrame([*r, r[-1] | {"ell_low": 2, "ell_high": 30, "r_hat": 99.0}])
    return pd.concat(bandpowers), r, pd.concat(curves)


@pytest.fixture
def table_of(tmp_path):
    """`bandpower_table` of the tables of regions, with r of those that are named."""

    def table(regions, measured=None):
        bandpowers, r, curves = tables_of(regions)
        curves = curves[curves["region"].isin(measured or regions)]
        paths = {name: tmp_path / f"{name}.csv" for name in ("bandpowers", "r", "curves")}
        for path, one in zip(paths.values(), (bandpowers, r, curves), strict=True):
            write_table(path, one)
        return bandpower_table(paths, {})

    return table


def test_cleaned_maps_share_a_scale_between_q_and_u_and_leave_no_empty_panel(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"{name}_{stokes}" for name in ("CMB", "DUST", "SYNCH") for stokes in "QU"]
    names += ["BETA_DUST", "TEMP_DUST", "BETA_SYNCH", "ERROR_CMB_Q"]
    masked = np.arange(192) < 20
    maps = {name: np.where(masked, np.nan, rng.normal(size=192)) for name in names}
    write_maps(tmp_path / "cleaned.fits", maps, "", "maps")
    table = cleaned_table({"cleaned": tmp_path / "cleaned.fits"}, SHOWN)
    figure = plot_cleaned_maps(table, SHOWN)
    meshes = {axis: axis.collections[0] for axis in figure.axes if axis.name == "hammer"}
    assert len(meshes) == 9
    limits = [mesh.get_clim() for mesh in meshes.values()]
    for q, u, name in zip(limits[:3], limits[3:6], ("CMB", "DUST", "SYNCH")):
        values = table[[f"{name}_Q", f"{name}_U"]].abs()
        assert q == u == (-np.nanpercentile(values, 98), np.nanpercentile(values, 98))
    assert all(mesh.get_array().mask.any() for mesh in meshes.values())
    bars = [axis.get_xlabel() for axis in figure.axes if axis.name != "hammer"]
    assert sorted(bars)[1:3] == ["T [K]", "b"]
    assert any("dust at 353 GHz" in label for label in bars)


def test_cleaned_maps_of_more_parameters_than_components_have_rows_enough():
    names = [*"abcdefg"]
    table = pd.DataFrame({name: np.arange(192.0) for name in ["CMB_Q", "CMB_U", *"ABCDEFG"]})
    figure = plot_cleaned_maps(table, SHOWN | {"components": {}, "labels": dict(zip(names, names))})
    assert sum(axis.name == "hammer" for axis in figure.axes) == 2 + len(names)


def test_bandpowers_are_points_with_errors_and_limits_where_they_are_below(table_of):
    table = table_of(REGIONS)
    figure = plot_bandpowers(table, {})
    spectra, likelihoods = figure.axes[::2], figure.axes[1::2]
    assert len(spectra) == len(likelihoods) == len(REGIONS)
    for axis, region in zip(spectra, REGIONS, strict=True):
        rows = table[(table["region"] == region) & (table["panel"] == "bandpowers")]
        factor = rows["ell"] * (rows["ell"] + 1) / (2 * np.pi)
        points, limits, lensing, residual, noise = axis.lines
        assert np.allclose(points.get_ydata(), (factor * rows["bb"])[1:])
        assert np.array_equal(points.get_xdata(), rows["ell"][1:])
        assert np.allclose(limits.get_ydata(), (factor * (rows["bb"] + 2 * rows["error"]))[:1])
        for line, column in ((lensing, "lensing"), (residual, "residual"), (noise, "noise_bias")):
            assert np.allclose(line.get_ydata(), factor * rows[column])


def test_a_likelihood_is_that_of_all_multipoles_of_its_region(table_of):
    table = table_of(REGIONS)
    assert table["r_hat"].max() < 1
    figure = plot_bandpowers(table, {})
    for axis, region in zip(figure.axes[1::2], REGIONS, strict=True):
        rows = table[(table["region"] == region) & (table["panel"] == "likelihood")]
        curve = axis.lines[0]
        peak = curve.get_xdata()[np.argmax(curve.get_ydata())]
        assert peak == pytest.approx(1e3 * rows["r_hat"].iloc[0])
        assert f"{peak:.2f}" in axis.get_title()


def test_one_region_is_shown_once_and_a_region_without_r_says_so(table_of):
    assert set(table_of(("hi", "combined"))["region"]) == {"combined"}
    figure = plot_bandpowers(table_of(REGIONS, measured=["hi_north", "combined"]), {})
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes[1::2]]
    assert said == [[], ["$r$ is not measured"], []]


def test_null_tests_are_counted_beside_the_number_expected():
    probabilities = [0.01, 0.03, 0.2, 0.5, 0.9, 1.0]
    table = pd.DataFrame({"test": list("aabbcc"), "region": 3 * ["hi_north", "combined"]})
    figure = plot_null_tests(table.assign(probability=probabilities), {})
    left, right = figure.axes
    assert "2 of 6 at 0.05 or less, expected 0.3" in left.get_title()
    assert [label.get_text() for label in left.get_yticklabels()][:2] == ["a, hi-lat north", "a"]
    found = np.concatenate([line.get_xdata() for line in left.lines])
    assert np.array_equal(found, probabilities)
    expected, steps = right.lines
    for value, count in zip(steps.get_xdata()[1:-1], steps.get_ydata()[1:-1], strict=True):
        assert count == np.sum(np.array(probabilities) <= value)
    assert np.interp(0.5, *expected.get_data()) == 3


def test_null_tests_of_one_region_are_not_counted_twice(tmp_path):
    table = pd.DataFrame({"test": list("aab"), "region": ["hi", "combined", "combined"]})
    write_table(tmp_path / "null_tests.csv", table.assign(probability=[0.1, 0.1, 0.4]))
    found = null_test_table({"table": tmp_path / "null_tests.csv"}, {})
    assert list(found["probability"]) == [0.1, 0.4]


INFLUENCE = pd.DataFrame(
    [
        ("region", "hi_north", 2e-4, 3e-4),
        ("region", "low", -1e-4, np.nan),
        ("band", "100GHZ", 0.0, 1e-4),
    ],
    columns=["kind", "name", "shift", "left_out"],
).assign(sigma=1e-4)


def test_influence_is_told_in_errors_of_r_by_kind():
    figure = plot_influence(INFLUENCE, {})
    regions, bands = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["Regions", "Bands"]
    widths = [bar.get_width() for container in regions.containers for bar in container]
    assert widths == pytest.approx([3, np.nan, 2, -1], nan_ok=True)
    assert [text.get_text().strip() for text in regions.texts] == ["not measured"]
    assert [label.get_text() for label in bands.get_yticklabels()] == ["100GHZ"]
    assert regions.get_xlim()[1] > 3


def test_influence_without_r_says_so():
    (axis,) = plot_influence(INFLUENCE[:0], {}).axes
    assert axis.texts[0].get_text() == "$r$ is not measured"


def certified(r, held, n_skies=20):
    """Mock observations, so many of whose intervals of either content hold r."""
    number = np.arange(n_skies)
    low = np.where(number < held, r - 1e-3, r + 1e-3)
    ends = {"r68_low": low, "r68_high": r + 2e-3, "r95_low": low, "r95_high": r + 2e-3}
    flat = (number + 0.5) / n_skies
    tests = {"tarp_rank": flat, "one test": flat**2, "n_mocks": 5}
    return pd.DataFrame({"r": r, **tests, **ends})


def test_coverage_is_told_by_r_and_tests_are_those_of_r_0():
    of_0, other = certified(0.0, 14), certified(3e-3, 20).assign(**{"one test": 1.0})
    figure = plot_coverage(pd.concat([of_0, other]), {})
    left, middle, right = figure.axes
    found = [bars.lines[0].get_ydata() for bars in left.containers]
    np.testing.assert_allclose(found, [[0.7, 0.7], [1, 1]])
    # Wilson's interval has an end where every sky holds r.
    ends = left.containers[1].lines[2][0].get_segments()[0][:, 1]
    assert ends[0] == pytest.approx(20 / 21, abs=2e-3) and ends[1] == 1
    _, *curves = middle.lines
    assert len(curves) == 2
    for curve in curves:
        np.testing.assert_allclose(curve.get_ydata()[1:-1], curve.get_xdata()[1:-1] + 0.025)
    # Tests are ranks among five mock skies, which scatter as much as four independent ones.
    for axis, number in ((middle, 20), (right, 4)):
        ends = axis.collections[0].get_paths()[0].vertices
        at_half = ends[np.isclose(ends[:, 0], 0.5), 1]
        expected = np.divide(stats.binom.interval(0.95, number, 0.5), number)
        np.testing.assert_allclose([at_half.min(), at_half.max()], expected)
    (_, tested) = right.lines
    np.testing.assert_array_equal(tested.get_xdata()[1:-1], of_0["one test"])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["$r = 0$", r"$r = 3\times 10^{-3}$", "95 %", "expected", "one test"]


@pytest.mark.parametrize("name", [name for name in observed.FIGURES if name != "coverage"])
def test_a_figure_has_files_of_its_method_a_caption_and_a_row_in_the_docs(name):
    parameters = [SimpleNamespace(name="beta_dust", label="b")]
    components = [SimpleNamespace(name="dust", reference=353.0)]
    plan = SimpleNamespace(
        results="results/mine",
        model=SimpleNamespace(parameters=parameters, components=components),
        settings={"figures": {"projection": "hammer"}},
    )
    figure = observed.FIGURES[name]
    shown = figure.shows(plan, ["fields"], [])
    for path in figure.inputs(plan, shown).values():
        assert path.startswith("results/mine/observed/{method}/")
    assert figure.wildcard == "method"
    assert (ROOT / "workflow" / "report" / f"{name}.rst").is_file()
    rows = (ROOT / "docs" / "configuration-studies.md").read_text(encoding="utf-8")
    assert f"\n| `{name}` |" in rows
