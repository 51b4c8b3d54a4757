"""Bandpowers as a SACC file: what other codes read there is what the tables have."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sacc
from workflows import ROOT

from patchsep.files.sacc_file import write_sacc
from patchsep.instrument.beam import Beam
from patchsep.spectra.estimator import Estimator

NSIDE = 8
BEAM = Beam(120.0).window(3 * NSIDE - 1)
SPECTRA = ["bb", "noise_bias", "lensing", "tensor", "residual"]
ABOUT = {"run": "mine", "nside": NSIDE, "estimator": "pure"}


@pytest.fixture(scope="module")
def estimators():
    """Of a cap and of a band of the sky, whose bins see multipoles beyond their own."""
    z = np.cos(np.linspace(0, np.pi, 12 * NSIDE**2))
    parts = {"cap": z > 0.3, "band": np.abs(z) < 0.6}
    return {name: Estimator("pure", part.astype(float), 3) for name, part in parts.items()}


@pytest.fixture(scope="module")
def tables(estimators):
    """Bandpowers, covariance and windows with other numbers everywhere; the first bin is unused."""
    rng = np.random.default_rng(1)
    bandpowers, covariances, windows = [], [], []
    for region, estimator in estimators.items():
        window = estimator.windows
        n_bins = len(window)
        rows = pd.DataFrame({"region": region, "ell": estimator.ell, "used": np.arange(n_bins) > 0})
        bandpowers.append(rows.assign(**{name: rng.normal(size=n_bins) for name in SPECTRA}))
        root = rng.normal(size=(n_bins, 2 * n_bins))
        covariances.append(long(region, root @ root.T, "other", "covariance"))
        windows.append(long(region, window, "ell", "window"))
    return tuple(map(pd.concat, (bandpowers, covariances, windows)))


def long(region, matrix, column, values):
    table = pd.DataFrame(matrix).rename_axis(index="bin", columns=column).stack()
    return table.rename(values).reset_index().assign(region=region)


@pytest.fixture(scope="module")
def path(tables, tmp_path_factory):
    path = tmp_path_factory.mktemp("sacc") / "bandpowers.sacc.fits"
    write_sacc(path, *tables, BEAM, ABOUT)
    return path


@pytest.fixture
def read(path):
    return sacc.Sacc.load_fits(str(path))


def test_values_of_bins_that_are_used_are_those_of_the_tables(read, tables):
    bandpowers = tables[0]
    for region, rows in bandpowers[bandpowers["used"]].groupby("region"):
        ell, bb = read.get_ell_cl("cl_bb", region, region)
        assert np.array_equal(ell, rows["ell"])
        assert np.array_equal(bb, rows["bb"])
        for name in SPECTRA[1:]:
            assert np.array_equal(read.get_tag(name, "cl_bb", (region, region)), rows[name])


def test_the_covariance_is_full_within_a_region_and_0_between_regions(read, tables):
    _, covariance, _ = tables
    for region in ("cap", "band"):
        _, _, found = read.get_ell_cl("cl_bb", region, region, return_cov=True)
        rows = covariance[covariance["region"] == region]
        assert np.array_equal(
            found, rows.pivot(index="bin", columns="other")["covariance"][1:].T[1:]
        )
        assert np.count_nonzero(found) == found.size
    one, other = (read.indices("cl_bb", (name, name)) for name in ("cap", "band"))
    assert not read.covariance.dense[np.ix_(one, other)].any()


def test_a_theory_through_the_windows_is_what_the_estimator_expects(read, estimators):
    theory = np.exp(-np.arange(3.0 * NSIDE) / 7)
    for region, estimator in estimators.items():
        found = read.get_bandpower_windows(read.indices("cl_bb", (region, region)))
        through = found.weight.T @ theory[found.values]
        assert np.allclose(through, estimator.expected(theory)[1:], rtol=1e-12, atol=0)
        assert np.abs(through / theory[np.rint(estimator.ell[1:]).astype(int)] - 1).max() > 1e-3


def test_tracers_tell_the_beam_and_metadata_the_run(read):
    assert list(read.tracers) == ["cap", "band"]
    for tracer in read.tracers.values():
        assert (tracer.quantity, tracer.spin) == ("cmb_polarization", 2)
        assert tracer.map_unit == "uK_CMB"
        assert np.array_equal(tracer.ell, np.arange(len(BEAM)))
        assert np.array_equal(tracer.beam, BEAM)
    assert read.metadata == ABOUT


def test_a_bin_without_window_or_covariance_is_refused_and_nothing_is_left(tables, tmp_path):
    bandpowers, covariance, windows = tables
    path = tmp_path / "new" / "bandpowers.sacc.fits"
    for given in ((covariance, windows.iloc[:-1]), (covariance[covariance["bin"] > 0], windows)):
        with pytest.raises(ValueError, match=r"bins of region .* one row for each"):
            write_sacc(path, bandpowers, *given, BEAM, ABOUT)
    assert not path.exists()


@pytest.mark.parametrize("unused", [("cap",), ("cap", "band")])
def test_a_region_may_have_no_bin_that_is_used(tables, tmp_path, unused):
    bandpowers, *others = tables
    used = bandpowers["used"] & ~bandpowers["region"].isin(unused)
    write_sacc(tmp_path / "few.sacc.fits", bandpowers.assign(used=used), *others, BEAM, ABOUT)
    found = sacc.Sacc.load_fits(str(tmp_path / "few.sacc.fits"))
    assert list(found.tracers) == ["cap", "band"]
    expected = bandpowers["bb"][used]
    assert np.array_equal(found.mean, expected)


def test_the_library_is_imported_only_to_write():
    code = "import sys, patchsep.files.sacc_file; print(*set(sys.modules) & {'sacc', 'scipy'})"
    home = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
