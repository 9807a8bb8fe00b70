# amaranth: UnusedElaboratable=no
"""The top level: the units of a network, connected, with AXI4-Stream ports."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from amaranth.hdl import Cat, ClockDomain, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.folding import Folding, Plan, input_lanes
from systolith.hw.streams.cycles import StreamCycles, always_ready, join, offering
from systolith.hw.streams.input_layout import InputLayout
from systolith.hw.streams.module_boundary import ModuleInstance
from systolith.hw.streams.module_names import default_module_name, is_module_name
from systolith.hw.streams.result_layout import ResultKind, default_result, result_layout
from systolith.hw.units.classify import Classifier
from systolith.hw.units.frame import FrameChecker
from systolith.hw.units.registry import Unit, build_unit
from systolith.hw.units.score_stream import ScoreStream

Port = tuple[str, Literal["input", "output"], int]
"""A port of the top module: name, direction and width."""


def axis_ports(input_bits: int, result_bits: int) -> tuple[Port, ...]:
    """The ports of the top module, by the widths of `s_axis_tdata` and of `m_axis_tdata`."""
    return (
        ("aclk", "input", 1),
        ("aresetn", "input", 1),
        ("s_axis_tdata", "input", input_bits),
        ("s_axis_tvalid", "input", 1),
        ("s_axis_tready", "output", 1),
        ("s_axis_tlast", "input", 1),
        ("m_axis_tdata", "output", result_bits),
        ("m_axis_tuser", "output", 1),
        ("m_axis_tvalid", "output", 1),
        ("m_axis_tready", "input", 1),
        ("m_axis_tlast", "output", 1),
    )


STREAM_SIGNALS = ("data", "valid", "ready", "last")
"""The signals of a layer's output stream; `stream_signal` names them in the top module."""

SOURCE, RESULT = "s_axis port", "m_axis port"
"""The names of the streams at the ports in the cycle model; no layer has a name with a space."""

FRAME_CHECKER, CLASSIFIER, SCORE_STREAM = "frame_checker", "classifier", "score_stream"
"""The parts of an accelerator in addition to the units; it has one of the last two."""


def stream_signal(layer: str, signal: str) -> str:
    """The name in the top module of a signal of `STREAM_SIGNALS` after a layer."""
    return f"stream_{layer}_{signal}"


def unit_part(layer: str) -> str:
    """The name of a layer's unit among the parts of an accelerator; no other part starts so."""
    return f"unit_{layer}"


def part_module(top: str, part: str) -> str:
    """The name of the module of a part; it begins with that of the top module."""
    return f"{top}_{part}"


class AcceleratorCycles(NamedTuple):
    """The streams of an accelerator's cycle model; `run_until_taken` fills in their cycles.

    Parameters
    ----------
    streams
        `SOURCE`, the streams after the input and after each layer by the layers' names, `RESULT`.
    inner
        The streams inside each layer's unit, by the layers' names.
    """

    streams: dict[str, StreamCycles]
    inner: dict[str, list[StreamCycles]]


class AcceleratorError(ValueError):
    """A network or a plan that no accelerator can be made of; the message names both."""


