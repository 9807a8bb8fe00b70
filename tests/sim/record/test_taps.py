from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.network.graph import Shape
from systolith.sim.bulk.engine import split, taps_header, verilated_name
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


def test_verilator_s_names() -> None:
    assert verilated_name("tap_C1_data") == "tap_C1_data"
    assert verilated_name("tap_a__b_data") == "tap_a___05Fb_data"
    header = taps_header(toy_network())
    assert "m.tap_plus___05Fvalid" in header
    assert "m.tap_two___05Fsides_data" in header


def test_parts_cover_all_images_and_none_is_tiny() -> None:
    assert split(1, 2) == [(0, 1)]
    assert split(19, 2) == [(0, 19)]
    assert split(20, 2) == [(0, 10), (10, 10)]
    assert split(100, 3) == [(0, 33), (33, 33), (66, 34)]
