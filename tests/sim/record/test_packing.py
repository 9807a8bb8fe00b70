from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.sim.record.packing import BeatFormat


def test_lane_0_is_lowest_and_negative_values_are_twos_complement() -> None:
    assert BeatFormat(3, 4, True).pack([-8, 7, -1]) == 0xF78
    assert BeatFormat(3, 4, False).pack([8, 7, 15]) == 0xF78
    assert BeatFormat(2, 1, False).pack([0, 1]) == 2


def test_limits() -> None:
    assert (BeatFormat(1, 4, True).limits, BeatFormat(2, 8, False).limits) == ((-8, 7), (0, 255))


@given(st.data())
def test_unpack_gives_what_was_packed(data: st.DataObject) -> None:
    beat = BeatFormat(
        data.draw(st.integers(1, 5)),
        data.draw(st.integers(1, 70)),
        data.draw(st.booleans()),
        gap=data.draw(st.integers(0, 9)),
    )
    low = -(1 << (beat.bits - 1)) if beat.signed else 0
    values = st.integers(low, low + (1 << beat.bits) - 1)
    given_values = data.draw(st.lists(values, min_size=beat.lanes, max_size=beat.lanes))
    packed = beat.pack(given_values)
    assert 0 <= packed < 1 << (beat.lanes * beat.field_bits - beat.gap)
    assert beat.unpack(packed) == given_values
    if beat.bits < 64:
        frames = np.array([[given_values, given_values]])
        together = beat.pack_frames(frames)[0].tolist()
        assert together == [list(packed.to_bytes(beat.bytes, "little"))] * 2


def test_fields_of_whole_bytes_are_the_bytes_of_an_array() -> None:
    values = np.array([[[0x123, 0x456, 0xFFF], [0, 1, 2]]], "<u2")
    packed = BeatFormat(3, 12, False, gap=4).pack_frames(values)
    assert packed.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1], "2 values, not 1"),
        ([1, 2, 3], "2 values, not 3"),
        ([1, 8], "8 does not fit 4 signed"),
        ([-9, 0], "-9 does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(values: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BeatFormat(2, 4, True).pack(values)