class Accelerator(wiring.Component):
    """A streaming accelerator of a whole network: pixels in, classes or scores out.

    All layers work at the same time, on different parts of an image and on different images. After
    each layer, the top module has the signals `stream_<layer>_data`, `_valid`, `_ready` and
    `_last`.

    Parameters
    ----------
    fixed
        The quantized network as integers.
    plan
        The folding of every layer after the input, and the lanes of the input.
    name
        The name of the top module, with which the name of every module begins; by default the
        network's (`streams.module_names`).
    result
        What it puts out; by default what suits the network (`streams.result_layout`).

    Members
    -------
    aclk, aresetn
        The clock, and the reset: synchronous, active low.
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast
        Raw values, by `input_layout`: row by row, channels ascending, `tlast` with an image's
        final beat.
    m_axis_tdata, m_axis_tuser, m_axis_tvalid, m_axis_tready, m_axis_tlast
        The result of each image, by `layout`; `tlast` with its final beat, in which `tuser` is 1 if
        the image had a wrong length (`hw.units.frame.FrameChecker`): the first scores of a network
        that has no layer to wait for the whole image leave before its end.

    Attributes
    ----------
    input_layout
        The beats that go in.
    layout
        The beats of a result.
    units
        The unit of every layer after the input, by name.
    parts
        All submodules: `FRAME_CHECKER`, the unit of each layer as `unit_part`, and `CLASSIFIER` or
        `SCORE_STREAM`. The module of each is `part_module`.

    Raises
    ------
    AcceleratorError
        The plan has no folding for a layer, or the name cannot be that of a module.
    PlanError
        The input cannot have the lanes of the plan.
    UnitError
        A layer, a folding or arithmetic that hardware does not support.
    ValueError
        There is no such kind of result.
    """

    def __init__(
        self,
        fixed: FixedNetwork,
        plan: Plan,
        name: str | None = None,
        result: ResultKind | None = None,
    ) -> None:
        self.fixed = fixed
        self.plan = plan
        self.name = default_module_name(fixed.name) if name is None else name
        if not is_module_name(self.name):
            raise AcceleratorError(
                f"top module {self.name!r}: its name must have letters, digits and underscores, "
                "start with no digit, be no word that Verilog, SystemVerilog or a simulator "
                "reserves, and have no _unit_, and no _frame_checker, _classifier or _score_stream "
                "at its end, as modules inside an accelerator have"
            )
        self.units: dict[str, Unit] = {}
        source = fixed.network.input
        lanes = input_lanes(source, plan)
        self.input_layout = InputLayout(lanes, source.format.bits, source.format.signed)
        for layer in fixed.layers:
            folding = _folding(fixed, plan, layer.name)
            self.units[layer.name] = build_unit(layer, folding, lanes)
            lanes = folding.lanes
        last = fixed.layers[-1]
        self.layout = result_layout(last, result or default_result(fixed.network))
        self.parts: dict[str, Any] = {
            FRAME_CHECKER: FrameChecker(source, self.input_layout.lanes),
            **{unit_part(layer): unit for layer, unit in self.units.items()},
        }
        if self.layout.kind == "class":
            self.parts[CLASSIFIER] = Classifier(last, lanes)
        else:
            self.parts[SCORE_STREAM] = ScoreStream(last, lanes)
        super().__init__(
            {name: (In if kind == "input" else Out)(width) for name, kind, width in self.ports}
        )

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ports of the top module."""
        return axis_ports(self.input_layout.tdata_bits, self.layout.bits)

    @property
    def input_beats(self) -> int:
        """The beats of an image at `s_axis`."""
        return self.fixed.network.input.image_shape.size // self.input_layout.lanes

    @property
    def multipliers(self) -> int:
        """The number of physical multipliers."""
        return sum(unit.multipliers for unit in self.units.values())

    def cycles(self, interval: int = 0) -> AcceleratorCycles:
        """Start the cycle model of all parts (`streams.cycles`), the sink always ready.

        Parameters
        ----------
        interval
            Cycles between the first pixels of two images. 0: the source is always ready.
        """
        names = [self.fixed.network.input.name, *self.units]
        streams = {name: StreamCycles() for name in (SOURCE, *names, RESULT)}
        pixels, result = streams[SOURCE], streams[RESULT]
        offering(pixels, [0] * self.input_beats, interval)
        always_ready(result)
        beats, flags = StreamCycles(), StreamCycles()
        join(beats, flags, self.layout.beats, result)
        self.parts[FRAME_CHECKER].cycles(pixels, streams[names[0]], flags)
        inner = {
            name: unit.cycles(streams[before], streams[name])
            for before, (name, unit) in zip(names, self.units.items(), strict=False)
        }
        self._result_part.cycles(streams[names[-1]], beats)
        return AcceleratorCycles(streams, inner)

    def stream_signals(self) -> list[str]:
        """The names in the top module of the signals after the input and after each layer."""
        names = [self.fixed.network.input.name, *self.units]
        return [stream_signal(name, signal) for name in names for signal in STREAM_SIGNALS]

    def with_black_boxes(self) -> Accelerator:
        """A copy in which each part is a black box: an instance of its module."""
        top = Accelerator(self.fixed, self.plan, self.name, self.layout.kind)
        top.parts = {
            name: ModuleInstance(part, part_module(self.name, name))
            for name, part in self.parts.items()
        }
        return top

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for name, part in self.parts.items():
            m.submodules[name] = part
        m.domains.sync = domain = ClockDomain("sync")
        domain.clk = self.aclk
        m.d.comb += domain.rst.eq(~self.aresetn)

        checker, last = self.parts[FRAME_CHECKER], self._result_part
        fields = self.input_layout
        pixels = [
            self.s_axis_tdata[low : low + fields.bits]
            for low in range(0, fields.tdata_bits, fields.field_bits)
        ]
        m.d.comb += [
            checker.i.payload.data.eq(Cat(pixels)),
            checker.i.payload.last.eq(self.s_axis_tlast),
            checker.i.valid.eq(self.s_axis_tvalid & self.aresetn),
            self.s_axis_tready.eq(checker.i.ready & self.aresetn),
        ]

        names = [self.fixed.network.input.name, *self.units]
        streams = [checker, *(self.parts[unit_part(name)] for name in self.units), last]
        for name, (source, sink) in zip(names, pairwise(streams), strict=True):
            _connect_named(m, name, source.o, sink.i)

        result, flag = last.o, checker.wrong_length
        taken = Signal()
        if self.layout.kind == "class":
            values = {"class": result.payload.index, "score": result.payload.score}
            at_end, all_taken = Const(1), taken
        else:
            values = {"score": result.payload.data}
            at_end = result.payload.last
            all_taken = taken & at_end
        m.d.comb += [
            taken.eq(self.m_axis_tvalid & self.m_axis_tready),
            result.ready.eq(taken),
            flag.ready.eq(all_taken),
            *(
                self.m_axis_tdata[field.low : field.high + 1].eq(values[field.name])
                for field in self.layout.fields
            ),
            self.m_axis_tuser.eq(flag.payload & at_end),
            self.m_axis_tvalid.eq(result.valid & (flag.valid | ~at_end) & self.aresetn),
            self.m_axis_tlast.eq(at_end),
        ]
        return m

    @property
    def _result_part(self) -> Any:
        """The part that puts out results."""
        return self.parts[CLASSIFIER if self.layout.kind == "class" else SCORE_STREAM]


def _folding(fixed: FixedNetwork, plan: Mapping[str, Folding], layer: str) -> Folding:
    if layer not in plan:
        raise AcceleratorError(f"network {fixed.name!r}: the plan has no folding for {layer!r}")
    return plan[layer]


def _connect_named(m: Module, name: str, source: Any, sink: Any) -> None:
    """Connect two streams of beats through signals that are named after a layer."""
    data = Signal(len(source.payload.data), name=stream_signal(name, "data"))
    last = Signal(name=stream_signal(name, "last"))
    valid = Signal(name=stream_signal(name, "valid"))
    ready = Signal(name=stream_signal(name, "ready"))
    m.d.comb += [
        data.eq(source.payload.data),
        last.eq(source.payload.last),
        valid.eq(source.valid),
        source.ready.eq(ready),
        sink.payload.data.eq(data),
        sink.payload.last.eq(last),
        sink.valid.eq(valid),
        ready.eq(sink.ready),
    ]
