"""Exported maps: what others are given is what the run analyses, and nothing of the truth."""

import healpy as hp
import numpy as np
import pytest
import yaml
from astropy.io import fits
from workflows import jobs_of, new_folder, snakemake, tiny, with_changes

from patchsep.files.maps import read_maps, read_polarization
from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.correlated_noise import correlated_noise_of
from patchsep.observation.exported import FINER, maps_as_seen, maps_of_regions
from patchsep.observation.region_sky import RegionSky
from patchsep.sky.cmb import simulate_cmb
from patchsep.sky.foregrounds import foregrounds_in_bands
from patchsep.sky.harmonics import analyze, smoothed, synthesize
from patchsep.sky.regions import Regions, regions_of
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as MODEL
from patchsep.studies.exported import write_instruments, write_observation

NSIDE, LMAX = 16, 47
RESOLUTION = Resolution(300.0, high_pass=6)
FEW = {"frequency": [40.0, 100.0, 143.0, 220.0, 353.0], "depth_p": [30.0, 10.0, 8.0, 15.0, 60.0]}
FEW |= {"beam": [250.0, 120.0, 90.0, 60.0, 30.0]}
KNEES = {"ell_knee": [0.0, 10.0, 20.0, 0.0, 15.0], "knee_slope": [0.0, -1.0, -2.0, 0.0, -1.0]}
PIXELS = np.arange(hp.nside2npix(NSIDE))


def hits_file(folder, nside=NSIDE):
    """A file of hits of the northern sky, more of them in the east."""
    longitude, latitude = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    hits = np.where(latitude > 0, np.where(longitude < 180, 4.0, 1.0), hp.UNSEEN)
    hp.write_map(folder / "hits.fits", hits, column_names=["HITS"], dtype=float)
    return "hits.fits"


def exported(path, spectra, response=None, seed=3):
    """Maps of bands as seen, and those that the run simulates at its resolution."""
    bands = read_instrument(path)
    sky, _ = foregrounds_in_bands({"model": "embedded", "seed": 1}, bands, NSIDE, MODEL)
    theory, window = spectra.iloc[: LMAX + 1], RESOLUTION.window(LMAX)
    noise = correlated_noise_of(bands, NSIDE, RESOLUTION)

    def cmb(window, nside):
        return simulate_cmb(theory, 0.01, nside, 2, window)

    maps = list(maps_as_seen(bands, sky.polarization, cmb, noise, seed, 0, response))
    signal = smoothed(sky.polarization, window, NSIDE) + cmb(window, NSIDE)
    signal = signal if response is None else response @ signal
    return bands, np.array(maps), signal, noise


def at_the_resolution(bands, maps):
    """Maps (n_bands, 2, n_pixels) with the window of the resolution in place of their beams."""
    found = []
    for beam, qu in zip(bands.beams, maps, strict=True):
        factor = RESOLUTION.window(LMAX) / beam.window(LMAX)
        alm = analyze(qu, 2, LMAX)
        found.append(synthesize(np.stack([hp.almxfl(one, factor) for one in alm]), 2, NSIDE))
    return np.array(found)


@pytest.mark.parametrize("kind", ["white", "knees", "miscalibrated"])
def test_maps_brought_to_the_resolution_are_those_that_the_run_simulates(kind, instrument, spectra):
    response = None
    if kind == "miscalibrated":
        response = np.tile([[1.01, 0.03], [-0.03, 1.01]], (5, 1, 1))
    path = instrument(**FEW, **(KNEES if kind == "knees" else {}))
    bands, maps, signal, noise = exported(path, spectra, response)
    drawn = noise.draw(3, 0, "")
    difference = at_the_resolution(bands, maps[:, 0]) - signal - drawn
    rms = drawn.std(axis=(1, 2), keepdims=True)
    assert np.abs(np.std(difference / rms, axis=(1, 2))).max() < 0.01
    # Splits too, whose noise is that of the run's.
    halves = at_the_resolution(bands, maps[:, 1]) - signal - drawn - noise.draw(3, 0, " halves")
    assert np.abs(np.std(halves / rms, axis=(1, 2))).max() < 0.01


def test_splits_have_the_map_as_their_mean_and_the_noise_that_is_described(instrument, spectra):
    bands, maps, _, _ = exported(instrument(**FEW), spectra)
    np.testing.assert_allclose(maps[:, 1:].mean(axis=1), maps[:, 0], atol=1e-9)
    depth = bands.depth_p / hp.nside2resol(FINER * NSIDE, arcmin=True)
    half = (maps[:, 1] - maps[:, 2]) / 2
    np.testing.assert_allclose(half.std(axis=(1, 2)) / depth, 1, rtol=0.03)
    # White up to the smallest scales that pixels have.
    for qu, rms in zip(half, depth, strict=True):
        alm = hp.map2alm([0 * qu[0], *qu], iter=0)
        power = hp.alm2cl(alm[1]) / (rms**2 * hp.nside2pixarea(FINER * NSIDE))
        for low, high in ((2, 20), (20, 40), (52, 64)):
            modes = np.sum(2 * np.arange(low, high) + 1)
            assert np.average(power[low:high]) == pytest.approx(1, abs=5 * np.sqrt(2 / modes))


