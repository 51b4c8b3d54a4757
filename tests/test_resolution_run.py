"""A run whose bands have beams and noise with knees, from the sky to r."""

import healpy as hp
import numpy as np
import pytest
import yaml
from astropy.io import fits
from workflows import REMOVED, jobs_of, new_folder, snakemake, tiny, with_changes

from patchsep.files.maps import read_maps, read_polarization, read_resolution
from patchsep.files.tables import read_table

pytestmark = pytest.mark.workflow

RESOLUTION = {"fwhm": 600, "high_pass": 3}
RESULTS = "results/tiny"
METHODS = "kmeans", "fields"
WANTED = [
    *(f"{RESULTS}/r/sets/training/{method}.csv" for method in METHODS),
    *(f"{RESULTS}/maps/recovered_{method}.fits" for method in METHODS),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = new_folder(tmp_path_factory.mktemp("resolution"), "run")
    (path,) = (folder / "tests").glob("*.yaml")
    instrument = yaml.safe_load(path.read_text())
    n_bands = len(instrument["frequency"])
    instrument |= {"ell_knee": n_bands * [4.0], "knee_slope": n_bands * [-2.0]}
    path.write_text(yaml.safe_dump(instrument))
    settings = with_changes(
        tiny(),
        {
            "resolution": RESOLUTION,
            "methods.fields": {"strategy": "fields"},
            "methods.kmeans.patches.hi": {"beta_dust": 16, "temp_dust": 2, "beta_synch": 2},
            "methods.uniform": REMOVED,
            "selection": {"criteria": ["oracle"]},
            "mocks": {"skies": 2},
            "test_sets": {},
            "figures.drawn": [],
            "spectra.pixel_weights": ["inverse_total_variance"],
            "likelihood.foreground_residual": ["marginalised"],
        },
    )
    snakemake(folder, settings, *WANTED)
    return folder, settings


def test_every_map_says_its_resolution(finished):
    folder, _ = finished
    names = "foregrounds", "cmb", *(f"recovered_{method}" for method in METHODS)
    for name in names:
        assert read_resolution(folder / RESULTS / "maps" / f"{name}.fits") == RESOLUTION, name
    # In the words of FITS, beside HEALPix's own.
    header = fits.getheader(folder / RESULTS / "maps/recovered_fields.fits", 1)
    assert header["FWHM"] == "600.0" and header["HIGHPASS"] == "3.0"


def test_the_recovered_cmb_is_the_smoothed_one_with_noise(finished):
    folder, _ = finished
    (cmb,) = read_polarization(folder / RESULTS / "maps/cmb.fits")
    power = hp.alm2cl(hp.map2alm_spin(cmb, 2)[0])
    # Little is left of E modes at the scale of pixels.
    assert power[15:].max() < 1e-2 * power.max()
    for method in METHODS:
        maps = read_maps(folder / RESULTS / "maps" / f"recovered_{method}.fits")
        found = np.stack([maps["CMB_Q"], maps["CMB_U"]])
        seen = np.isfinite(found[0])
        assert np.std(found[:, seen] - cmb[:, seen]) < np.std(cmb[:, seen])


def test_r_is_measured_from_the_sky_s_spectra(finished):
    folder, _ = finished
    for method in METHODS:
        table = read_table(folder / f"{RESULTS}/r/sets/training/{method}.csv")
        assert np.isfinite(table["r_hat"]).all() and (table["sigma_r_plus"] > 0).all()


def test_another_resolution_simulates_the_sky_anew(finished):
    folder, settings = finished
    other = with_changes(settings, {"resolution": {"fwhm": 700, "high_pass": 3}})
    jobs = jobs_of(snakemake(folder, other, *WANTED, "--dry-run"))
    assert {"simulate_foregrounds", "simulate_cmb", "clean_sky_with_fields"} <= set(jobs)
    # Regions are levels of dust, whose map is another file; theory knows no beam.
    assert "compute_cmb_spectra" not in jobs
