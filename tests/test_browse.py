"""A finished run, looked at from a notebook."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from workflows import ROOT, tiny

from patchsep.running.browse import Run, look_at

pytestmark = pytest.mark.workflow


@pytest.fixture
def browsed(finished, monkeypatch):
    monkeypatch.chdir(finished[0])
    Path("browse.yaml").write_text(yaml.safe_dump(tiny()))
    return Run.open("browse.yaml")


def test_the_best_configuration_comes_first(browsed):
    table = browsed.configurations
    assert table["r_upper68"].is_monotonic_increasing
    # K-means alone has something to choose.
    assert len(table) == 4 and set(table["method"]) == {"kmeans"}


def test_r_and_spectra_are_those_of_the_tables(browsed):
    for row in browsed.configurations.to_dict("records"):
        own = row["method"], row["region"], row["configuration"]
        curve = browsed.r(*own)
        assert curve["r_upper68"].iloc[0] == pytest.approx(row["r_upper68"])
        assert curve["r"][curve["likelihood"].idxmax()] == pytest.approx(row["r_hat"])
        assert len(browsed.spectra(*own)) == 16
    for row in browsed.summary.query("set == 'training'").to_dict("records"):
        own = row["method"], row["region"]
        curve = browsed.r(*own)
        assert curve["r_upper68"].iloc[0] == pytest.approx(row["r_upper68"])
        assert curve["r"][curve["likelihood"].idxmax()] == pytest.approx(row["r_hat"])
        assert len(browsed.spectra(*own)) == 16


def test_maps_of_a_configuration_are_those_that_were_recovered(browsed):
    summary = browsed.summary.query("set == 'training' and method == 'kmeans' and region == 'hi'")
    selected, again = (
        browsed.maps("kmeans", "hi", name) for name in (None, summary["configuration"].iloc[0])
    )
    assert set(selected) == set(again)
    inside = np.isfinite(selected["CMB_Q"])
    assert 0 < inside.sum() < len(inside)
    for name, values in selected.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-6, err_msg=name)


def test_methods_and_configurations_can_be_looked_at(browsed):
    for configuration in (None, "16-2-2"):
        figure = look_at(browsed, "kmeans", "hi", configuration)
        # Three rows of three, and the colour bars of four maps.
        assert len(figure.axes) == 9 + 4
        plt.close(figure)


def test_a_run_that_has_not_ended_is_named(browsed, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tiny has no tables yet; run snakemake"):
        Run.open("browse.yaml", tmp_path)


def test_the_notebook_runs_on_a_finished_run(finished):
    folder = finished[0]
    (path,) = (ROOT / "notebooks").glob("*.ipynb")
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(tiny()))
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": folder}}
    client = NotebookClient(notebook, timeout=120, shutdown_kernel="immediate", resources=where)
    client.execute()
    *_, table, menus = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert "kmeans" in table["outputs"][0]["data"]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in menus["outputs"][-1]["data"]
    # The figure is an output of one of the widgets.
    (shown,) = (state["outputs"] for state in client.widget_state.values() if state.get("outputs"))
    assert [output for output in shown if "image/png" in output.get("data", {})]


def test_the_notebook_is_code_without_output():
    (path,) = (ROOT / "notebooks").glob("*.ipynb")
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            compile("".join(cell["source"]), path.name, "exec")
