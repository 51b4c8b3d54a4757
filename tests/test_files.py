"""Files: what is read is what was written, or it is refused and set aside."""

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from patchsep.files.columns import in_columns
from patchsep.files.maps import ascii_text, read_maps, write_maps
from patchsep.files.tables import read_table, write_table
from patchsep.files.versions import write_provenance
from patchsep.files.whole import DamagedFile

NSIDE = 8
MAPS = {
    "A": np.where(np.arange(12 * NSIDE**2) % 7, np.linspace(-1, 1, 12 * NSIDE**2), np.nan),
    "B": np.arange(12 * NSIDE**2, dtype=np.int32),
}
TABLE = pd.DataFrame({"name": ["a", "b"], "n": [1, 2], "values": [[0.1, 0.2], [0.3, np.nan]]})


def same_maps(found):
    return all(np.array_equal(found[name], MAPS[name], equal_nan=True) for name in MAPS)


@pytest.fixture(params=["maps.fits", "table.parquet"])
def file(request, tmp_path):
    """A file, how it is read, and whether what was read is what was written."""
    path = tmp_path / request.param
    if path.suffix == ".fits":
        write_maps(path, MAPS, ["uK_CMB", ""], "two maps")
        return path, read_maps, same_maps
    write_table(path, TABLE)
    expected = repr(read_table(path).to_dict())
    return path, read_table, lambda found: repr(found.to_dict()) == expected


def test_what_was_written_is_read(file):
    path, read, same = file
    assert same(read(path))


def test_the_same_content_makes_the_same_file(tmp_path):
    for name in ("one.fits", "other.fits"):
        write_maps(tmp_path / name, MAPS, "", "maps")
    assert (tmp_path / "one.fits").read_bytes() == (tmp_path / "other.fits").read_bytes()


def test_no_flipped_bit_goes_unnoticed(file):
    """Wherever it is: what is read is as it was, or the file is refused."""
    path, read, same = file
    content = path.read_bytes()
    changed = refused = 0
    for position in np.linspace(0, len(content), 200, endpoint=False).astype(int):
        flipped = bytearray(content)
        flipped[position] ^= 1 << 4
        path.write_bytes(flipped)
        try:
            changed += not same(read(path))
        except DamagedFile:
            refused += 1
    assert changed == 0
    assert refused > 20


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_set_aside(file, part):
    path, read, _ = file
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DamagedFile, match=rf"{path.name} is damaged.*run the same command again"):
        read(path)
    assert not path.exists()
    assert path.with_name(f"{path.name}.damaged").is_file()


def test_a_missing_file_is_just_that(file):
    path, read, _ = file
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(path)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Teleskop Münster µ", "Teleskop Munster u"),
        ("a\ttab", "a tab"),
        ("Ångström, straße – ½ × “Ł”", 'Angstrom, strasse - 1?2 x "L"'),
        ("日本 β", "?? ?"),
        ("as it is: [1, 2] ~ {'a'}", "as it is: [1, 2] ~ {'a'}"),
    ],
)
def test_headers_have_plain_letters_whatever_is_written_into_them(tmp_path, text, plain):
    assert ascii_text(text) == plain
    path = tmp_path / "maps.fits"
    maps = {f"{text}{name}": values for name, values in MAPS.items()}
    write_maps(path, maps, [text, ""], f"{text}\n{text}", header={"REGION1": text})
    assert list(read_maps(path)) == [f"{plain}{name}" for name in MAPS]
    header = fits.getheader(path, 1)
    assert list(header["COMMENT"])[-2:] == [plain, plain]
    assert header["REGION1"] == header["TUNIT1"] == plain


def test_the_name_of_an_instrument_may_have_any_letters(tmp_path):
    """A foreground simulation writes it into the header of its maps, however long it is."""
    about = "Teleskop Münster µ\t" * 20
    write_maps(tmp_path / "maps.fits", MAPS, "", about)
    assert same_maps(read_maps(tmp_path / "maps.fits"))


def test_columns_are_as_wide_as_they_need_to_be():
    rows = [["name", "r", "n"], ["a", "1.0", "123456"]]
    assert in_columns(rows, 1) == ["name    r       n", "a     1.0  123456"]


def test_provenance_tells_settings_versions_and_what_the_inputs_were(tmp_path):
    maps, masks = tmp_path / "maps.fits", tmp_path / "masks.fits"
    maps.write_bytes(b"of the sky" * 100000)
    masks.write_bytes(b"")
    settings = {"run": "mine", "nside": 64, "sources": ["µ"]}
    write_provenance(tmp_path / "provenance.json", settings, [str(masks), str(maps), str(masks)])
    told = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))
    assert told["settings"] == settings
    assert told["versions"]["numpy"] == np.__version__
    assert list(told["inputs"]) == [str(maps), str(masks)]
    summed = subprocess.run(["sha256sum", maps, masks], capture_output=True, text=True, check=True)
    for line, of_file in zip(summed.stdout.splitlines(), told["inputs"].values(), strict=True):
        assert line.split()[0] == of_file["sha256"]
    assert [of_file["bytes"] for of_file in told["inputs"].values()] == [1000000, 0]
