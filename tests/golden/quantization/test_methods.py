"""Calibration methods: one entry is all that one needs, and an unknown one is an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from systolith.golden.quantization.format_choice import choose_frac_bits
from systolith.golden.quantization.methods import DEFAULT, METHODS, Method, Sample, method
from systolith.golden.quantization.settings import LayerSettings, Settings, SettingsError


def one_bit_lost(sample: Sample) -> int:
    return sample.covering + 1


@pytest.mark.parametrize("name", METHODS)
def test_entries_say_in_a_line_what_they_are(name: str) -> None:
    for text in (METHODS[name].help, METHODS[name].formula):
        assert text and "\n" not in text and not text.endswith(".")


def test_weights_of_a_method_that_does_not_suit_them_have_one_that_does() -> None:
    assert METHODS[DEFAULT].suits_weights


def test_an_unknown_method_is_an_error_everywhere() -> None:
    message = "calibration 'median': allowed are mse, minmax, percentile, entropy"
    with pytest.raises(ValueError, match=message):
        method("median")
    for values in (np.ones(3), np.zeros(3)):
        with pytest.raises(ValueError, match=message):
            choose_frac_bits(values, 8, True, "median")
    with pytest.raises(SettingsError, match=r"calibration: must be one of mse, .*, not 'median'"):
        LayerSettings(calibration="median")
    with pytest.raises(SettingsError, match=r"layers\.C1\.calibration: must be one of mse"):
        Settings(layers={"C1": {"calibration": "median"}})


def test_an_entry_is_all_that_a_new_method_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    halved = Method(help="half of the range", formula="covering + 1", choose=one_bit_lost)
    monkeypatch.setitem(METHODS, "halved", halved)
    values: Any = np.array([0.0, 3.0, -1.0])
    assert choose_frac_bits(values, 8, True, "minmax") == 5
    assert choose_frac_bits(values, 8, True, "halved") == 6
    settings = Settings.from_mapping({"calibration": "halved"})
    assert settings.of("C1").weight_calibration == DEFAULT
    assert Settings.from_mapping(settings.to_mapping()) == settings
