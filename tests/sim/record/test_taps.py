from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.network.graph import Shape
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import Tap
from tests.sim.toy_network import toy_network


@pytest.mark.parametrize(
    ("bits", "signed", "name"),
    [
        (1, False, "u1"),
        (8, False, "u1"),
        (8, True, "i1"),
        (9, True, "<i2"),
        (17, False, "<u4"),
        (33, True, "<i8"),
        (64, True, "<i8"),
    ],
)
def test_values_take_the_fewest_bytes(bits: int, signed: bool, name: str) -> None:
    tap = Tap("C1", BeatFormat(2, bits, signed), Shape(3, 4, 6))
    assert tap.value_type == np.dtype(name)
    assert tap.frame_beats == 36


def test_a_record_has_no_gaps() -> None:
    network = toy_network()
    assert network.record_type.itemsize == 12 * 1 + 24 * 2 + 8 + 1 + 1 + 4 * 3 * 8
