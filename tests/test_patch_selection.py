"""Which patches mock skies of an observation select."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from patchsep.analysis import patch_selection
from patchsep.analysis.patch_selection import select_patches, selected_patches

NOTHING = dict.fromkeys(("observation", "sky", "measured", "patches", "theory"))
# σ₊ of r by what is expected of a configuration; None where r cannot be measured.
EXPECTED = {
    "few": (3.0, 0.5),
    "some": (1.0, 1.0),
    "many": (-0.2, 3.0),
    "bad": None,
    "other": (0.0, 2.0),
    "more": (-2.5, 0.1),
}


@pytest.fixture
def asked(monkeypatch):
    """What `select_patches` makes of made-up r, and the configurations that it tries together."""
    tried = []

    def cleaner_of(sky, priors, configurations, patches, **limits):
        tried.append(configurations)
        return configurations

    def analysed(observation, sky, clean, mocks, theory, **settings):
        assert mocks == (clean, [7, 8], 5)
        bandpowers = {
            region: SimpleNamespace(mocks=np.array([[1.0], [3.0]]), name=name)
            for region, name in clean.items()
        }
        converged = np.array([True, "many" not in clean.values()])
        return SimpleNamespace(
            parts=bandpowers,
            bandpowers_of=lambda part: part,
            amplitude_scatter=0.5,
            mocks=SimpleNamespace(converged=converged),
        )

    def estimate(bandpowers, scatter, bb):
        assert bb == [2.0]
        found = EXPECTED[bandpowers.name]
        return found and SimpleNamespace(r_hat=found[0], sigma_plus=found[1])

    monkeypatch.setattr(patch_selection, "cleaner_of", cleaner_of)
    monkeypatch.setattr(
        patch_selection,
        "clean_mocks",
        lambda o, s, m, clean, t, numbers, seed: (clean, numbers, seed),
    )
    monkeypatch.setattr(patch_selection, "Analysis", SimpleNamespace(of=analysed))
    monkeypatch.setattr(patch_selection, "estimate_r_of_bandpowers", estimate)

    def asked(configurations):
        table = select_patches(
            **NOTHING, configurations=configurations, analysis={}, numbers=[7, 8], seed=5
        )
        return table, tried

    return asked


def test_every_region_has_the_configuration_of_least_bias_and_width(asked):
    choices = {"north": ["few", "some", "many"], "south": ["other", "more"], "cap": ["only"]}
    table, tried = asked(choices)
    assert selected_patches(table) == {"cap": "only", "north": "some", "south": "other"}
    # Of regions with fewer the last is cleaned beside the others', and counted once.
    assert tried == [
        {"north": "few", "south": "other", "cap": "only"},
        {"north": "some", "south": "more", "cap": "only"},
        {"north": "many", "south": "more", "cap": "only"},
    ]
    assert len(table) == 6
    by_name = table.set_index("configuration")
    assert by_name.loc["more", "expected"] == pytest.approx(2.6)
    assert by_name.loc["many", "n_unconverged_mocks"] == 1
    assert by_name.loc["only", ["r_hat", "expected"]].isna().all()


def test_one_of_which_r_cannot_be_measured_is_kept_and_not_selected(asked):
    table, _ = asked({"north": ["bad", "few"]})
    assert selected_patches(table) == {"north": "few"}
    assert table.loc[0, "n_unconverged_mocks"] == 0
    assert pd.isna(table.loc[0, "expected"])


def test_where_r_can_never_be_measured_the_region_is_named(asked):
    with pytest.raises(ValueError, match=r"region north: r of mock skies .*; use wider bins"):
        asked({"north": ["bad", "bad"]})


def test_without_a_choice_nothing_is_fitted(asked):
    table, tried = asked({"north": ["few"], "south": ["bad"]})
    assert not tried
    assert selected_patches(table) == {"north": "few", "south": "bad"}
