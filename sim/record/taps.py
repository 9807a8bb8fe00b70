"""The streams of a whole network that a simulator watches, and the record of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.integers import FixedNetwork
from systolith.golden.network.graph import Shape
from systolith.sim.record.packing import BeatFormat
from systolith.sim.simulators.builds import Design

if TYPE_CHECKING:
    from systolith.hw.verilog.manifest import Manifest

Records = NDArray[np.void]

RESULT_FIELDS: tuple[tuple[str, str], ...] = (
    ("result data", "<u8"),
    ("result user", "u1"),
    ("result last", "u1"),
)
"""The result in a record; no layer has a name with a space."""

CYCLES_FIELD = "stream cycles"
"""An array in a record: of `s_axis`, every tap and `m_axis`, in this order, `FRAME_CYCLES`."""

FRAME_CYCLES: tuple[tuple[str, str], ...] = (("offered", "<u8"), ("first", "<u8"), ("last", "<u8"))
"""The cycles in which a frame was first offered, its first beat taken, and its last beat taken."""

AXIS_PORTS = (
    *("aclk", "aresetn", "s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast"),
    *("m_axis_tdata", "m_axis_tuser", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast"),
)
"""The ports of the accelerator itself."""

_PIXEL_BITS = 8
STREAM_PORTS = ("data", "valid", "ready", "last")
"""What a tap shows of a stream."""


@dataclass(frozen=True)
class Tap:
    """The stream behind the input or a layer: ports `tap_<layer>_{data,valid,ready,last}`."""

    layer: str
    beat: BeatFormat
    shape: Shape

    @property
    def frame_beats(self) -> int:
        """Beats a frame."""
        return self.shape.size // self.beat.lanes

    @property
    def value_type(self) -> np.dtype[Any]:
        """The smallest type of 1, 2, 4 or 8 bytes that holds a value."""
        size = next(size for size in (1, 2, 4, 8) if self.beat.bits <= 8 * size)
        return np.dtype(f"<{'i' if self.beat.signed else 'u'}{size}")

    def port(self, name: str) -> str:
        """The port `data`, `valid`, `ready` or `last`."""
        return f"tap_{self.layer}_{name}"

    def lane(self, number: int) -> str:
        """The wire with one value of a beat."""
        return f"lane_{self.layer}_{number}"


@dataclass(frozen=True)
class TappedNetwork:
    """The Verilog of a network, or of one layer of it, and its streams.

    Parameters
    ----------
    design
        The module. Frames go in at `s_axis`; what comes out at `m_axis` is a result.
    source
        How values lie in the beats that go in.
    source_shape
        Of a frame of them.
    taps
        The streams that are watched: behind the input and every layer, or behind one layer.
    result_beats
        Beats of a result.
    patience
        Clock cycles without a transfer after which the network counts as stuck.
    constants
        Ports that are not of streams, and their values; for Verilator without cocotb alone.
    """

    design: Design
    source: BeatFormat
    source_shape: Shape
    taps: tuple[Tap, ...]
    result_beats: int
    patience: int
    constants: Mapping[str, int] = field(default_factory=dict)

    @property
    def source_beats(self) -> int:
        """Beats of a frame that goes in."""
        return self.source_shape.size // self.source.lanes

    @property
    def record_type(self) -> np.dtype[np.void]:
        """An image's record: the values of each tap, by name, its result and its cycles."""
        return record_type([(tap.layer, tap.value_type, tuple(tap.shape)) for tap in self.taps])


def record_type(taps: Sequence[tuple[str, Any, Any]]) -> np.dtype[np.void]:
    """The type of an image's record, of the name, the type and the shape of each tap's values."""
    cycles = (CYCLES_FIELD, list(FRAME_CYCLES), (len(taps) + 2,))
    return np.dtype([*taps, *RESULT_FIELDS, cycles])


def tapped_network(fixed: FixedNetwork, manifest: Manifest, verilog: str) -> TappedNetwork:
    """A generated accelerator, with its streams for a simulator to watch.

    Parameters
    ----------
    fixed
        The network.
    manifest, verilog
        What `hw.generate` made of it.

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
    """A network whose streams a design shows; the design's other ports go before theirs."""
    source = fixed.network.input
    pixels = Tap(source.name, BeatFormat(1, _PIXEL_BITS, False), source.image_shape)
    layers = (
        Tap(
            layer.name,
            BeatFormat(entry.stream.lanes, entry.stream.bits, entry.stream.signed),
            layer.output_shape,
        )
        for layer, entry in zip(fixed.layers, manifest.layers, strict=True)
    )
    taps = (pixels, *layers)
    ports = [tap.port(name) for tap in taps for name in STREAM_PORTS]
    return TappedNetwork(
        design=replace(design, ports=(*design.ports, *AXIS_PORTS, *ports)),
        source=pixels.beat,
        source_shape=pixels.shape,
        taps=taps,
        result_beats=1,
        patience=_patience(fixed, manifest),
    )


def tapped_layer(fixed: FixedNetwork, manifest: Manifest, verilog: str, name: str) -> TappedNetwork:
    """One layer of a generated accelerator alone.

    What goes in at `s_axis` is a beat of the layer's input; each beat that leaves the layer leaves
    at `m_axis`, too.

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
    from systolith.hw.verilog.tap_wrapper import (
        tapped_layer_verilog,  # imports Amaranth, as `sim.simulate` says
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
        result_beats=tap.frame_beats,
        patience=network.patience,
    )


def _patience(fixed: FixedNetwork, manifest: Manifest) -> int:
    """More cycles than a whole image can take, every multiplier idle for three cycles of four."""
    cycles = 0
    computing = fixed.network.computing_layers()
    for (layer, source, shape), entry in zip(computing, manifest.layers, strict=True):
        macs = layer.macs(source) + layer.scalings(source)
        cycles += 4 * macs // max(entry.multipliers, 1) + source.size + shape.size
    return 10_000 + cycles


@dataclass(frozen=True)
class Batch:
    """The records of some images in order, from `first` on.

    The images of one `part`, counted from 0, went through without a gap; each starts anew.
    """

    part: int
    first: int
    records: Records


class RuleBroken(Exception):
    """A stream broke a rule, or nothing moved any more: says which, what and when."""
