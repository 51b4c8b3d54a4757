"""Fingerprints: different for what matters, equal for what does not."""

import numpy as np
import pytest

from patchsep.files.fingerprints import fingerprint
from patchsep.running.provenance import code_fingerprint

MODULES = {
    "script.py": "from tool.top import run\nfrom tool.logs import log\n",
    "tool/__init__.py": "",
    "tool/top.py": '"""Top."""\n\nfrom .room.deep import VALUE\n\n\ndef run():\n    return VALUE\n',
    "tool/room/deep.py": "from ..base import UNIT\nfrom . import beside\n\nVALUE = UNIT  # one\n",
    "tool/room/beside.py": "BESIDE = 1\n",
    "tool/base.py": "UNIT = 1\n",
    "tool/logs.py": "log = print\n",
    "tool/other.py": "OTHER = 1\n",
    "data.yaml": "a: 1\n",
}


@pytest.fixture
def code(tmp_path):
    """Fingerprint of the script above after an edit."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def edited(name="script.py", old="", new=""):
        # Another folder for each: what was read is remembered.
        folder = tmp_path.with_name(f"{tmp_path.name}-{abs(hash((name, old, new)))}")
        tmp_path.rename(folder)
        path = folder / name
        path.write_text(path.read_text().replace(old, new, 1))
        found = code_fingerprint(folder / "script.py", folder / "tool", folder / "data.yaml")
        path.write_text(MODULES[name])
        folder.rename(tmp_path)
        return found

    return edited


@pytest.mark.parametrize(
    "edit",
    [
        ("tool/room/deep.py", "# one", "# two"),
        ("tool/top.py", "Top.", "The top."),
        ("tool/top.py", "\n\n\n", "\n"),
        ("tool/logs.py", "print", "repr"),
        ("tool/other.py", "1", "2"),
    ],
)
def test_what_does_not_matter(code, edit):
    assert code(*edit) == code()


@pytest.mark.parametrize(
    "edit",
    [
        ("script.py", "run", "run as go"),
        ("tool/top.py", "return VALUE", "return -VALUE"),
        ("tool/room/deep.py", "= UNIT", "= -UNIT"),
        ("tool/room/beside.py", "1", "2"),
        ("tool/base.py", "1", "2"),
        ("data.yaml", "1", "2"),
    ],
)
def test_what_matters(code, edit):
    assert code(*edit) != code()


def test_a_module_that_is_not_there_is_an_error(code):
    with pytest.raises(FileNotFoundError):
        code("tool/top.py", ".deep", ".depths")


def test_arrays_differ_by_content_shape_and_type():
    array = np.arange(6.0)
    others = [array + 1e-15, array.reshape(2, 3), array.astype(np.float32), array[::-1], [0.0]]
    assert len({fingerprint(value) for value in (array, *others)}) == 6
    assert fingerprint(array) == fingerprint(np.arange(12.0)[::2] / 2)
