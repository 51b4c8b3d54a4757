"""Configurations that are refused, for tests of what the message says."""

import pytest
import yaml
from workflows import ROOT, with_changes

from patchsep.running.settings import SettingsError, load_settings

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


def config_with(changes=None):
    """config/config.yaml with other values for keys given as dotted paths, and one more method."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["methods"]["uniform"] = {"strategy": "uniform"}
    return with_changes(config, changes or {})


def problems_of(changes):
    """The lines of the message that a configuration with these changes is refused with."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config_with(changes), SOURCE)
    message = str(caught.value)
    assert not [word for word in JARGON if word in message]
    return message.splitlines()
