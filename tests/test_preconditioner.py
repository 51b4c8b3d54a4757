"""Rough inverses of the curvature: what of them is exact, against the curvature written out."""

import healpy as hp
import numpy as np
import pytest

from patchsep.fields.basis import Basis, Variation, by_multipole, exact_below
from patchsep.fields.fit import conjugate_gradients, curvature_of

NSIDE = 8
NPIX = hp.nside2npix(NSIDE)


def fields(pixels, rng, lmaxes=(8, 5)):
    """Two fields of other multipoles, patches, a value, and values of pixels' own."""
    first, second = (0.1 + rng.random(lmax + 1) for lmax in lmaxes)
    variations = (
        Variation(1.5, offset=0.2, power=first),
        Variation(20.0, labels=rng.integers(5, size=len(pixels))),
        Variation(-3.0, offset=0.3, power=second),
        Variation(0.0, offset=0.1),
        Variation(0.0, remainder=np.inf),
    )
    return Basis(variations, pixels, NSIDE)


def written_out(times, size):
    return np.stack([times(one) for one in np.eye(size)], axis=1)


def of_harmonics(basis):
    """Numbers of the coefficients that are not those of patches."""
    return np.flatnonzero(basis.precision > 0)


def positive(rng, n_pixels):
    """Curvatures of five parameters that nearly all look alike, and differ by pixel."""
    root = rng.standard_normal((5, 5, n_pixels)) + 5 * rng.standard_normal((5, 1, n_pixels))
    return np.einsum("kan,man->kmn", root, root)


def test_blocks_of_a_whole_sky_of_one_curvature_are_its_inverse():
    """But for HEALPix, whose functions are orthogonal to a part in a thousand."""
    rng = np.random.default_rng(1)
    basis = fields(np.arange(NPIX), rng)
    curvature = np.repeat(positive(rng, 1), NPIX, axis=2)
    curvature[1] = curvature[:, 1] = 0.0  # Patches are not orthogonal to fields.
    rows = np.ix_(of_harmonics(basis), of_harmonics(basis))
    matrix = written_out(curvature_of(basis, curvature), basis.size)[rows]
    inverse = written_out(by_multipole(basis, curvature), basis.size)[rows]
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-15)
    blocks = np.linalg.inv(inverse)
    # Every multipole and m has a block of its own, and the same for all m.
    error = np.abs(blocks - matrix) / np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    assert np.max(error) < 0.02
    assert np.linalg.cond(inverse @ matrix) < 1.2 < 100 < np.linalg.cond(matrix)


def test_low_multipoles_are_inverted_to_rounding_on_any_sky():
    rng = np.random.default_rng(2)
    for pixels in (np.arange(NPIX), rng.permutation(NPIX)[:300], np.arange(100, 140)):
        basis, curvature = fields(pixels, rng), positive(rng, len(pixels))
        rows = np.ix_(of_harmonics(basis), of_harmonics(basis))
        matrix = written_out(curvature_of(basis, curvature), basis.size)[rows]
        inverse = written_out(exact_below(basis, curvature), basis.size)[rows]
        np.testing.assert_allclose(inverse @ matrix, np.eye(len(matrix)), atol=1e-9)


def test_beyond_low_multipoles_blocks_are_taken(monkeypatch):
    monkeypatch.setattr("patchsep.fields.basis.LOW", 6)
    rng = np.random.default_rng(3)
    pixels = np.arange(500)
    basis, curvature = fields(pixels, rng), positive(rng, len(pixels))
    exact, rough = exact_below(basis, curvature), by_multipole(basis, curvature)
    high = np.zeros(basis.size, dtype=bool)
    high[basis.slices[0]] = basis.parts[0].ell > 6
    vector = rng.standard_normal(basis.size)
    np.testing.assert_array_equal(exact(vector)[high], rough(vector)[high])
    matrix = written_out(curvature_of(basis, curvature), basis.size)
    low = (basis.precision > 0) & ~high
    expected = np.linalg.solve(matrix[np.ix_(low, low)], vector[low])
    np.testing.assert_allclose(exact(vector)[low], expected, rtol=1e-8, atol=1e-10)
    assert np.all(np.linalg.eigvalsh(written_out(exact, basis.size)) > 0)


def test_patches_have_their_diagonal():
    rng = np.random.default_rng(4)
    pixels = np.arange(500)
    basis, curvature = fields(pixels, rng), positive(rng, len(pixels))
    patches, vector = basis.slices[1], rng.standard_normal(basis.size)
    sums = np.bincount(basis.variations[1].labels, curvature[1, 1])
    for inverse in (by_multipole(basis, curvature), exact_below(basis, curvature)):
        np.testing.assert_allclose(inverse(vector)[patches], vector[patches] / sums, rtol=1e-12)
    alone = Basis(basis.variations[1:2], pixels, NSIDE)
    for inverse in (by_multipole, exact_below):
        found = inverse(alone, curvature[1:2, 1:2])(vector[patches])
        np.testing.assert_allclose(found, vector[patches] / sums, rtol=1e-12)


@pytest.mark.parametrize("brightness", [1.0, 1e4])
def test_conjugate_gradients_end_at_once_where_the_inverse_is_exact(brightness):
    """Whatever part of the sky is seen, and however bright parts of it are."""
    rng = np.random.default_rng(5)
    pixels = np.arange(400)
    variations = tuple(Variation(0.0, offset=1.0, power=1 + rng.random(9)) for _ in range(3))
    basis = Basis(variations, pixels, NSIDE)
    bright = brightness ** rng.random(len(pixels))
    curvature = bright * positive(rng, len(pixels))[:3, :3]
    right = rng.standard_normal(basis.size)
    steps = [
        conjugate_gradients(curvature_of(basis, curvature), right, inverse(basis, curvature), 1e-6)[
            1
        ]
        for inverse in (by_multipole, exact_below)
    ]
    assert steps[1] == 1
    assert steps[0] > 20
