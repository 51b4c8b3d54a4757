"""Every key of the configuration with what does not belong there: refused by name, or kept."""

import math
from functools import reduce

import pytest
from refusals import SOURCE, config_with, observed_config_with
from test_config_readme import schema_keys

from patchsep.running.schema import SettingsError
from patchsep.running.settings import load_settings

WRONG = [None, "", "µ\t\n", [], {"a": 1}, [[1]], ["x", "x"], True]
NUMBERS = [math.nan, math.inf, -1, 10**30]
# Names that stand in the documentation for those of the user.
NAMES = {"methods.<name>": "methods.kmeans", "test_sets.<name>": "test_sets.unseen"}
NAMES |= {"bands.<name>": "bands.40GHZ", "<ring>": "hi", "<parameter>": "temp_dust"}


def concrete(key):
    for name, own in NAMES.items():
        key = key.replace(name, own)
    return key


@pytest.mark.parametrize("key", sorted({concrete(key) for key in schema_keys()}))
def test_what_does_not_belong_there_is_refused_by_name_or_kept_as_it_is(key):
    config = observed_config_with if key.startswith("observation.") else config_with
    for value in WRONG + NUMBERS:
        try:
            settings = load_settings(config({key: value}), SOURCE)
        except SettingsError as error:
            first = key.split(".")[0]
            assert all(f": {first}" in line for line in str(error).splitlines()), value
            continue
        kept = reduce(lambda section, name: section[name], key.split("."), settings)
        assert kept in (value, [value]), value
