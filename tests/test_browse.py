"""Looking at single configurations of a finished run."""

import json
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
import yaml
from matplotlib import pyplot as plt
from workflows import ROOT, tiny

from patchsep.browse import Run, look_at

pytestmark = pytest.mark.workflow


@pytest.fixture
def run(finished, monkeypatch):
    monkeypatch.chdir(finished[0])
    Path("browse.yaml").write_text(yaml.safe_dump(tiny()))
    return Run.open("browse.yaml")


def test_the_best_configuration_comes_first(run):
    table = run.configurations
    assert table["r_upper68"].is_monotonic_increasing
    assert len(table) == 4 + 3


def test_r_and_spectra_are_those_of_the_tables(run):
    for row in run.configurations.to_dict("records"):
        own = row["method"], row["region"], row["configuration"]
        curve = run.r(*own)
        assert curve["r_upper68"].iloc[0] == pytest.approx(row["r_upper68"])
        assert curve["r"][curve["likelihood"].idxmax()] == pytest.approx(row["r_hat"])
        assert len(run.spectra(*own)) == 16


def test_maps_are_those_that_were_recovered(run):
    recovered = hp.read_map(run.folder / "maps" / "recovered_uniform.fits", field=0)
    cleaned = run.clean("uniform", "mid", "1-1-1")
    np.testing.assert_allclose(cleaned.recovered[0][0], recovered[cleaned.pixels], rtol=1e-6)


def test_a_configuration_can_be_looked_at(run):
    figure = look_at(run, "kmeans", "hi", "16-2-2")
    # Three rows of three, and the colour bars of four maps.
    assert len(figure.axes) == 9 + 4
    plt.close(figure)


def test_a_run_that_has_not_ended_is_named(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tiny has no tables yet; run snakemake"):
        Run.open("browse.yaml", tmp_path)


def test_the_notebook_is_code_without_output():
    (path,) = (ROOT / "notebooks").glob("*.ipynb")
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            compile("".join(cell["source"]), path.name, "exec")
