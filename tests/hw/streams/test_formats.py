from __future__ import annotations

import pytest
from amaranth.hdl import signed, unsigned

from systolith.golden.fixed.arithmetic import QFormat
from systolith.hw.streams.formats import pack, range_shape, shape_range, value_shape


def test_value_shape_is_that_of_the_raw_value() -> None:
    assert value_shape(QFormat(8, 4)) == signed(8)
    assert value_shape(QFormat(5, 9, signed=False)) == unsigned(5)


@pytest.mark.parametrize(
    ("low", "high", "shape"),
    [
        (0, 0, unsigned(1)),
        (0, 255, unsigned(8)),
        (3, 256, unsigned(9)),
        (-1, 0, signed(1)),
        (-128, 127, signed(8)),
        (-129, 0, signed(9)),
        (-1, 128, signed(9)),
    ],
)
def test_range_shape_is_the_narrowest(low: int, high: int, shape: object) -> None:
    assert range_shape(low, high) == shape


@pytest.mark.parametrize(
    ("shape", "limits"), [(signed(8), (-128, 127)), (unsigned(3), (0, 7)), (signed(1), (-1, 0))]
)
def test_shape_range(shape: object, limits: tuple[int, int]) -> None:
    assert shape_range(shape) == limits


def test_pack_puts_the_first_value_lowest() -> None:
    assert pack([1, -1, 2], signed(4)) == 0x2F1
