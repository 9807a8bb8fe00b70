from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.golden.fixed.execution import FixedModel, classes
from systolith.hw.streams.result_layout import ResultField, ResultLayout, result_layout
from systolith.sim.record.reference import Result, reference, results_of
from tests.sim import small_hardware

LAYOUT = result_layout(small_hardware.quantized().fixed.layers[-1], "class")


def test_what_comes_out_is_what_the_model_says() -> None:
    fixed, images = small_hardware.quantized().fixed, small_hardware.dataset(9).images
    found = reference(fixed, images, LAYOUT)
    expected = FixedModel(fixed).run(images).outputs
    assert list(found.layers) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found.layers[name], values)
    labels = classes(fixed, images)
    assert [result.label for result in found.results] == labels.tolist()
    scores = expected["dense"].reshape(9, -1)[np.arange(9), labels]
    assert [result.score for result in found.results] == scores.tolist()
    assert not any(result.wrong_length for result in found.results)


def test_all_scores_come_out_where_the_result_is_scores() -> None:
    fixed, images = small_hardware.quantized().fixed, small_hardware.dataset(9).images
    found = reference(fixed, images, result_layout(fixed.layers[-1], "scores"))
    scores = FixedModel(fixed).run(images).outputs["dense"].reshape(9, -1)
    assert [result.scores for result in found.results] == [tuple(row) for row in scores.tolist()]
    assert {(result.label, result.score) for result in found.results} == {(None, None)}


def test_scores_have_the_flag_of_their_own_image() -> None:
    layout = ResultLayout("scores", 16, 2, (ResultField("score", 0, 16, True),))
    data = np.array([[[1, 0], [0xFE, 0xFF]], [[0, 1], [3, 0]]], np.uint8)
    assert results_of(layout, data, [False, True]) == (
        Result(scores=(1, -2)),
        Result(scores=(256, 3), wrong_length=True),
    )


@pytest.mark.parametrize(
    ("tdata", "user", "result"),
    [
        (0x0000_0005_0000_0003, False, Result(3, 5)),
        (0xFFFF_FFFE_0000_0000, False, Result(0, -2)),
        (0x8000_0000_0000_00FF, True, Result(255, -(2**31), wrong_length=True)),
    ],
)
def test_results_are_beats(tdata: int, user: bool, result: Result) -> None:
    assert results_of(LAYOUT, beat(tdata), [user]) == (result,)


def test_a_bit_between_class_and_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="tdata 0000000500000103 has bits set between"):
        results_of(LAYOUT, beat(0x0000_0005_0000_0103), [False])
    # Of several results the first wrong one is named.
    beats = np.concatenate([beat(tdata) for tdata in (3, 0x0000_0005_0000_0103, 0x200)])
    with pytest.raises(ValueError, match="tdata 0000000500000103 has bits set between"):
        results_of(LAYOUT, beats, [False] * 3)


def beat(tdata: int) -> NDArray[np.uint8]:
    return np.frombuffer(tdata.to_bytes(8, "little"), np.uint8).reshape(1, 1, 8)
