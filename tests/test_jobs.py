"""How a job ends that cannot go on: in a sentence, where the error is explained."""

import subprocess
import sys

import healpy as hp
import numpy as np
import pytest
from workflows import ROOT, new_folder, snakemake, tiny

from patchsep.files.foreign_maps import read_parameter_map
from patchsep.files.maps import read_maps
from patchsep.running.jobs import is_explained
from patchsep.sky.regions import full_sky

JOB = """
import sys
import pandas as pd
from patchsep.inference.selection import select
from patchsep.running.jobs import begin

begin(sys.argv[1])
select(pd.DataFrame({columns}), "mocks")
"""


@pytest.fixture
def map_of_something(tmp_path):
    """A file of two maps, of which none is a spectral parameter."""
    path = tmp_path / "maps.fits"
    hp.write_map(path, np.ones((2, 768)), column_names=["ONE", "OTHER"])
    return path


def caught(function, *arguments):
    with pytest.raises(Exception) as error:
        function(*arguments)
    return error.value, error.tb


def test_an_error_that_the_package_raises_is_explained(map_of_something):
    assert is_explained(*caught(read_parameter_map, map_of_something, "beta_dust"))


def test_an_error_of_python_or_of_a_library_is_not():
    assert not is_explained(*caught(full_sky, np.zeros(3), np.array([100]), 1, 0.0))
    assert not is_explained(*caught(read_maps, "none.fits"))


def stopped(folder, columns):
    """Status, standard error and log of a job whose table has some columns."""
    text = ", ".join(f"{name!r}: [float('nan')]" for name in columns)
    run = subprocess.run(
        [sys.executable, "-c", JOB.format(columns=f"{{{text}}}"), folder / "job.log"],
        cwd=ROOT / "workflow",
        capture_output=True,
        text=True,
        timeout=120,
    )
    return run.returncode, run.stderr, (folder / "job.log").read_text()


def test_an_explained_error_ends_a_job_with_its_message_alone(tmp_path):
    status, said, log = stopped(tmp_path, ["configuration", "mocks"])
    message = "criterion mocks is not known for [nan]"
    assert status == 1
    assert said == f"patchsep stopped: {message}\n"
    assert log.endswith(f"stopped: {message}\n")
    assert "Traceback" not in log


def test_an_unexpected_error_keeps_its_traceback(tmp_path):
    status, said, log = stopped(tmp_path, ["mocks"])
    assert status == 1
    assert "Traceback" in said
    assert "Traceback" in log


@pytest.mark.workflow
def test_a_job_of_the_workflow_ends_without_a_traceback(tmp_path):
    folder = new_folder(tmp_path, "run")
    maps = folder / "results/tiny/maps"
    snakemake(folder, tiny(), "results/tiny/maps/dust_intensity.fits")
    damaged = maps / "dust_intensity.fits"
    damaged.write_bytes(damaged.read_bytes()[:-2880])
    said = snakemake(folder, tiny(), "results/tiny/maps/regions.fits", succeeds=False)
    assert "patchsep stopped: " in said and "dust_intensity.fits is damaged" in said
    assert "Traceback" not in said
