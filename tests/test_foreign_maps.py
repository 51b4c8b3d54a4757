"""Maps from elsewhere, in every layout that their files may have: read right, or refused."""

import gzip
import shutil

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits

from patchsep.files.foreign_maps import (
    UnusableMap,
    find_parameter_map,
    map_names,
    read_foreign_map,
    read_parameter_map,
    regraded,
)

NSIDE = 16
N_PIXELS = hp.nside2npix(NSIDE)
RING = np.arange(N_PIXELS)
# Columns that no reader can take for one another.
MAPS = {name: RING + number * 10.0**5 for number, name in enumerate(("A", "B", "C"))}


def written(path, maps=MAPS, cards=(), **options):
    """A file by healpy, with other cards in its table's header; None takes one away."""
    hp.write_map(
        path, list(maps.values()), column_names=list(maps), overwrite=True, dtype=float, **options
    )
    with fits.open(path, mode="update") as file:
        for keyword, value in dict(cards).items():
            file[1].header.pop(keyword, None)
            if value is not None:
                file[1].header[keyword] = value
    return path


def values_of(path, name):
    return read_foreign_map(path, name).at(NSIDE)


# Layouts


@pytest.fixture
def partial(tmp_path):
    """Three columns of every third pixel; the others are not listed."""
    listed = RING % 3 == 0
    seen = {name: np.where(listed, values, hp.UNSEEN) for name, values in MAPS.items()}
    return written(tmp_path / "partial.fits", seen, partial=True), listed


# The cards that say so are not always there.
@pytest.mark.parametrize("without", [(), ("OBJECT",), ("INDXSCHM",), ("OBJECT", "INDXSCHM")])
@pytest.mark.parametrize("name", MAPS)
def test_columns_of_a_partial_sky_are_those_of_their_names(partial, name, without):
    path, listed = partial
    with fits.open(path, mode="update") as file:
        for keyword in without:
            del file[1].header[keyword]
    assert map_names(path) == list(MAPS)
    np.testing.assert_array_equal(values_of(path, name), np.where(listed, MAPS[name], np.nan))


def test_pixels_that_a_partial_sky_does_not_list_have_the_value_asked_for(partial):
    path, listed = partial
    found = read_foreign_map(path, "B", unknown=0.0).at(NSIDE)
    np.testing.assert_array_equal(found, np.where(listed, MAPS["B"], 0))


def test_a_partial_sky_may_list_its_pixels_in_any_order_and_column(tmp_path):
    pixels = np.array([5, 2, 900])
    table = fits.BinTableHDU.from_columns(
        [fits.Column("VALUE", "D", array=[0.5, 0.2, 9.0]), fits.Column("PIXEL", "J", array=pixels)]
    )
    table.header.update({"NSIDE": NSIDE, "INDXSCHM": "EXPLICIT", "ORDERING": "NESTED"})
    table.writeto(tmp_path / "map.fits")
    found = values_of(tmp_path / "map.fits", "VALUE")
    ring = hp.nest2ring(NSIDE, pixels)
    assert found[ring].tolist() == [0.5, 0.2, 9.0]
    assert np.isfinite(found).sum() == 3


@pytest.mark.parametrize("number_a_row", [1, 1024])
@pytest.mark.parametrize("nest", [False, True], ids=["ring", "nested"])
def test_either_order_is_read_of_any_length_of_rows(tmp_path, nest, number_a_row):
    stored = {name: hp.reorder(one, r2n=True) if nest else one for name, one in MAPS.items()}
    path = written(tmp_path / "m.fits", stored, nest=nest, fits_IDL=number_a_row > 1)
    assert fits.getheader(path, 1)["NAXIS2"] == N_PIXELS // number_a_row
    for name, values in MAPS.items():
        np.testing.assert_array_equal(values_of(path, name), values)


def test_compressed_files_and_maps_in_other_extensions_are_read(tmp_path):
    file = [fits.open(written(tmp_path / f"{name}.fits", {name: MAPS[name]})) for name in "AB"]
    no_map = fits.BinTableHDU.from_columns([fits.Column("BEAM", "D", array=np.ones(N_PIXELS))])
    hdus = fits.HDUList([file[0][0], no_map, file[0][1], file[1][1]])
    hdus.writeto(tmp_path / "both.fits")
    with (
        open(tmp_path / "both.fits", "rb") as plain,
        gzip.open(tmp_path / "b.fits.gz", "wb") as out,
    ):
        shutil.copyfileobj(plain, out)
    for path in (tmp_path / "both.fits", tmp_path / "b.fits.gz"):
        assert map_names(path) == ["A", "B"]
        np.testing.assert_array_equal(values_of(path, "B"), MAPS["B"])


def test_nside_may_follow_from_the_number_of_pixels(tmp_path):
    path = written(tmp_path / "map.fits", cards={"NSIDE": None})
    np.testing.assert_array_equal(values_of(path, "C"), MAPS["C"])


