from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network.graph import Dense, Input, MaxPooling, Network, Shape, Subsampling
from systolith.hw.streams.input_layout import InputLayout, StreamEntry
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.hw.verilog import tap_wrapper
from systolith.hw.verilog.tap_wrapper import TappedVerilog
from systolith.sim.record import taps
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import (
    AXIS_PORTS,
    NetworkStreams,
    Tap,
    streams_of,
    tapped_layer,
    tapped_network,
)
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


GRAPH = Network(
    "streams",
    (
        Input(name="pixels", height=4, width=6, channels=3, format=QFormat(12, 4)),
        MaxPooling(name="M", inputs=("pixels",), window=(2, 2)),
        Dense(name="F", inputs=("M",), units=5),
    ),
)


def manifest() -> Any:
    """What is read of a manifest: three channels of 12 bits in a beat, 16 bits for each."""
    pooled, scores = StreamEntry(3, 12, True), StreamEntry(5, 9, False)
    return SimpleNamespace(
        input=InputLayout(3, 12, True),
        layers=[
            SimpleNamespace(name="M", stream=pooled, multipliers=0),
            SimpleNamespace(name="F", stream=scores, multipliers=2),
        ],
        result=ResultLayout("scores", 16, 5, (ResultField("score", 0, 16, True),)),
    )


FIXED: Any = SimpleNamespace(
    network=GRAPH,
    layers=[
        SimpleNamespace(name=layer.name, output_shape=shape)
        for layer, _, shape in GRAPH.computing_layers()
    ],
)
PIXELS = Shape(4, 6, 3)
TAPS = (
    Tap("pixels", BeatFormat(3, 12, True), PIXELS),
    Tap("M", BeatFormat(3, 12, True), Shape(2, 3, 3)),
    Tap("F", BeatFormat(5, 9, False), Shape(1, 1, 5)),
)
# Ten thousand, the values that go into and leave each layer, and 90 products of two multipliers.
MOST_CYCLES = 10_000 + (72 + 18) + (18 + 5) + 4 * 90 // 2


def wrap(monkeypatch: pytest.MonkeyPatch, layer: str = "") -> None:
    """In place of the wrappers of Verilog: each checks what it is given."""

    def whole(verilog: str, _: object, input_name: str) -> TappedVerilog:
        assert (verilog, input_name) == ("verilog", "pixels")
        return TappedVerilog("whole_top", "whole")

    def alone(verilog: str, _: object, name: str, input_width: int) -> TappedVerilog:
        assert (verilog, name, input_width) == ("verilog", layer, 3 * 12)
        return TappedVerilog("alone_top", "alone")

    monkeypatch.setattr(tap_wrapper, "tapped_verilog", whole)
    monkeypatch.setattr(tap_wrapper, "tapped_layer_verilog", alone)


def ports(*layers: str) -> tuple[str, ...]:
    return tuple(f"tap_{layer}_{n}" for layer in layers for n in ("data", "valid", "ready", "last"))


def test_the_streams_of_a_network_are_those_of_its_manifest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrap(monkeypatch)
    found = tapped_network(FIXED, manifest(), "verilog")
    streams = NetworkStreams(
        source=BeatFormat(3, 12, True, gap=4),
        source_shape=PIXELS,
        taps=TAPS,
        result=manifest().result,
        patience=MOST_CYCLES,
    )
    assert found.streams == streams_of(FIXED, manifest()) == streams
    assert found.source_beats == 24
    assert (found.design.top, found.design.verilog) == ("whole_top", "whole")
    assert found.design.ports == (*AXIS_PORTS, *ports("pixels", "M", "F"))
    assert found.record_type == np.dtype(
        [
            ("pixels", "<i2", (4, 6, 3)),
            ("M", "<i2", (2, 3, 3)),
            ("F", "<u2", (1, 1, 5)),
            ("result beats", [("data", "u1", (2,)), ("user", "u1"), ("last", "u1")], (5,)),
            ("stream cycles", [("offered", "<u8"), ("first", "<u8"), ("last", "<u8")], (5,)),
        ]
    )


@pytest.mark.parametrize(
    ("layer", "source_shape", "beats"), [("M", PIXELS, 2 * 3), ("F", Shape(2, 3, 3), 1)]
)
def test_a_layer_alone_takes_the_beats_of_the_stream_before_it(
    monkeypatch: pytest.MonkeyPatch, layer: str, source_shape: Shape, beats: int
) -> None:
    """Side by side, as they are inside, and there are as many results as its own beats."""
    wrap(monkeypatch, layer)
    found = tapped_layer(FIXED, manifest(), "verilog", layer)
    assert found.streams == NetworkStreams(
        source=BeatFormat(3, 12, True),
        source_shape=source_shape,
        taps=tuple(tap for tap in TAPS if tap.layer == layer),
        result=ResultLayout("scores", 8, beats, ()),
        patience=MOST_CYCLES,
    )
    assert (found.design.top, found.design.verilog) == ("alone_top", "alone")
    assert found.design.ports == (*AXIS_PORTS, *ports(layer))


def test_a_record_has_no_gaps() -> None:
    network = toy_network()
    assert network.record_type.itemsize == 12 * 1 + 24 * 2 + 8 + 1 + 1 + 4 * 3 * 8
