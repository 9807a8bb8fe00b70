"""The formats of layers, as reports and manifests have them, of integers made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.reports.format_entry import FormatEntry, layer_formats
from tests.golden.fixed_networks import convolution

WEIGHTS = np.ones((2, 2, 1, 3), np.int64)


def test_a_table_s_index_has_a_format_of_its_own() -> None:
    how = Requantization(np.zeros(3, np.int64), QFormat(10, 7), table=np.zeros(1 << 10, np.int64))
    layer = replace(
        convolution(WEIGHTS, how, "sigmoid"),
        output_format=QFormat(6, 5, signed=False),
        weight_formats=(QFormat(4, 2), QFormat(4, 3), QFormat(4, 2)),
    )
    assert layer_formats(layer) == {
        "input": FormatEntry(8, 0, False),
        "weights": FormatEntry(4, (2, 3, 2), True),
        "index": FormatEntry(10, 7, True),
        "output": FormatEntry(6, 5, False),
    }


def test_weights_of_one_scale_have_one_number_of_fraction_bits() -> None:
    how = Requantization(np.zeros(3, np.int64), QFormat(7, -1))
    layer = replace(convolution(WEIGHTS, how), weight_formats=(QFormat(4, 2),) * 3)
    assert layer_formats(layer) == {
        "input": FormatEntry(8, 0, False),
        "weights": FormatEntry(4, 2, True),
        "output": FormatEntry(7, -1, True),
    }


def test_formats_in_words() -> None:
    assert str(FormatEntry(8, 5, True)) == "s8.5"
    assert str(FormatEntry(6, -2, False)) == "u6.-2"
    assert str(FormatEntry(4, (3, 1, 2), True)) == "s4.1..3"
    assert str(FormatEntry(4, (2, 2), True)) == "s4.2"