@pytest.mark.parametrize("kind", [">f8", ">f4", ">i2", "u1", "bool"])
def test_maps_of_all_kinds_of_numbers_are_read(tmp_path, kind):
    """In FITS with the most significant byte first, and as logical values."""
    values = (RING % 2).astype(kind)
    code = {"f8": "D", "f4": "E", "i2": "I", "u1": "B", "bool": "L"}[kind.lstrip(">")]
    table = fits.BinTableHDU.from_columns([fits.Column("A", code, array=values)])
    table.header.update({"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "ORDERING": "RING"})
    table.writeto(tmp_path / "map.fits")
    np.savez(tmp_path / "map.npz", A=values)
    for name in ("map.fits", "map.npz"):
        found = values_of(tmp_path / name, "A")
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, RING % 2)


def test_folders_may_have_blanks_and_umlauts(tmp_path):
    folder = tmp_path / "Müllers Karten 2"
    folder.mkdir()
    np.testing.assert_array_equal(values_of(written(folder / "größe.fits"), "A"), MAPS["A"])


# Coordinates


@pytest.mark.parametrize("nest", [False, True], ids=["ring", "nested"])
@pytest.mark.parametrize(
    ("card", "letter"), [("C", "C"), ("Q", "C"), ("E", "E"), ("ecliptic", "E")]
)
def test_maps_in_other_coordinates_are_rotated(tmp_path, card, letter, nest):
    """The height above the Galactic plane is that, in whatever coordinates it is written."""
    pixels = hp.pix2vec(NSIDE, RING, nest=nest)
    height = hp.Rotator(coord=[letter, "G"])(np.array(pixels))[2]
    path = written(tmp_path / "map.fits", {"HEIGHT": height}, {"COORDSYS": card}, nest=nest)
    expected = hp.pix2vec(NSIDE, RING)[2]
    np.testing.assert_allclose(values_of(path, "HEIGHT"), expected, atol=0.015)


@pytest.mark.parametrize("card", ["G", "GALACTIC", "", None])
def test_galactic_maps_and_those_that_do_not_say_are_taken_as_they_are(tmp_path, card):
    path = written(tmp_path / "map.fits", coord="C", cards={"COORDSYS": card})
    np.testing.assert_array_equal(values_of(path, "A"), MAPS["A"])


def test_a_rotation_does_not_average_what_is_not_known(tmp_path):
    seen = np.where(RING % 50, 1.0, hp.UNSEEN)
    path = written(tmp_path / "map.fits", {"A": seen}, coord="C")
    assert np.nanmin(values_of(path, "A")) == pytest.approx(1.0)


# Sentinels


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("sentinel", [hp.UNSEEN, np.nan, np.inf])
def test_unseen_pixels_are_not_known(tmp_path, sentinel, kind):
    values = np.where(RING < 100, sentinel, 1.0).astype(kind)
    hp.write_map(tmp_path / "map.fits", values, column_names=["A"], dtype=kind)
    np.savez(tmp_path / "map.npz", A=values)
    for name in ("map.fits", "map.npz"):
        np.testing.assert_array_equal(
            values_of(tmp_path / name, "A"), np.where(RING < 100, np.nan, 1)
        )


def test_the_files_own_sentinels_are_not_known(tmp_path):
    columns = [
        fits.Column("A", "I", array=np.where(RING < 100, -1, 1), null=-1),
        fits.Column("B", "D", array=np.where(RING < 100, -999.0, 1)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update({"NSIDE": NSIDE, "BAD_DATA": -999.0})
    table.writeto(tmp_path / "map.fits")
    for name in "AB":
        found = values_of(tmp_path / "map.fits", name)
        np.testing.assert_array_equal(found, np.where(RING < 100, np.nan, 1))


@pytest.mark.parametrize("nested", [False, True])
def test_a_coarser_pixel_is_the_mean_of_what_is_known_in_it(nested):
    values = np.repeat(np.arange(12.0), 4)
    values[::4] = np.nan
    values[4:8] = np.nan
    stored = values if nested else hp.reorder(values, n2r=True)
    expected = hp.reorder(np.where(np.arange(12) == 1, np.nan, np.arange(12.0)), n2r=True)
    np.testing.assert_array_equal(regraded(stored, 1, nested), expected)


# Refusals


REFUSED = [
    ({"ORDERING": "NUNIQ"}, "A has ORDERING = NUNIQ, which is not read; convert it to RING or NES"),
    ({"COORDSYS": "terrestrial"}, "A has COORDSYS = TERRESTRIAL, which is not known; make it G, C"),
    ({"NSIDE": 2 * NSIDE}, "A has 3072 pixels, and NSIDE = 32 needs 12288; correct that card"),
    ({"NSIDE": None, "PIXTYPE": None}, "has no table of HEALPix maps"),
]


@pytest.mark.parametrize(("cards", "message"), REFUSED)
def test_a_layout_that_is_not_known_is_refused_by_its_name(tmp_path, cards, message):
    path = written(tmp_path / "map.fits", cards=cards)
    with pytest.raises(UnusableMap) as caught:
        read_foreign_map(path, "A")
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_partial_sky_whose_pixels_cannot_be_is_refused(partial):
    path, _ = partial
    with fits.open(path, mode="update") as file:
        file[1].header["NSIDE"] = NSIDE // 2
    with pytest.raises(UnusableMap, match="A lists pixels 0 … 3069, and NSIDE = 8 has 768"):
        read_foreign_map(path, "A")
    with fits.open(path, mode="update") as file:
        del file[1].header["NSIDE"]
    with pytest.raises(UnusableMap, match="A lists pixels without NSIDE; add this card"):
        read_foreign_map(path, "A")


def test_a_pixel_that_is_listed_twice_is_refused(partial):
    path, _ = partial
    with fits.open(path, mode="update") as file:
        file[1].data["PIXEL"][5] = 3
    with pytest.raises(UnusableMap, match="B lists pixel 3 more than once; list each once"):
        read_foreign_map(path, "B")


def test_two_maps_of_one_name_are_refused(tmp_path):
    with fits.open(written(tmp_path / "one.fits")) as file:
        fits.HDUList([file[0], file[1], file[1].copy()]).writeto(tmp_path / "two.fits")
    with pytest.raises(UnusableMap, match="has several maps A; it has A, B, C, A, B, C"):
        read_foreign_map(tmp_path / "two.fits", "A")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.ones(100), r"ODD is no HEALPix map: its shape is \(100,\)"),
        (np.ones((2, N_PIXELS // 2)), "ODD is no HEALPix map: its shape is"),
        (np.ones(12 * 3**2), "nside a power of two"),
        (np.array(["a"] * N_PIXELS), "ODD does not hold numbers"),
        (np.full(N_PIXELS, 1j), "ODD does not hold numbers"),
        (np.full(N_PIXELS, {}), "ODD cannot be read"),
    ],
)
def test_an_entry_that_is_no_map_is_refused_only_if_it_is_asked_for(tmp_path, other, message):
    path = tmp_path / "maps.npz"
    np.savez(path, **MAPS, ODD=other)
    assert map_names(path) == [*MAPS, "ODD"]
    np.testing.assert_array_equal(values_of(path, "A"), MAPS["A"])
    with pytest.raises(UnusableMap, match=message):
        read_foreign_map(path, "ODD")


# The eight bytes that every PNG begins with.
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", PNG])
@pytest.mark.parametrize("name", ["map.fits", "map.fits.gz", "map.npz", "map.png"])
def test_what_is_no_map_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (map_names, lambda path: read_foreign_map(path, "A")):
        with pytest.raises(UnusableMap, match=rf"{name} cannot be read: it does not hold HEALPix"):
            read(path)


@pytest.mark.parametrize("name", ["map.fits", "map.fits.gz", "map.npz"])
def test_half_a_file_is_refused(tmp_path, name):
    path = tmp_path / name
    np.savez(path, **MAPS) if path.suffix == ".npz" else written(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnusableMap, match=f"{name}.* (cannot be read|has no table).*is damaged"):
        read_foreign_map(path, "C")


def test_a_file_that_is_not_there_is_refused_as_that(tmp_path):
    with pytest.raises(UnusableMap, match=r"none.fits cannot be read: No such file or directory"):
        map_names(tmp_path / "none.fits")


# Maps of parameters


@pytest.mark.parametrize("partial", [False, True])
def test_a_parameters_map_is_found_by_its_name_in_a_partial_sky_too(tmp_path, partial):
    maps = {"Temp_Dust": MAPS["A"], "BETA_DUST": MAPS["B"]}
    path = written(tmp_path / "map.fits", maps, partial=partial)
    np.testing.assert_array_equal(read_parameter_map(path, "beta_dust"), MAPS["B"])
    np.testing.assert_array_equal(find_parameter_map(path, "temp_dust").values, MAPS["A"])


def test_the_only_map_of_a_partial_sky_may_have_any_name(tmp_path):
    path = written(tmp_path / "map.fits", {"SIGNAL": MAPS["A"]}, partial=True)
    np.testing.assert_array_equal(read_parameter_map(path, "beta_dust"), MAPS["A"])


def test_two_maps_of_one_parameter_are_refused(tmp_path):
    path = tmp_path / "map.npz"
    np.savez(path, beta_dust=MAPS["A"], BETA_DUST=MAPS["B"])
    with pytest.raises(UnusableMap, match="name only one of them BETA_DUST"):
        read_parameter_map(path, "beta_dust")
