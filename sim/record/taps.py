"""What a simulator observes of a network: a tap on every layer's stream, a record of each image.

`tapped_network` makes generated Verilog ready for a simulator; both engines write its records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.integers import FixedNetwork
from systolith.golden.network.graph import Shape
from systolith.hw.streams.result_layout import ResultLayout
from systolith.sim.record.packing import BeatFormat
from systolith.sim.simulators.builds import Design

if TYPE_CHECKING:
    from systolith.hw.verilog.manifest import Manifest

Records = NDArray[np.void]

RESULT_FIELD = "result beats"
"""The field of a record for its result: `data`, `user` and `last` of every beat, `data` in bytes.
No layer has a name with a space."""

CYCLES_FIELD = "stream cycles"
"""The field of a record for cycles: `FRAME_CYCLES` of `s_axis`, every tap and `m_axis`."""

FRAME_CYCLES: tuple[tuple[str, str], ...] = (("offered", "<u8"), ("first", "<u8"), ("last", "<u8"))
"""The cycles in which a frame was first offered, its first beat taken, and its last beat taken."""

AXIS_PORTS = (
    *("aclk", "aresetn", "s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast"),
    *("m_axis_tdata", "m_axis_tuser", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast"),
)
"""The ports of the accelerator itself."""

STREAM_PORTS = ("data", "valid", "ready", "last")
"""The signals of a stream that a tap shows."""


@dataclass(frozen=True)
class Tap:
    """The output stream of the input or of a layer: ports `tap_<layer>_{data,valid,ready,last}`."""

    layer: str
    beat: BeatFormat
    shape: Shape

    @property
    def frame_beats(self) -> int:
        """The number of beats of a frame."""
        return self.shape.size // self.beat.lanes

    @property
    def value_type(self) -> np.dtype[Any]:
        """The smallest integer type that holds a value."""
        size = next(size for size in (1, 2, 4, 8) if self.beat.bits <= 8 * size)
        return np.dtype(f"<{'i' if self.beat.signed else 'u'}{size}")

    def port(self, name: str) -> str:
        """The name of the port of `data`, `valid`, `ready` or `last`."""
        return f"tap_{self.layer}_{name}"

    def lane(self, number: int) -> str:
        """The name of the wire with one value of a beat."""
        return f"lane_{self.layer}_{number}"


@dataclass(frozen=True)
class NetworkStreams:
    """The streams of a network, or of one layer of it, as benches see them.

    Parameters
    ----------
    source
        The format of the beats that go in.
    source_shape
        The shape of a frame that goes in.
    taps
        The streams after the input and after every layer, or after one layer.
    result
        The beats of a result at `m_axis`.
    patience
        The number of clock cycles without a transfer after which the network counts as stuck.
    """

    source: BeatFormat
    source_shape: Shape
    taps: tuple[Tap, ...]
    result: ResultLayout
    patience: int

    @property
    def source_beats(self) -> int:
        """The number of beats of a frame that goes in."""
        return self.source_shape.size // self.source.lanes

    @property
    def record_type(self) -> np.dtype[np.void]:
        """The type of a record: the values of each tap, by name, the result and the cycles."""
        cycles = (CYCLES_FIELD, list(FRAME_CYCLES), (len(self.taps) + 2,))
        values = [(tap.layer, tap.value_type, tuple(tap.shape)) for tap in self.taps]
        beat = [("data", "u1", (self.result.bytes,)), ("user", "u1"), ("last", "u1")]
        return np.dtype([*values, (RESULT_FIELD, beat, (self.result.beats,)), cycles])


@dataclass(frozen=True)
class TappedNetwork(NetworkStreams):
    """The Verilog of a network, or of one layer of it, with taps of its streams.

    Parameters
    ----------
    design
        The module. Frames go in at `s_axis` and results come out at `m_axis`.
    constants
        The values of ports that belong to no stream; only `bulk.engine` sets them.
    source, source_shape, taps, result, patience
        As for `NetworkStreams`; every tap has ports.
    """

    design: Design
    constants: Mapping[str, int] = field(default_factory=dict)

    @property
    def streams(self) -> NetworkStreams:
        """Its streams, without the Verilog."""
        names = (each.name for each in fields(NetworkStreams))
        return NetworkStreams(**{name: getattr(self, name) for name in names})


def tapped_network(fixed: FixedNetwork, manifest: Manifest, verilog: str) -> TappedNetwork:
    """A generated accelerator with a tap on every layer's stream.

    Parameters
    ----------
    fixed
        The network.
    manifest, verilog
        What `hw.generate` made from it.

    Raises
    ------
    ValueError
        If a layer's stream is not in the Verilog.
    """
    from systolith.hw.verilog.tap_wrapper import (
        tapped_verilog,  # imports Amaranth, as `sim.simulate` says
    )

    tapped = tapped_verilog(verilog, manifest, fixed.network.input.name)
    return network_in(Design(tapped.top, tapped.text, ()), fixed, manifest)


def network_in(design: Design, fixed: FixedNetwork, manifest: Manifest) -> TappedNetwork:
    """A network in a design that has the ports of its taps, in addition to its own ports."""
    streams = streams_of(fixed, manifest)
    ports = [tap.port(name) for tap in streams.taps for name in STREAM_PORTS]
    return TappedNetwork(
        design=replace(design, ports=(*design.ports, *AXIS_PORTS, *ports)),
        **{each.name: getattr(streams, each.name) for each in fields(NetworkStreams)},
    )


def streams_of(fixed: FixedNetwork, manifest: Manifest) -> NetworkStreams:
    """The streams of a generated accelerator."""
    source, stream = fixed.network.input, manifest.input
    pixels = Tap(
        source.name, BeatFormat(stream.lanes, stream.bits, stream.signed), source.image_shape
    )
    layers = (
        Tap(
            layer.name,
            BeatFormat(entry.stream.lanes, entry.stream.bits, entry.stream.signed),
            layer.output_shape,
        )
        for layer, entry in zip(fixed.layers, manifest.layers, strict=True)
    )
    return NetworkStreams(
        source=replace(pixels.beat, gap=stream.field_bits - stream.bits),
        source_shape=pixels.shape,
        taps=(pixels, *layers),
        result=manifest.result,
        patience=_patience(fixed, manifest),
    )


def tapped_layer(fixed: FixedNetwork, manifest: Manifest, verilog: str, name: str) -> TappedNetwork:
    """One layer of a generated accelerator alone.

    The beats that go in at `s_axis` are those of the layer's input; each beat of its output appears
    at `m_axis` as well.

    Parameters
    ----------
    fixed, manifest, verilog
        As for `tapped_network`.
    name
        The layer's.

    Raises
    ------
    ValueError
        If the layer's module is not in the Verilog.
    """
    from systolith.hw.verilog.tap_wrapper import (  # imports Amaranth, as `sim.simulate` says
        RESULT_BITS_ALONE,
        tapped_layer_verilog,
    )

    network = tapped_network(fixed, manifest, verilog)
    before, tap = next(pair for pair in pairwise(network.taps) if pair[1].layer == name)
    tapped = tapped_layer_verilog(verilog, manifest, name, before.beat.lanes * before.beat.bits)
    ports = [tap.port(name) for name in STREAM_PORTS]
    return TappedNetwork(
        design=Design(tapped.top, tapped.text, (*AXIS_PORTS, *ports)),
        source=before.beat,
        source_shape=before.shape,
        taps=(tap,),
        result=ResultLayout("scores", RESULT_BITS_ALONE, tap.frame_beats, ()),
        patience=network.patience,
    )


def _patience(fixed: FixedNetwork, manifest: Manifest) -> int:
    """More cycles than an image can take, even if multipliers idle in three of four cycles."""
    cycles = 0
    computing = fixed.network.computing_layers()
    for (layer, source, shape), entry in zip(computing, manifest.layers, strict=True):
        macs = layer.macs(source) + layer.scalings(source)
        cycles += 4 * macs // max(entry.multipliers, 1) + source.size + shape.size
    return 10_000 + cycles


@dataclass(frozen=True)
class Batch:
    """The records of consecutive images, from number `first` on.

    The images of one `part`, counted from 0, went through without a gap after a reset.
    """

    part: int
    first: int
    records: Records


class RuleBroken(Exception):
    """A stream broke a rule, or nothing moved any more; the message says what, where and when."""
