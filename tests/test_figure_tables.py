"""Tables that figures are drawn from, and what is drawn of them."""

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_plans import SYMBOLS, plan_of

from patchsep.figures.configurations import best_by_patches, plot_prediction, scans
from patchsep.figures.fields import (
    octave_spectrum,
    parameter_spectra_table,
    plot_parameter_spectra,
)
from patchsep.figures.methods import plot_template_errors, selection_table
from patchsep.figures.registry import figure_shows
from patchsep.figures.selected import plot_distributions, plot_residual_spectra
from patchsep.figures.validation import (
    first_parameter_scans,
    known_patches_table,
    plot_known_patches,
)
from patchsep.files.maps import write_maps
from patchsep.inference.sets import KINDS
from patchsep.inference.tables import relative_to_first
from patchsep.separation.partitions import configurations
from patchsep.sky.harmonics import gaussian_scalar

N_PATCHES = [f"n_patches_{parameter}" for parameter in SYMBOLS]


def grid(names, **columns):
    patches = np.array([name.split("-") for name in names], dtype=int)
    table = pd.DataFrame(patches, columns=N_PATCHES)
    table["r_upper68"] = np.arange(len(names))[::-1]
    return table.assign(configuration=names, method="kmeans", region="hi", **columns)


def test_scans_go_along_one_parameter_and_cross_where_a_configuration_is_in_several():
    names = configurations(
        [
            {"beta_dust": [1, 2, 4], "temp_dust": [3], "beta_synch": [5]},
            {"beta_dust": [4], "temp_dust": [3, 6, 7, 8], "beta_synch": [5]},
        ]
    )
    table = scans(grid(names), SYMBOLS)
    along = {key: list(rows["configuration"]) for key, rows in table.groupby("parameter")}
    assert along == {
        "beta_dust": ["1-3-5", "2-3-5", "4-3-5"],
        "temp_dust": ["4-3-5", "4-6-5", "4-7-5", "4-8-5"],
    }
    assert table.groupby("parameter")["others"].nunique().eq(1).all()


def test_a_grid_without_a_scan_is_refused():
    with pytest.raises(ValueError, match="no scan of 3 configurations"):
        scans(grid(["1-1-1", "2-1-1"]), SYMBOLS)


def test_of_as_many_patches_the_best_is_shown():
    best = best_by_patches(grid(["1-1-1", "1-2-1", "2-1-1", "2-9-1"]), SYMBOLS)
    assert list(best["configuration"]) == ["1-2-1", "2-9-1"]


def test_scans_of_known_patches_leave_the_other_parameters_true():
    names = ["5-2-2", "10-2-2", "10-1-2", "20-2-2"]
    skies = [
        pd.DataFrame({"configuration": names, N_PATCHES[0]: [5, 10, 10, 20], "r_upper68": values})
        for values in ([1.0, 2, 9, 3], [2.0, 4, 9, 6], [3.0, 6, 9, 9])
    ]
    scan = first_parameter_scans(pd.concat(skies).assign(truth="10-2-2"), "beta_dust")
    assert list(scan[N_PATCHES[0]]) == [5, 10, 20]
    assert list(scan["median"]) == [2, 4, 6]
    assert (scan["low"] < scan["median"]).all() and (scan["median"] < scan["high"]).all()


def test_the_table_of_known_patches_has_all_that_is_drawn(tmp_path):
    tables = {
        "estimates": {
            "configuration": ["2-1-1", "4-1-1"],
            N_PATCHES[0]: [2, 4],
            "r_upper68": [2, 4],
        },
        "selected": {"criterion": ["oracle", "mocks"] * 2, "true": [True, False, True, True]},
        "pulls": {"parameter": ["beta_dust", "temp_dust"], "patch": [0, 1], "pull": [0.5, -1]},
    }
    files = {name: [tmp_path / f"{name}.csv"] for name in tables}
    for name, table in tables.items():
        pd.DataFrame(table).to_csv(files[name][0], index=False)
    shown = {"truths": ["2-1-1"], "symbols": SYMBOLS, "realizations": 3}
    data = known_patches_table(files, shown)
    panels = dict(list(data.groupby("panel")))
    assert list(panels["scan"][N_PATCHES[0]]) == [2, 4]
    assert dict(panels["selection"].set_index("criterion")["share"]) == {"oracle": 1, "mocks": 0.5}
    assert list(panels["pulls"]["pull"]) == [0.5, -1]
    figure = plot_known_patches(data, shown)
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["oracle", "mocks"]
    plt.close(figure)


def test_predicted_noise_is_drawn_in_ranges_that_have_bins():
    ratios = {f"ratio_{low}": [0.9, 1.0, 1.1] for low in (5, 10, 60)}
    seconds = {"seconds_fits": 2.0, "seconds_predicted": 1.0}
    data = pd.DataFrame(ratios | {"fitted": 1e-3, "predicted": 2e-3} | seconds)
    figure = plot_prediction(data, {})
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert names == ["$5$–$9$", "$10$–$29$", r"$\geq 60$"]
    plt.close(figure)


