"""Layouts of results: positions and widths by hand, and values that come back as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network.graph import Convolution, Dense, Input, Network
from systolith.hw.streams.result_layout import (
    ResultKind,
    ResultLayout,
    default_result,
    hex_text,
    result_layout,
)
from tests.hw.units.test_classify import make_layer


def layout(kind: ResultKind, scores: int, fmt: QFormat) -> ResultLayout:
    return result_layout(make_layer(Dense, scores, fmt), kind)


@pytest.mark.parametrize(
    ("scores", "fmt", "bits", "fields"),
    [
        (10, QFormat(23, 0), 64, {"class": (7, 0), "score": (63, 32)}),
        (256, QFormat(31, 0, signed=False), 64, {"class": (7, 0), "score": (63, 32)}),
        (257, QFormat(32, 0), 64, {"class": (15, 0), "score": (63, 32)}),
        (70_000, QFormat(9, 0), 64, {"class": (23, 0), "score": (63, 32)}),
        (1, QFormat(33, 0), 128, {"class": (7, 0), "score": (127, 64)}),
        (10, QFormat(32, 0, signed=False), 128, {"class": (7, 0), "score": (127, 64)}),
        (1000, QFormat(62, 0), 128, {"class": (15, 0), "score": (127, 64)}),
    ],
    ids=str,
)
def test_a_class_is_the_lower_half_and_its_score_the_upper_one(
    scores: int, fmt: QFormat, bits: int, fields: dict[str, tuple[int, int]]
) -> None:
    made = layout("class", scores, fmt)
    assert (made.bits, made.beats) == (bits, 1)
    assert {field.name: (field.high, field.low) for field in made.fields} == fields


@pytest.mark.parametrize(
    ("fmt", "bits"),
    [
        (QFormat(8, 0), 8),
        (QFormat(8, 0, signed=False), 16),
        (QFormat(17, 0), 32),
        (QFormat(33, 0), 64),
        (QFormat(62, 0, signed=False), 64),
    ],
    ids=str,
)
def test_a_score_has_whole_bytes_with_its_sign(fmt: QFormat, bits: int) -> None:
    made = layout("scores", 300, fmt)
    assert (made.bits, made.beats, made["score"].high, made["score"].low) == (
        bits,
        300,
        bits - 1,
        0,
    )


def test_values_are_bytes_and_back() -> None:
    made = layout("class", 1000, QFormat(40, 0))
    values = {"class": np.array([[999], [3]]), "score": np.array([[-(2**39)], [5]])}
    data = made.pack(values)
    assert [hex_text(beat) for (beat,) in data] == [
        "ffffff80000000000000000000" + "0003e7",
        "0000000000000005" + "0000000000000003",
    ]
    for name, found in made.unpack(data).items():
        np.testing.assert_array_equal(found, values[name])


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (Dense(name="F", inputs=("input",), units=2), "class"),
        (Dense(name="F", inputs=("input",), units=1), "scores"),
        (Convolution(name="F", inputs=("input",), kernel=(4, 3), out_channels=5), "class"),
        (Convolution(name="F", inputs=("input",), kernel=(4, 2), out_channels=5), "scores"),
    ],
    ids=["two scores", "one score", "a pixel", "a map"],
)
def test_networks_that_end_in_one_row_of_scores_put_out_a_class(
    last: Dense | Convolution, kind: ResultKind
) -> None:
    network = Network("n", (Input(name="input", height=4, width=3), last))
    assert default_result(network) == kind


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="result 'best': allowed are class, scores"):
        layout("best", 10, QFormat(8, 0))  # type: ignore[arg-type]
