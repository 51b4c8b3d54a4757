"""Configurations that are refused, for tests of what the message says."""

import healpy as hp
import numpy as np
import pytest
import yaml
from workflows import ROOT, with_changes

from patchsep.running.schema import SettingsError
from patchsep.running.settings import load_settings
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

SOURCE = "my_config.yaml"
JARGON = (
    "Traceback",
    'File "',
    "Error",
    "is not valid under any of the given schemas",
    "is a required property",
    "Additional properties",
    "non-unique",
    "does not match '",
)


# Multiresolution at the default run's nside is too fine for coarser maps.
UNIFORM = {"methods": {"uniform": {"strategy": "uniform"}}, "figures.drawn": []}

RINGS, PARAMETERS = ("hi", "mid", "low"), DUST_AND_SYNCHROTRON.names
BINS = dict.fromkeys(RINGS, dict.fromkeys(PARAMETERS, 10))
FIELDS = {"strategy": "fields"}
TEMPLATE = {"strategy": "template", "maps": {"beta_dust": "true"}, "patches": BINS}


MASK_NSIDE = 32
N_PIXELS = hp.nside2npix(MASK_NSIDE)
# Three nested masks.
MASKS = {
    f"GAL0{percent}": np.arange(N_PIXELS) < N_PIXELS * percent // 100 for percent in (20, 40, 60)
}


def planck_masks(path, masks=("GAL020", "GAL040", "GAL060")):
    return {"method": "planck_masks", "mask_file": str(path), "masks": list(masks)}


def config_with(changes=None):
    """config/config.yaml with other values for keys given as dotted paths, and one more method."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["methods"]["uniform"] = {"strategy": "uniform"}
    return with_changes(config, changes or {})


def observed_config_with(changes=None):
    """The same of observed maps, of files that are not there."""
    config = config_with()
    kept = {key: config[key] for key in ("run", "nside", "instrument")}
    observed = {
        "observation": {"maps": "maps/{band}.fits"},
        "regions": {"method": "sky_cuts", "sky_cuts": {"cap": {"galactic_latitude": [30, 90]}}},
        "methods": {"fields": {"strategy": "fields"}},
    }
    return with_changes(kept | observed, changes or {})


def problems_of(changes):
    """The lines of the message that a configuration with these changes is refused with."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config_with(changes), SOURCE)
    message = str(caught.value)
    assert not [word for word in JARGON if word in message]
    return message.splitlines()