def test_noise_follows_hits_and_what_a_band_does_not_see_is_unseen(tmp_path, instrument, spectra):
    _, maps, _, _ = exported(instrument(**FEW, hits=hits_file(tmp_path)), spectra)
    fine = hp.nside2npix(FINER * NSIDE)
    longitude, latitude = hp.pix2ang(FINER * NSIDE, np.arange(fine), lonlat=True)
    # Of pixels of the run, which hits are known at.
    parents = hp.ang2pix(NSIDE, longitude, latitude, lonlat=True)
    north = hp.pix2ang(NSIDE, PIXELS, lonlat=True)[1][parents] > 0
    np.testing.assert_array_equal(np.isfinite(maps[0, 0, 0]), north)
    half = (maps[:, 1] - maps[:, 2]) / 2
    inside = latitude > 20
    east, west = (inside & (np.abs(longitude - at) < 60) for at in (90, 270))
    ratio = half[..., west].std(axis=(1, 2)) / half[..., east].std(axis=(1, 2))
    np.testing.assert_allclose(ratio, 2, rtol=0.1)


def test_maps_of_regions_are_what_the_run_analyses_bit_for_bit(tmp_path, instrument, spectra):
    bands = read_instrument(instrument(**FEW, hits=[hits_file(tmp_path), None, None, None, None]))
    noise = WhiteNoise.of(bands, NSIDE)
    rng = np.random.default_rng(1)
    skies = [
        RegionSky(
            region=name,
            nside=NSIDE,
            pixels=pixels,
            bandpasses=bands.bandpasses(1),
            noise=noise.of_pixels(pixels),
            foregrounds=rng.standard_normal((5, 2, len(pixels))),
            cmb=rng.standard_normal((2, len(pixels))),
            noise_seed=3,
        )
        for name, pixels in (("hi", PIXELS[:1000]), ("low", PIXELS[1500:]))
    ]
    found = np.array(list(maps_of_regions(skies, 2)))
    sees = np.isfinite(noise.sigma)
    for sky in skies:
        for band, data in enumerate(sky.observe(2)):
            known = sees[band, sky.pixels]
            kept = found[band, 0][:, sky.pixels]
            np.testing.assert_array_equal(kept[:, known], data[:, known])
            assert np.isnan(kept[:, ~known]).all()
    assert np.isnan(found[..., 1000:1500]).all()


def test_a_description_is_copied_with_what_it_names(tmp_path, instrument):
    home, folder = tmp_path, tmp_path / "exported"
    (home / "more").mkdir()
    beam = np.c_[np.arange(200), np.exp(-np.arange(200) / 100)]
    np.savetxt(home / "beam.txt", beam)
    np.savetxt(home / "more/beam.txt", beam ** [1, 2])
    beams = ["beam.txt", "more/beam.txt", 90.0, 60.0, 30.0]
    path = instrument(**{**FEW, "beam": beams, "hits": hits_file(home)})
    (written,) = write_instruments([path], folder)
    given, found = read_instrument(path), read_instrument(written)
    assert found.beams == given.beams and found.labels == given.labels
    (copy,) = set(found.hits)
    assert copy[0].startswith(str(folder))
    np.testing.assert_array_equal(hp.read_map(copy[0]), hp.read_map(home / "hits.fits"))


def test_instruments_that_are_analysed_together_have_the_same_bands_as_before(tmp_path, instrument):
    paths = []
    for name in ("One", "Two"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, "source": "none", **FEW, **KNEES}))
        paths.append(path)
    written = write_instruments(paths, tmp_path / "exported")
    assert [path.name for path in written] == ["instrument_1.yaml", "instrument_2.yaml"]
    assert read_instrument(written).labels == read_instrument(paths).labels


def test_methods_that_know_the_truth_are_left_out_and_named(tmp_path):
    methods = {
        "fields": {"strategy": "fields"},
        "told": {"strategy": "fields", "maps": {"beta_dust": True}},
        "truth": {"strategy": "true_parameters"},
    }
    config = {"run": "a", "nside": 16, "regions": {}, "methods": methods, "noise": {"seed": 1}}
    path = tmp_path / "observation.yaml"
    write_observation(path, config, {"hi": "hi"}, 1)
    assert "told, truth" in path.read_text(encoding="utf-8").splitlines()[1]
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(content["methods"]) == ["fields"] and "noise" not in content