def test_selections_are_shown_with_the_first_of_what_r_is_measured_with(tmp_path):
    kinds = {"theory": ["one", "other"], "foreground_residual": ["one", "other"]}
    rows = pd.MultiIndex.from_product(
        [["hi", "combined"], *kinds.values()], names=["region", *kinds]
    ).to_frame(index=False)
    # A method without mock skies has others.
    rows = pd.concat([rows.assign(method="one"), rows.tail(1).assign(method="other")])
    rows.to_csv(tmp_path / "selection.csv", index=False)
    shown = selection_table({"table": tmp_path / "selection.csv"}, {})
    assert shown.to_numpy().tolist() == [
        ["combined", "one", "one", "one"],
        ["combined", "other", "other", "other"],
    ]


def test_methods_without_a_fit_have_no_bar_of_nll():
    values = {"variance": [1.0, 2.0], "bb_sum": [1.0, 2.0]}
    fitted, blind = (
        pd.DataFrame({"method": method, "nll": nll} | values)
        for method, nll in (("kmeans", [1.0, 2.0]), ("blind", [np.nan, np.nan]))
    )
    figure = plot_distributions(pd.concat([fitted, blind]), {})
    assert [len(axis.lines) for axis in figure.axes] == [2, 1, 2]
    plt.close(figure)


def test_methods_are_compared_with_the_first_of_the_figure():
    label = dict.fromkeys(("region", "configuration", *KINDS), "x") | {"set": "unseen"}
    # Too low is as far off as too high.
    r_hat = {"kmeans": [3.5e-3, 4e-3], "ensemble": [2.9e-3, 3.6e-3]}
    sigma = {"kmeans": [0.5e-3, 1e-3], "ensemble": [0.4e-3, 0.8e-3]}
    tables = {
        name: pd.DataFrame({"r_hat": r_hat[name], "sigma_r_plus": sigma[name]}).assign(**label)
        for name in r_hat
    }
    selection = pd.DataFrame(
        [
            label
            | {"method": name, "r_input": 3e-3}
            | table[["r_hat", "sigma_r_plus"]].mean().to_dict()
            for name, table in tables.items()
        ]
    )
    samples = {("unseen", name): table for name, table in tables.items()}
    table = relative_to_first(selection, samples).set_index("method")
    assert table.loc["kmeans", "ratio"] == 1
    assert table.loc["ensemble", "ratio"] == pytest.approx((0.25 + 0.6) / (0.75 + 0.75))
    # 0.5 and 0.7 on the two skies.
    assert table.loc["ensemble", "ratio_error"] == pytest.approx(0.2 / np.sqrt(2))


NSIDE = 16
FIRST, LAST = np.array([2, 4, 8]), np.array([3, 7, 15])
TRUE_POWER = np.array([4e-3, 1e-3, 2e-4])


@pytest.fixture
def fields(tmp_path):
    """Files of two methods of fields, the second with a template, and what the figure shows."""
    power = np.zeros(3 * NSIDE)
    for first, last, value in zip(FIRST, LAST, TRUE_POWER):
        power[first : last + 1] = value
    beta = gaussian_scalar(power, NSIDE, np.random.default_rng(1))
    template = 20 + gaussian_scalar(power, NSIDE, np.random.default_rng(2))
    latitude = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)[1]
    maps = {
        "regions": {"REGION": (np.abs(latitude) > 20).astype(int)},
        "true": {
            "BETA_DUST": 1.5 + beta,
            "TEMP_DUST": template + 2 * beta,
            "BETA_SYNCH": np.full(len(beta), np.nan),
        },
        "templates": {"TEMP_DUST": template},
    }
    files = {name: str(tmp_path / f"{name}.fits") for name in maps}
    for name, columns in maps.items():
        write_maps(files[name], columns, "", "test")
    octaves = pd.DataFrame(
        {"ell_min": FIRST, "ell_max": LAST, "power": TRUE_POWER, "error": 0.5 * TRUE_POWER}
    ).assign(expected=TRUE_POWER, prior=2 * TRUE_POWER)
    octaves.loc[1:, "error"] = 1.5 * TRUE_POWER[1:]
    octaves.loc[2, "power"] *= -1
    tables = [octaves.assign(parameter=name) for name in SYMBOLS]
    files["spectra"] = [str(tmp_path / f"{name}.csv") for name in ("fields", "templated")]
    for path in files["spectra"]:
        pd.concat(tables).to_csv(path, index=False)
    plan = plan_of(templated={"templated": "fields"})
    plan.methods["fields"] = {"strategy": "fields", "maps": {}}
    plan.field_methods = ["fields", "templated"]
    return files | {"templates": [files["templates"]]}, figure_shows(plan, "parameter_spectra")


