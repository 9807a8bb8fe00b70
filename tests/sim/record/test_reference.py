from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.fixed.execution import FixedModel, classes
from systolith.sim.record.reference import Result, reference
from tests.sim import small_hardware


def test_what_comes_out_is_what_the_model_says() -> None:
    fixed, images = small_hardware.quantized().fixed, small_hardware.dataset(9).images
    found = reference(fixed, images)
    expected = FixedModel(fixed).run(images).outputs
    assert list(found.layers) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found.layers[name], values)
    labels = classes(fixed, images)
    assert [result.label for result in found.results] == labels.tolist()
    scores = expected["dense"].reshape(9, -1)[np.arange(9), labels]
    assert [result.score for result in found.results] == scores.tolist()
    assert not any(result.wrong_length for result in found.results)


@pytest.mark.parametrize(
    ("data", "user", "result"),
    [
        (0x0000_0005_0000_0003, 0, Result(3, 5)),
        (0xFFFF_FFFE_0000_0000, 0, Result(0, -2)),
        (0x8000_0000_0000_00FF, 1, Result(255, -(2**31), wrong_length=True)),
    ],
)
def test_results_are_beats(data: int, user: int, result: Result) -> None:
    assert Result.from_beat(data, user) == result
    assert result.tdata == data


def test_a_bit_between_class_and_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="tdata 0000000500000103 has bits set between"):
        Result.from_beat(0x0000_0005_0000_0103, 0)
