"""What figures are drawn from."""

import numpy as np
import pandas as pd
import pytest

from patchsep.figures.configurations import best_by_patches, scans
from patchsep.figures.style import with_series
from patchsep.figures.validation import beta_dust_scans
from patchsep.inference.sets import KINDS
from patchsep.inference.tables import relative_to_first
from patchsep.separation.partitions import N_PATCHES, configurations


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
    table = scans(grid(names))
    along = {key: list(rows["configuration"]) for key, rows in table.groupby("parameter")}
    assert along == {
        "beta_dust": ["1-3-5", "2-3-5", "4-3-5"],
        "temp_dust": ["4-3-5", "4-6-5", "4-7-5", "4-8-5"],
    }
    assert table.groupby("parameter")["others"].nunique().eq(1).all()


def test_a_grid_without_a_scan_is_refused():
    with pytest.raises(ValueError, match="no scan of 3 configurations"):
        scans(grid(["1-1-1", "2-1-1"]))


def test_of_as_many_patches_the_best_is_shown():
    best = best_by_patches(grid(["1-1-1", "1-2-1", "2-1-1", "2-9-1"]))
    assert list(best["configuration"]) == ["1-2-1", "2-9-1"]


def test_scans_of_known_patches_leave_the_other_parameters_true():
    names = ["5-2-2", "10-2-2", "10-1-2", "20-2-2"]
    skies = [
        pd.DataFrame({"configuration": names, N_PATCHES[0]: [5, 10, 10, 20], "r_upper68": values})
        for values in ([1.0, 2, 9, 3], [2.0, 4, 9, 6], [3.0, 6, 9, 9])
    ]
    scan = beta_dust_scans(pd.concat(skies).assign(truth="10-2-2"))
    assert list(scan[N_PATCHES[0]]) == [5, 10, 20]
    assert list(scan["median"]) == [2, 4, 6]
    assert (scan["low"] < scan["median"]).all() and (scan["median"] < scan["high"]).all()


def test_curves_are_named_by_method_and_where_there_are_several_by_set():
    data = pd.DataFrame({"method": ["few_patches", "kmeans"], "set": ["choosing", "choosing"]})
    assert list(with_series(data)["series"]) == ["few patches", "kmeans"]
    data["set"] = ["choosing", "other_sky"]
    assert list(with_series(data)["series"]) == ["few patches, choosing", "kmeans, other sky"]


def test_methods_are_compared_with_the_first_of_the_figure():
    label = dict.fromkeys(("region", "configuration", *KINDS), "x") | {"set": "unseen"}
    # Too low is as far off as too high.
    r_hat = {"kmeans": [3.5e-3, 4e-3], "ensemble": [2.9e-3, 3.6e-3]}
    sigma = {"kmeans": [0.5e-3, 1e-3], "ensemble": [0.4e-3, 0.8e-3]}
    tables = {
        name: pd.DataFrame({"r_hat": r_hat[name], "sigma_r_plus": sigma[name]}).assign(**label)
        for name in r_hat
    }
    criteria = pd.DataFrame(
        [
            label
            | {"method": name, "r_input": 3e-3}
            | table[["r_hat", "sigma_r_plus"]].mean().to_dict()
            for name, table in tables.items()
        ]
    )
    samples = {("unseen", name): table for name, table in tables.items()}
    table = relative_to_first(criteria, samples).set_index("method")
    assert table.loc["kmeans", "ratio"] == 1
    assert table.loc["ensemble", "ratio"] == pytest.approx((0.25 + 0.6) / (0.75 + 0.75))
    # 0.5 and 0.7 on the two skies.
    assert table.loc["ensemble", "ratio_error"] == pytest.approx(0.2 / np.sqrt(2))