def test_the_true_spectrum_is_that_of_the_field_in_the_regions(fields):
    table = parameter_spectra_table(*fields).set_index(["method", "parameter"])
    true = table.loc[("fields", "beta_dust"), "true"].to_numpy()
    # As well as the modes of two thirds of one sky let expect.
    modes = 2 / 3 * ((LAST + 1) ** 2 - FIRST**2)
    assert (np.abs(true / TRUE_POWER - 1) < 2.5 * np.sqrt(2 / modes)).all()
    # Of a method with a template it is that of what the template lacks.
    np.testing.assert_allclose(table.loc[("templated", "temp_dust"), "true"], 4 * true, rtol=1e-9)
    assert (table.loc[("fields", "temp_dust"), "true"] > 4 * true).any()
    assert table.loc[("fields", "beta_synch"), "true"].isna().all()


def test_a_spectrum_of_the_whole_sky_is_that_of_its_map():
    power = np.isin(np.arange(3 * NSIDE), np.arange(2, 10)).astype(float)
    sky = gaussian_scalar(power, NSIDE, np.random.default_rng(3))
    everywhere = np.ones(len(sky), dtype=bool)
    ell = np.arange(2, 4)
    expected = np.average(hp.anafast(sky)[2:4], weights=2 * ell + 1)
    assert octave_spectrum(sky + 5, everywhere, [2], [3]) == pytest.approx(expected, rel=1e-3)


def test_octaves_that_the_data_do_not_tell_have_upper_limits(fields):
    table = parameter_spectra_table(*fields)
    limits = table.groupby(["method", "parameter"])["upper_limit"]
    expected = [np.nan, 4 * TRUE_POWER[1], 3 * TRUE_POWER[2]]
    for _, values in limits:
        np.testing.assert_allclose(values, expected)


def test_spectra_of_parameters_are_drawn_with_units_and_without_what_is_not_known(fields):
    table, shown = parameter_spectra_table(*fields), fields[1]
    figure = plot_parameter_spectra(table, shown)
    titles = [axis.get_title() for axis in figure.axes]
    assert "mathrm{K}^2" in titles[1] and "K" not in titles[0] + titles[2]
    assert all(axis.get_xscale() == axis.get_yscale() == "log" for axis in figure.axes)
    figure.canvas.draw()
    plt.close(figure)
    # A parameter without a field has no panel.
    one = table[table["parameter"] == "temp_dust"]
    figure = plot_parameter_spectra(one, shown)
    assert len(figure.axes) == 1
    plt.close(figure)


def test_templates_in_bins_and_in_fields_are_lines_of_their_own():
    rows = [
        ("few", None, None, None, 3.0),
        *(("bins", "template", error, 3.0, 2.0 + error) for error in (0.5, 1.0)),
        *(("fields", "fields", error, 3.0, 1.0 + error) for error in (0.5, 1.0)),
    ]
    data = pd.DataFrame(rows, columns=["method", "strategy", "error", "coherence", "r_hat"])
    data = data.assign(
        set="unseen", foreground_residual="neglected", r_input=0.0, sigma_r_plus=1e-3
    ).assign(r_upper68_error=1e-4, r_hat=1e-3 * data["r_hat"])
    figure = plot_template_errors(data, {"labels": SYMBOLS})
    (axis,) = figure.axes
    labels = axis.get_legend_handles_labels()[1]
    assert labels == [
        "few",
        "bins of templates, errors of 3°",
        "templates as means of fields, errors of 3°",
    ]
    plt.close(figure)


def test_panels_of_spectra_are_of_regions_and_of_all_where_there_are_several():
    ell = np.array([35.0, 45.0, 55.0])

    def spectra(region, level):
        kinds = dict.fromkeys(("total", "statistical", "systematic", "lensing"), level / ell**2)
        return pd.DataFrame({"ell": ell, **kinds, "tensor": 1e-2 / ell**2, "region": region})

    one = [spectra("deep", 1e-3), spectra("combined", 1e-3)]
    for tables, titles in (
        (one, ["deep"]),
        ([*one, spectra("wide", 1e-1)], ["deep", "all regions combined", "wide"]),
    ):
        data = pd.concat(tables).assign(method="fields", set="unseen")
        figure = plot_residual_spectra(data, {"kinds": ["total", "statistical", "systematic"]})
        assert [axis.get_title() for axis in figure.axes] == titles
        # All that is drawn is within the one range that panels share.
        low, high = figure.axes[0].get_ylim()
        for axis in figure.axes:
            assert axis.get_ylim() == (low, high)
            assert all(low < y < high for line in axis.lines for y in line.get_ydata())
        plt.close(figure)
