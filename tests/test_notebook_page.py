"""The page about notebooks: what it shows runs."""

import re

import numpy as np
import pytest
from workflows import ROOT

pytestmark = pytest.mark.usefixtures("double_precision")

NSIDE, PIXELS = 16, np.arange(300)


def test_the_fits_that_the_page_shows_run(dense, few_pixels):
    page = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
    fields, patches = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[:2]
    region = few_pixels(PIXELS, scatter=1.0)
    known = {
        "nside": NSIDE,
        "pixels": PIXELS,
        "frequencies": dense.frequency,
        "sigma": dense.sigma,
        "foregrounds": region.foregrounds,
        "cmb": region.cmb,
    }
    exec(fields.replace("lmax=31", "lmax=7"), known)
    assert known["fits"].converged.all()
    assert set(known["measured"].spectra["parameter"]) == {"beta_dust", "temp_dust", "beta_synch"}
    few = patches.replace("1000", "10").replace("100", "5").replace("50", "2")
    exec(few, known)
    assert known["fit"].converged.all()
