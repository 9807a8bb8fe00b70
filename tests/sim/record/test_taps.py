from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith.golden.network.graph import Dense, Input, MaxPooling, Network, Shape, Subsampling
from systolith.sim.record import taps
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import Tap
from tests.hw.small_networks import quantized
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


def test_the_patience_is_more_than_any_image_takes() -> None:
    """Multipliers that work in a quarter of the cycles, and a value a cycle before and after."""
    network = Network(
        "wide",
        (
            Input(name="input", height=200, width=200),
            MaxPooling(name="M", inputs=("input",), window=(2, 2)),
            Subsampling(name="S", inputs=("M",), window=(10, 10)),
            Dense(name="F", inputs=("S",), units=5),
        ),
    )
    fixed = quantized(network).fixed
    for multipliers, cycles in ((1, 100 + 100 * 5), (5, 100 // 5 + 100)):
        layers = [SimpleNamespace(multipliers=each) for each in (0, multipliers, multipliers)]
        manifest: Any = SimpleNamespace(layers=layers)
        pixels, pooled, summed, scores = 200 * 200, 100 * 100, 10 * 10, 5
        streams = (pixels + pooled) + (pooled + summed) + (summed + scores)
        assert taps._patience(fixed, manifest) == 10_000 + streams + 4 * cycles


def test_a_record_has_no_gaps() -> None:
    network = toy_network()
    assert network.record_type.itemsize == 12 * 1 + 24 * 2 + 8 + 1 + 1 + 4 * 3 * 8
