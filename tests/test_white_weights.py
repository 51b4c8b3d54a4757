"""What a likelihood that is diagonal in pixels costs where noise is not: against a dense one.

A fifth of the sky at nside 8, with beams, knees and filters of instruments at nside 64 on scales
eight times as large. Exact are the noise of the recovered CMB and the errors of
spectral parameters, the same everywhere, with the covariance of the noise between all pixels.
"""

import healpy as hp
import numpy as np
import pytest
import yaml
from workflows import ROOT

from patchsep.instrument.beam import Resolution
from patchsep.instrument.instrument import read_instrument
from patchsep.observation.bands import cmb_weights
from patchsep.observation.correlated_noise import FOREGROUND_SLOPE, noise_of
from patchsep.sky.harmonics import gaussian_qu, synthesize
from patchsep.sky.spectral_model import spectral_model

SCALE = 8
NSIDE, LMAX = 64 // SCALE, 3 * 64 // SCALE - 1
MODEL = spectral_model(
    {
        "dust": {"spectrum": "modified_black_body", "fixed": {"temp_dust": 20.0}},
        "synch": {"spectrum": "power_law"},
    }
)
STEP = 1e-4
# Of multipoles that r is measured at, here on scales eight times as large.
RANGE = slice(30 // SCALE, 128 // SCALE)


# Instruments with the resolution that their bands are brought to; and what was measured, with some
# room: noise of the CMB on average over RANGE, and errors of beta_dust and beta_synch.
COSTS = {
    "so-sat": (Resolution(91.0, high_pass=30), 1.1, (1.7, 1.4)),
    "litebird": (Resolution(71.0), 1.05, (1.2, 1.2)),
}


@pytest.fixture(scope="module", params=COSTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def small(name, tmp_path_factory):
    """The instrument without hits, on larger scales: level, noise, bandpasses, pixels of a cap."""
    content = yaml.safe_load((ROOT / f"config/instruments/{name}.yaml").read_text())
    content.pop("hits", None)
    content["beam"] = [SCALE * fwhm for fwhm in content["beam"]]
    if "ell_knee" in content:
        content["ell_knee"] = [knee / SCALE for knee in content["ell_knee"]]
    path = tmp_path_factory.mktemp("small") / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    instrument, (resolution, *_) = read_instrument(path), COSTS[name]
    high_pass = resolution.high_pass and resolution.high_pass / SCALE
    resolution = Resolution(SCALE * resolution.fwhm, high_pass)
    level, noise = noise_of(instrument, NSIDE, resolution, MODEL)
    pixels = hp.query_disc(NSIDE, hp.ang2vec(0, 0), np.arccos(0.6))
    return level, noise, instrument.bandpasses(3), pixels


def harmonic_basis(pixels):
    """Q, U in pixels (2 n_pixels, n_modes) of every real mode of E and B, and their multipoles."""
    columns, multipoles = [], []
    for kind in range(2):
        for ell in range(2, LMAX + 1):
            for m in range(ell + 1):
                for phase in (1.0,) if m == 0 else (1 / np.sqrt(2), 1j / np.sqrt(2)):
                    alm = np.zeros((2, hp.Alm.getsize(LMAX)), complex)
                    alm[kind, hp.Alm.getidx(LMAX, ell, m)] = phase
                    columns.append(synthesize(alm, 2, NSIDE)[:, pixels].ravel())
                    multipoles.append((kind, ell))
    return np.stack(columns, axis=1), np.array(multipoles)


@pytest.fixture(scope="module")
def dense(small):
    """Of known spectral parameters: covariance of the CMB's noise, exact and with white weights.

    And of the parameters, of one foreground sky.
    """
    level, noise, bandpasses, pixels = small
    basis, multipoles = harmonic_basis(pixels)
    n, n_bands = 2 * len(pixels), len(bandpasses)
    spectrum = noise.spectrum()
    # A white part below all others: what is smoothed has no power at the smallest scales.
    floor = 1e-6 * np.trace((basis * spectrum[3][multipoles[:, 1]]) @ basis.T) / n
    covariance = np.zeros((n_bands, n, n_bands, n))
    for band in range(n_bands):
        covariance[band, :, band] = (basis * spectrum[band][multipoles[:, 1]]) @ basis.T
        covariance[band, :, band] += floor * np.eye(n)
    covariance = covariance.reshape(n_bands * n, -1)
    inverse = np.linalg.inv(covariance)
    white = np.kron(np.diag(1 / level.sigma**2), np.eye(n))

    def columns(parameters):
        values = MODEL.of_component(np.array(parameters))
        spectra = [
            one.in_bands(bandpasses, *own)
            for one, own in zip(MODEL.components, values, strict=True)
        ]
        return [np.ones(n_bands), *spectra]

    start = [parameter.start for parameter in MODEL.parameters]
    mixing = np.kron(np.stack(columns(start), axis=1), np.eye(n))
    ell = np.arange(LMAX + 1.0)
    seen = np.where(ell > 1, np.maximum(ell, 1) ** FOREGROUND_SLOPE, 0) * noise.common**2
    rng = np.random.default_rng(0)
    sky = [gaussian_qu(seen, seen, NSIDE, rng)[:, pixels].ravel() for _ in MODEL.components]
    derivatives = []
    for k, owner in enumerate(MODEL.owners):
        moved = list(start)
        moved[k] += STEP
        change = (columns(moved)[1 + owner] - columns(start)[1 + owner]) / STEP
        derivatives.append(np.kron(change, sky[owner]))
    derivatives = np.stack(derivatives, axis=1)
    result = {"basis": basis, "multipoles": multipoles}
    for name, weight in (("exact", inverse), ("white", white)):
        normal = np.linalg.inv(mixing.T @ weight @ mixing)
        separate = normal @ mixing.T @ weight
        in_cmb = separate[:n]
        result[f"cmb_{name}"] = in_cmb @ covariance @ in_cmb.T
        left = weight @ (derivatives - mixing @ (separate @ derivatives))
        information = np.linalg.inv(derivatives.T @ left)
        score = left.T @ covariance @ left
        result[f"parameters_{name}"] = information @ score @ information
        result[f"stated_{name}"] = information
        result[f"weights_{name}"] = in_cmb
    return result


def power_of(covariance, dense):
    """Of noise with a covariance, what quadratic estimates of E and B have by multipole."""
    projected = np.einsum("pm,pq,qm->m", dense["basis"], covariance, dense["basis"])
    ell = dense["multipoles"][:, 1]
    return np.bincount(ell, projected, LMAX + 1)


def test_white_weights_are_those_of_the_recovered_cmb(small, dense):
    level, _, bandpasses, pixels = small
    weights = cmb_weights(bandpasses, level, MODEL)[:, 0, 0]
    expected = np.kron(weights, np.eye(2 * len(pixels)))
    np.testing.assert_allclose(dense["weights_white"], expected, atol=1e-8)


def test_white_weights_cost_little_noise_in_the_cmb(name, dense):
    exact, white = (power_of(dense[f"cmb_{name}"], dense)[RANGE] for name in ("exact", "white"))
    assert np.all(white >= 0.999 * exact)
    print("noise power, white over exact:", np.round(white / exact, 3))
    assert np.mean(white / exact) < COSTS[name][1]


def test_white_weights_state_errors_of_spectral_parameters_that_are_enough(name, dense):
    exact, white, stated = (
        np.sqrt(np.diag(dense[name]))
        for name in ("parameters_exact", "parameters_white", "stated_white")
    )
    print("errors, white over exact:", white / exact, "; over stated:", white / stated)
    assert np.all(white >= 0.999 * exact)
    assert np.all(white / exact < COSTS[name][2])
    assert np.all((white / stated > 0.7) & (white / stated < 1.03))
