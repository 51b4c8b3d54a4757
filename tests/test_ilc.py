"""Blind separation by BROOM: the CMB is kept, the foregrounds are not, and weights are blind."""

import re
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from patchsep.instrument.noise import WhiteNoise
from patchsep.separation.ilc import ILC, ilc
from patchsep.sky.harmonics import analyze, gaussian_qu
from patchsep.sky.regions import full_sky

NSIDE = 16
N_PIXELS = 12 * NSIDE**2
PIXELS = np.arange(N_PIXELS // 2)
# Of maps of weighted bands, HEALPix tells higher multipoles less well.
LMAX = 3 * NSIDE // 2
ELL = np.maximum(np.arange(3 * NSIDE), 2.0)
BB = 1e-6 * np.ones(3 * NSIDE)

needs_broom = pytest.mark.skipif(
    find_spec("broom") is None, reason="needs BROOM (pip install -r envs/peers.txt)"
)


def run(sky, name, data=None, foregrounds=None, pixels=PIXELS, **options):
    return ilc(
        name,
        sky["data"] if data is None else data,
        sky["foregrounds"] if foregrounds is None else foregrounds,
        pixels,
        sky["frequencies"],
        sky["noise"],
        BB,
        **options,
    )


def rms(maps):
    return np.sqrt(np.mean(maps**2))


@pytest.fixture(scope="module")
def sky(dense):
    """Dust and synchrotron of the same spectra everywhere, in next to no noise."""
    rng = np.random.default_rng(0)
    templates = np.stack([gaussian_qu(*2 * [scale * ELL**-2.4], NSIDE, rng) for scale in (3, 300)])
    mixing = dense.mixing(1.54, 20.0, -3.0)[:, 1:]
    foregrounds = np.einsum("bc,csp->bsp", mixing, templates)
    cmb = gaussian_qu(100 * BB, BB, NSIDE, rng)
    noise = WhiteNoise(1e-3 * dense.sigma)
    draws = [noise.draw(N_PIXELS, 0, number, "full_sky") for number in range(2)]
    return {
        "frequencies": dense.frequency,
        "noise": noise,
        "cmb": cmb,
        "foregrounds": foregrounds,
        "data": [foregrounds + cmb + draw for draw in draws],
    }


@pytest.fixture(scope="module", params=ILC)
def recovered(sky, request):
    return run(sky, request.param)


@needs_broom
def test_foregrounds_of_one_spectrum_are_removed(sky, recovered):
    faintest = min(rms(band) for band in sky["foregrounds"])
    assert rms(recovered.systematic) < 0.02 * faintest


@needs_broom
def test_the_cmb_is_kept(sky, recovered):
    """To within what chance correlations take of it."""
    for cmb in recovered.cmb:
        difference = full_sky(cmb - sky["cmb"][:, PIXELS], PIXELS, NSIDE)
        wrong, all_of_it = (
            np.sum(np.abs(analyze(maps, 2, LMAX)) ** 2)
            for maps in (difference, full_sky(sky["cmb"][:, PIXELS], PIXELS, NSIDE))
        )
        assert wrong < 0.05 * all_of_it


@needs_broom
@pytest.mark.parametrize("name", ILC)
def test_what_all_bands_share_comes_out_as_it_went_in(sky, name):
    """The weights of the data, on a CMB in place of the foregrounds: they sum to one."""
    same = np.broadcast_to(sky["cmb"], sky["foregrounds"].shape)
    found = run(sky, name, foregrounds=same, pixels=np.arange(N_PIXELS)).systematic
    modes, expected = (analyze(maps, 2, LMAX) for maps in (found, sky["cmb"]))
    for field, true in zip(modes, expected):
        np.testing.assert_allclose(field, true, rtol=0, atol=0.02 * np.abs(true).max())


@needs_broom
def test_weights_do_not_depend_on_the_foregrounds_told(sky):
    recovered, blind = (run(sky, "nilc", foregrounds=s * sky["foregrounds"]) for s in (1, 2))
    np.testing.assert_allclose(blind.cmb, recovered.cmb, atol=1e-12)
    np.testing.assert_allclose(blind.systematic, 2 * recovered.systematic, rtol=1e-6, atol=1e-12)


@needs_broom
def test_the_systematic_is_the_mean_over_realisations(sky):
    together = run(sky, "nilc")
    alone = [run(sky, "nilc", data=[maps]) for maps in sky["data"]]
    np.testing.assert_allclose(together.cmb, np.concatenate([one.cmb for one in alone]))
    np.testing.assert_allclose(
        together.systematic, np.mean([one.systematic for one in alone], axis=0)
    )


@needs_broom
def test_e_modes_can_be_those_of_the_truth(sky):
    everywhere = np.arange(N_PIXELS)
    cmb = run(sky, "nilc", pixels=everywhere, true_cmb=sky["cmb"]).cmb[0]
    e_modes = analyze(cmb - sky["cmb"], 2, LMAX)[0]
    assert np.abs(e_modes).max() < 1e-3 * np.abs(analyze(sky["cmb"], 2, LMAX)[0]).max()


@needs_broom
def test_settings_of_the_run_can_be_others(sky):
    moments = {"components": ["0d", "0s"]}
    assert rms(run(sky, "moment_ilc", constraints=moments).cmb - run(sky, "moment_ilc").cmb) > 0


def test_a_part_of_the_sky_is_refused(sky):
    part = sky["foregrounds"][..., PIXELS]
    with pytest.raises(ValueError, match="full sky"):
        run(sky, "nilc", data=[part], foregrounds=part)


def test_an_unknown_name_is_refused(sky):
    with pytest.raises(ValueError, match="choose one of nilc, mc_nilc, moment_ilc"):
        run(sky, "ilc")


def test_without_broom_one_is_told_how_to_install_it(sky, monkeypatch):
    monkeypatch.setitem(sys.modules, "broom", None)
    with pytest.raises(ImportError, match=re.escape("pip install -r envs/peers.txt")):
        run(sky, "nilc")
