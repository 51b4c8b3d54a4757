"""The CMB against CAMB called in another way, and the maps drawn from its spectra."""

import camb
import healpy as hp
import numpy as np
import pytest

from patchsep.sky.cmb import PUBLISHED_COSMOLOGY, cmb_spectra, simulate_cmb

LMAX, NSIDE = 300, 32
ELL = slice(2, None)


def run_camb(r, zre=None, **cosmology):
    """CAMB through its one-call interface."""
    parameters = camb.set_params(
        r=r, WantTensors=r > 0, lmax=2000, max_l_tensor=600, lens_potential_accuracy=1, **cosmology
    )
    if zre is not None:
        parameters.Reion.use_optical_depth = False
        parameters.Reion.redshift = zre
    return camb.get_results(parameters)


def polarization(cls):
    """EE and BB of CAMB's columns TT, EE, BB, TE."""
    return cls[ELL, 1], cls[ELL, 2]


@pytest.fixture(scope="module")
def with_tensors(cosmology):
    return run_camb(r=0.1, **cosmology)


def test_scalar_spectra_are_cambs_lensed_ones(spectra, with_tensors):
    expected = with_tensors.get_lensed_scalar_cls(LMAX, CMB_unit="muK", raw_cl=True)
    ee, bb = polarization(expected)
    np.testing.assert_allclose(spectra["ee_scalar"][ELL], ee, rtol=1e-6)
    np.testing.assert_allclose(spectra["bb_lensing"][ELL], bb, rtol=1e-6)


def test_tensor_spectra_are_cambs_per_unit_r(spectra, with_tensors):
    ee, bb = polarization(with_tensors.get_tensor_cls(LMAX, CMB_unit="muK", raw_cl=True))
    np.testing.assert_allclose(0.1 * spectra["ee_tensor"][ELL], ee, rtol=1e-6)
    np.testing.assert_allclose(0.1 * spectra["bb_tensor"][ELL], bb, rtol=1e-6)


def test_spectra_add_up_to_cambs_total(spectra, with_tensors):
    ee, bb = polarization(with_tensors.get_total_cls(LMAX, CMB_unit="muK", raw_cl=True))
    np.testing.assert_allclose(
        spectra["ee_scalar"][ELL] + 0.1 * spectra["ee_tensor"][ELL], ee, rtol=1e-6
    )
    np.testing.assert_allclose(
        spectra["bb_lensing"][ELL] + 0.1 * spectra["bb_tensor"][ELL], bb, rtol=1e-6
    )


def test_the_published_cosmology_has_the_consistency_relation_and_reionization_at_z_10():
    """At r = 1 and to second order, n_t = -r/8 (2 - n_s - r/8) runs by r/8 (r/8 + n_s - 1)."""
    found = cmb_spectra(PUBLISHED_COSMOLOGY, LMAX)
    shared_keys = {key: PUBLISHED_COSMOLOGY[key] for key in ("H0", "ombh2", "omch2", "mnu", "As")}
    ns = PUBLISHED_COSMOLOGY["ns"]
    tilt = {"nt": -(2 - ns - 1 / 8) / 8, "ntrun": (1 / 8 + ns - 1) / 8}
    explicit = run_camb(r=1.0, zre=10.0, ns=ns, **tilt, **shared_keys)
    _, tensor = polarization(explicit.get_tensor_cls(LMAX, CMB_unit="muK", raw_cl=True))
    _, lensing = polarization(explicit.get_lensed_scalar_cls(LMAX, CMB_unit="muK", raw_cl=True))
    np.testing.assert_allclose(found["bb_tensor"][ELL], tensor, rtol=1e-6)
    np.testing.assert_allclose(found["bb_lensing"][ELL], lensing, rtol=1e-6)


def test_consistency_relation_tilts_the_tensor_spectrum_by_minus_one_eighth(spectra, cosmology):
    """At leading order n_t = -r/8; the next order is a tenth of it.

    Where ell > 150 a multipole sees one wavenumber, ell over the distance to the CMB.
    """
    tilted = cmb_spectra(cosmology | {"nt": None}, LMAX)
    ell = np.arange(150, LMAX)
    ratio = (tilted["bb_tensor"] / spectra["bb_tensor"])[ell]
    slope = np.polyfit(np.log(ell), np.log(ratio), 1)[0]
    assert slope == pytest.approx(-1 / 8, rel=0.15)


def test_cmb_is_the_same_for_the_same_seed_and_another_for_another(spectra):
    first = simulate_cmb(spectra, 0.01, NSIDE, seed=1)
    np.testing.assert_array_equal(simulate_cmb(spectra, 0.01, NSIDE, seed=1), first)
    other = simulate_cmb(spectra, 0.01, NSIDE, seed=2)
    assert np.abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1


def healpy_alm(sky):
    """E and B coefficients of a full-sky map, iterated until band-limited maps are exact."""
    return np.array(hp.map2alm([np.zeros_like(sky[0]), *sky], lmax=2 * NSIDE, iter=10)[1:])


@pytest.fixture(scope="module")
def band_limited(spectra):
    return spectra.iloc[: 2 * NSIDE + 1]


@pytest.mark.parametrize("r", [0.0, 1.0])
def test_cmb_maps_have_lensed_scalar_plus_r_tensor_power(band_limited, r):
    n_skies = 20
    alms = [healpy_alm(simulate_cmb(band_limited, r, NSIDE, seed)) for seed in range(n_skies)]
    found = np.mean([[hp.alm2cl(e), hp.alm2cl(b)] for e, b in alms], axis=0)
    table = band_limited
    expected = np.stack(
        [
            table["ee_scalar"] + r * table["ee_tensor"],
            table["bb_lensing"] + r * table["bb_tensor"],
        ]
    )
    n_modes = n_skies * (2 * table["ell"].to_numpy() + 1)[ELL]
    pulls = (found[:, ELL] / expected[:, ELL] - 1) * np.sqrt(n_modes / 2)
    assert np.all(np.abs(pulls) < 4)
    assert np.mean(pulls**2) == pytest.approx(1, abs=4 * np.sqrt(2 / pulls.size))


def test_r_only_scales_the_modes_of_a_sky(band_limited):
    without, with_r = (healpy_alm(simulate_cmb(band_limited, r, NSIDE, seed=1)) for r in (0, 0.1))
    ell = hp.Alm.getlm(2 * NSIDE)[0]
    for modes, scaled, mode in zip(without, with_r, ("ee_scalar", "bb_lensing"), strict=True):
        tensor = 0.1 * band_limited[f"{mode[:2]}_tensor"]
        growth = np.sqrt(1 + tensor / band_limited[mode]).fillna(0).to_numpy()[ell]
        np.testing.assert_allclose(scaled, growth * modes, atol=1e-8 * np.abs(scaled).max())