# Through Snakemake


@pytest.fixture(scope="module", params=["without a resolution", "with one"])
def run(request, tmp_path_factory):
    """The folder of a run that exported its maps, and its settings."""
    folder, settings = new_folder(tmp_path_factory.mktemp("export"), "run"), tiny()
    if request.param == "with one":
        settings = with_changes(settings, {"nside": NSIDE, "resolution": {"fwhm": 300.0}})
    snakemake(folder, settings, "export_maps")
    return folder, settings


@pytest.mark.workflow
def test_exported_files_describe_one_another(run, monkeypatch):
    folder, settings = run
    monkeypatch.chdir(folder)
    (path,) = (folder / "results/tiny").glob("exported/observation.yaml")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"foregrounds", "cmb", "noise", "test_sets"}.isdisjoint(content)
    bands = read_instrument(content["instrument"])
    has_beams = "resolution" in settings
    nside = (FINER if has_beams else 1) * settings["nside"]
    for label, beam in zip(bands.labels, bands.beams, strict=True):
        given = content["observation"]
        names = [one.format(band=label) for one in (given["maps"], *given["splits"])]
        for name in names:
            header = fits.getheader(name, 1)
            assert [header[key] for key in ("TTYPE1", "TTYPE2", "TUNIT1")] == ["Q", "U", "uK_CMB"]
            layout = [header[key] for key in ("ORDERING", "COORDSYS", "POLCCONV", "NSIDE")]
            assert layout == ["RING", "G", "COSMO", nside]
            assert float(header.get("FWHM", 0)) == (beam.fwhm if has_beams else 0)
        whole, *halves = (np.stack(list(read_maps(name).values())) for name in names)
        np.testing.assert_allclose(np.mean(halves, axis=0), whole, atol=1e-9)
    cuts = content["regions"]["sky_cuts"]
    files = {f"sky_cuts_{name}_mask": cut["mask"]["file"] for name, cut in cuts.items()}
    cuts = {name: {"mask": {"threshold": 0.5, **cut["mask"]}} for name, cut in cuts.items()}
    drawn = regions_of(content["regions"] | {"sky_cuts": cuts}, files, settings["nside"])
    given = Regions.read("results/tiny/maps/regions.fits")
    assert drawn.names == given.names
    np.testing.assert_array_equal(drawn.labels, given.labels)


@pytest.mark.workflow
def test_exported_maps_are_those_that_the_run_analyses(run, monkeypatch):
    folder, settings = run
    monkeypatch.chdir(folder)
    maps = "results/tiny/maps"
    files = {name: f"{maps}/{name}.fits" for name in ("regions", "foregrounds", "cmb")}
    files["instrument"] = settings["instrument"]
    bands = read_instrument(settings["instrument"])
    for sky in RegionSky.read_all(settings["noise"]["seed"], files, MODEL):
        data, noise = sky.observe(0), sky.draw_noise(sky.noise_seed, 0)
        for label, beam, expected, level in zip(
            bands.labels, bands.beams, data, noise, strict=True
        ):
            qu = np.stack(list(read_maps(f"results/tiny/exported/{label}.fits").values()))
            if "resolution" in settings:
                factor = Resolution(300.0).window(LMAX) / beam.window(LMAX)
                alm = [hp.almxfl(one, factor) for one in analyze(qu, 2, LMAX, iterations=10)]
                qu = synthesize(np.stack(alm), 2, NSIDE)
                error = (qu[:, sky.pixels] - expected).std() / level.std()
                assert error < 0.01
            else:
                np.testing.assert_array_equal(qu[:, sky.pixels], expected)


@pytest.mark.workflow
def test_the_truth_is_in_a_folder_apart(run):
    folder, settings = run
    truth = folder / "results/tiny/exported_truth"
    facts = yaml.safe_load((truth / "truth.yaml").read_text(encoding="utf-8"))
    assert facts["r"] == 0.0 and facts["cmb_seed"] == settings["cmb"]["seed"]
    for name in ("cmb", "foregrounds"):
        one, other = truth / f"{name}.fits", folder / f"results/tiny/maps/{name}.fits"
        np.testing.assert_array_equal(read_polarization(one), read_polarization(other))


@pytest.mark.workflow
def test_another_noise_seed_exports_again_and_simulates_no_sky(run):
    folder, settings = run
    other = with_changes(yaml.safe_load(yaml.safe_dump(settings)), {"noise.seed": 4})
    jobs = jobs_of(snakemake(folder, other, "export_maps", "--dry-run"))
    assert jobs == {"export_maps": 1, "export_training_sky": 1}
